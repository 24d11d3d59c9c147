//! A `rapid-reth` process of the test's own.

use crate::rpc::RpcClient;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    collections::VecDeque,
    env,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex, OnceLock, mpsc},
    thread,
    time::{Duration, Instant},
};

/// How long a node may take to say where it listens.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// How long a node may take to end after SIGTERM: the five seconds it gives its tasks, twice, and a busy machine.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// Lines of output kept for the message of a failed test.
const OUTPUT_LINES_MAX: usize = 200;

/// The lines that name the bound addresses.
const HTTP_STARTED: &str = "RPC HTTP server started";
const WS_STARTED: &str = "RPC WS server started";

/// The binary under test: `RAPID_RETH_BIN`, or this workspace's, built with the profile of the tests.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match env::var_os("RAPID_RETH_BIN") {
        Some(path) => {
            let path = PathBuf::from(path);
            assert!(path.is_file(), "RAPID_RETH_BIN: no file {}", path.display());
            path
        }
        None => build(),
    })
}

fn build() -> PathBuf {
    // This test is <target>/<profile>/deps/it-<hash>.
    let this = env::current_exe().unwrap();
    let profile_folder = this.parent().and_then(Path::parent).unwrap();
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // The selection of `cargo test --workspace`, which has just built all this: any other would give the dependencies
    // other features and compile them once more.
    cargo
        .args(["test", "--workspace", "--no-run", "--quiet"])
        .stdout(Stdio::null())
        .current_dir(crate::workspace::root());
    cargo.arg("--target-dir").arg(profile_folder.parent().unwrap());
    if profile_folder.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().unwrap().success(), "rapid-reth does not build");
    profile_folder.join("rapid-reth")
}

