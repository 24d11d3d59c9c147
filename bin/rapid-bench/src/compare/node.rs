//! A node process of the benchmark's own: started on unused ports, stopped with everything it wrote.

use crate::{rpc::RpcClient, transport::Endpoint};
use eyre::{OptionExt, WrapErr, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::{self, File},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long a node may take until it answers.
const START_PATIENCE: Duration = Duration::from_secs(20);

/// How long a node may take to end after SIGTERM before it is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(15);

/// Pause between two looks at a process that starts or ends.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A running node; killed when dropped.
#[derive(Debug)]
pub(crate) struct NodeProcess {
    child: Child,
    scratch: TempDir,
    http: Endpoint,
}

/// Where a node that is being started shall answer, and where it may write.
#[derive(Debug)]
pub(crate) struct NodePlace {
    /// HTTP port.
    pub(crate) http_port: u16,
    /// Scratch folder, removed with the process.
    pub(crate) scratch: TempDir,
}

impl NodeProcess {
    /// Starts `command` and waits until it answers on the HTTP port of `place`.
    ///
    /// # Errors
    /// If it cannot be started, ends, or does not answer in time; the message has the end of its output.
    pub(crate) async fn start(mut command: Command, place: NodePlace) -> eyre::Result<Self> {
        let output_path = place.scratch.path().join("output");
        let output = File::create(&output_path)?;
        let started = Instant::now();
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .wrap_err_with(|| format!("starting {}", command.get_program().display()))?;
        let mut node = Self {
            child,
            scratch: place.scratch,
            http: Endpoint::local_http(place.http_port),
        };
        loop {
            if let Ok(mut rpc) = RpcClient::open(&node.http).await
                && rpc.block_number().await.is_ok()
            {
                return Ok(node);
            }
            if let Some(status) = node.child.try_wait()? {
                bail!(
                    "node ended with {status} before it answered:\n{}",
                    tail(&output_path)
                );
            }
            if started.elapsed() > START_PATIENCE {
                bail!(
                    "node does not answer after {START_PATIENCE:?}:\n{}",
                    tail(&output_path)
                );
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// HTTP endpoint.
    pub(crate) const fn http(&self) -> &Endpoint {
        &self.http
    }

    /// Process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the node by SIGTERM and waits for it.
    ///
    /// # Errors
    /// If it does not end in time (it is killed then), or ends with a failure of its own.
    pub(crate) async fn stop(mut self) -> eyre::Result<()> {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .ok_or_eyre("process id")?;
        kill_process(pid, Signal::TERM)?;
        let deadline = Instant::now() + STOP_PATIENCE;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                bail!(
                    "node did not end within {STOP_PATIENCE:?} of SIGTERM:\n{}",
                    tail(&self.scratch.path().join("output"))
                );
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        // Both fail only if the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A TCP port of this machine that nobody used a moment ago.
///
/// # Errors
/// If the system has none.
pub(crate) fn free_port() -> eyre::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Processor model and number of cores.
pub(crate) fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown processor", |(_, model)| model.trim());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} x {model}")
}

fn tail(path: &Path) -> String {
    const LINES: usize = 20;
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
