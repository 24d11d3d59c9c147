//! `rapid-reth` processes of the tests.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

/// Longer than any start or stop on a busy machine; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program with arguments, on a datadir, without a log file or colours.
pub(crate) fn command(datadir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rapid-reth"));
    command.args(arguments).arg("--datadir").arg(datadir);
    command.args(["--color", "never"]).stdin(Stdio::null());
    // Neither the user's files nor the user's filter may matter.
    command
        .env("HOME", datadir)
        .env_remove("XDG_CACHE_HOME")
        .env_remove("XDG_DATA_HOME")
        .env_remove("RUST_LOG");
    command
}

/// Runs the program to its end.
pub(crate) fn run(datadir: &Path, arguments: &[&str]) -> Output {
    command(datadir, arguments).output().unwrap()
}

/// Runs the program, which must end with `code`; returns what it wrote to stderr.
pub(crate) fn run_to_failure(datadir: &Path, arguments: &[&str], code: i32) -> String {
    let output = run(datadir, arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    stderr
}

/// A running node on unused ports; killed when dropped.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    /// Everything read from stdout so far.
    pub(crate) output: Vec<String>,
}

impl Running {
    /// Starts `node` with unused ports and without IPC, and waits until it serves.
    pub(crate) fn start(datadir: &Path, arguments: &[&str]) -> Self {
        let mut all = vec![
            "node",
            "--with-unused-ports",
            "--ipcdisable",
            "--executor.pin",
            "off",
        ];
        all.extend(arguments);
        let mut child = command(datadir, &all)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            stdout
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        let mut running = Self {
            child,
            lines,
            output: Vec::new(),
        };
        running.line("Starting consensus engine");
        running
    }

    /// Waits for a line that contains `text`.
    pub(crate) fn line(&mut self, text: &str) -> String {
        if let Some(line) = self.output.iter().find(|line| line.contains(text)) {
            return line.clone();
        }
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("no line with {text:?} in\n{}", self.output.join("\n"));
            };
            self.output.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    /// The address behind `url=` or `address=` in a line.
    pub(crate) fn address(&mut self, text: &str) -> SocketAddr {
        let line = self.line(text);
        let (_, value) = line.rsplit_once('=').unwrap();
        value
            .split_whitespace()
            .next()
            .unwrap()
            .parse()
            .unwrap_or_else(|_| panic!("no address in {line}"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, waits for the end, and returns the exit code.
    pub(crate) fn stop(&mut self, signal: Signal) -> Option<i32> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.output.push(line);
        }
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends one HTTP request and returns the body of the answer.
pub(crate) fn http(address: SocketAddr, method: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    body.to_owned()
}