/// Runs a command of the binary to its end.
pub(crate) fn run(arguments: &[&str], datadir: &Path) -> Output {
    Command::new(binary())
        .args(arguments)
        .arg("--datadir")
        .arg(datadir)
        .args(["--color", "never"])
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Runs a command of the binary that must succeed.
pub(crate) fn run_well(arguments: &[&str], datadir: &Path) {
    let output = run(arguments, datadir);
    assert!(
        output.status.success(),
        "{arguments:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Starts a node that must refuse `datadir` and end by itself; returns its exit code and what it wrote to stderr.
pub(crate) fn refused_start(datadir: &Path, extra: &[&str]) -> (Option<i32>, String) {
    let mut child = node_command(datadir, extra)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + START_PATIENCE;
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() < deadline => thread::sleep(Duration::from_millis(10)),
            None => {
                child.kill().unwrap();
                panic!("the node started: {:?}", child.wait_with_output().unwrap());
            }
        }
    };
    let mut message = String::new();
    child.stderr.take().unwrap().read_to_string(&mut message).unwrap();
    (status.code(), message)
}

/// `rapid-reth node` as a sequencer of the real-time development chain, on unused ports, with `extra` arguments.
fn node_command(datadir: &Path, extra: &[&str]) -> Command {
    let mut command = any_node_command(datadir, extra);
    command.args(["--dev", "--chain", "realtime"]);
    command
}

/// `rapid-reth node` on unused ports, with `extra` arguments.
fn any_node_command(datadir: &Path, extra: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command
        .args(["node", "--http", "--ws", "--with-unused-ports", "--ipcdisable"])
        .args(["--color", "never", "--log.file.max-files", "0"])
        // Many nodes run at once here, which should not share a core each.
        .args(["--executor.pin", "off"])
        .arg("--datadir")
        .arg(datadir)
        .args(extra);
    command
}

/// A running node; killed when dropped.
#[derive(Debug)]
pub(crate) struct Node {
    child: Child,
    http: SocketAddr,
    ws: SocketAddr,
    output: Arc<Mutex<VecDeque<String>>>,
}

impl Node {
    /// Starts a sequencer of the real-time development chain on `datadir`, on unused ports, with `extra` arguments.
    pub(crate) fn start(datadir: &Path, extra: &[&str]) -> Self {
        Self::spawn(node_command(datadir, extra))
    }

    /// Starts a node that follows a consensus client on the chain of a genesis file, on unused ports.
    pub(crate) fn follow(datadir: &Path, genesis: &Path, extra: &[&str]) -> Self {
        let mut command = any_node_command(datadir, extra);
        command.args(["--role", "engine", "--chain"]).arg(genesis);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = Arc::new(Mutex::new(VecDeque::new()));
        let (lines, started) = mpsc::channel();
        let streams: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for stream in streams {
            let output = Arc::clone(&output);
            let lines = lines.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    // Nobody listens any more once the node has started.
                    let _ = lines.send(line.clone());
                    let mut kept = output.lock().unwrap();
                    if kept.len() == OUTPUT_LINES_MAX {
                        kept.pop_front();
                    }
                    kept.push_back(line);
                }
            });
        }
        drop(lines);
        let [http, ws] = match bound_addresses(&started) {
            Some(addresses) => addresses,
            None => {
                let _ = child.kill();
                let status = child.wait();
                panic!("node did not start: {status:?}\n{}", joined(&output));
            }
        };
        Self {
            child,
            http,
            ws,
            output,
        }
    }

    /// A new connection to the HTTP endpoint.
    pub(crate) fn rpc(&self) -> RpcClient {
        RpcClient::connect(self.http)
            .unwrap_or_else(|error| panic!("{}: {error}\n{}", self.http, joined(&self.output)))
    }

    /// Where HTTP is served.
    pub(crate) const fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where WebSocket is served.
    pub(crate) const fn ws(&self) -> SocketAddr {
        self.ws
    }

    /// The address that a start-up line with `text` names; one said before WebSocket was served.
    pub(crate) fn address_in(&self, text: &str) -> SocketAddr {
        let output = self.output();
        let line = output.lines().find(|line| line.contains(text));
        line.and_then(url_field)
            .unwrap_or_else(|| panic!("no address with {text:?} in\n{output}"))
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The last lines of the node's output.
    pub(crate) fn output(&self) -> String {
        joined(&self.output)
    }

    /// Kills the node as `kill -9` does: nothing is flushed, nothing is said.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends the node by SIGTERM and returns its exit status.
    pub(crate) fn stop(mut self) -> ExitStatus {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        let deadline = Instant::now() + STOP_PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "node does not end:\n{}", self.output());
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Both fail only if the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn joined(output: &Mutex<VecDeque<String>>) -> String {
    output
        .lock()
        .unwrap()
        .iter()
        .fold(String::new(), |text, line| text + line + "\n")
}

/// Reads start-up lines until HTTP and WebSocket addresses are known; nothing if the output ends before.
fn bound_addresses(lines: &mpsc::Receiver<String>) -> Option<[SocketAddr; 2]> {
    let deadline = Instant::now() + START_PATIENCE;
    let (mut http, mut ws) = (None, None);
    loop {
        if let (Some(http), Some(ws)) = (http, ws) {
            return Some([http, ws]);
        }
        let line = lines
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            .ok()?;
        if line.contains(HTTP_STARTED) {
            http = url_field(&line);
        } else if line.contains(WS_STARTED) {
            ws = url_field(&line);
        }
    }
}

/// The address in the `url=` field of a log line.
fn url_field(line: &str) -> Option<SocketAddr> {
    line.split_whitespace()
        .find_map(|word| word.strip_prefix("url="))?
        .parse()
        .ok()
}

#[test]
fn url_field_is_read() {
    let line = "2026-01-01T00:00:00.000000Z  INFO RPC HTTP server started url=127.0.0.1:40123";
    assert_eq!(url_field(line), Some("127.0.0.1:40123".parse().unwrap()));
    assert_eq!(url_field("RPC HTTP server started"), None);
}
