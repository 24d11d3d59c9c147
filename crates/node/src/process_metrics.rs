//! What the process itself uses: memory, processor time, threads, descriptors.

use metrics::{counter, gauge};

/// Reads the process's use from the kernel and publishes it. On systems without `/proc` only what the portable calls
/// give is published.
pub(crate) fn record() {
    if let Some(seconds) = cpu_seconds() {
        counter!("reth_process_cpu_seconds_total").absolute(seconds as u64);
        gauge!("rapid_reth_node_process_cpu_seconds").set(seconds);
    }
    if let Some(bytes) = resident_bytes() {
        gauge!("reth_process_resident_memory_bytes").set(bytes as f64);
    }
    if let Some(threads) = entries("/proc/self/task") {
        gauge!("reth_process_threads").set(threads as f64);
    }
    if let Some(descriptors) = entries("/proc/self/fd") {
        gauge!("reth_process_open_fds").set(descriptors as f64);
    }
}

/// Processor time of all threads since the start, user and system.
fn cpu_seconds() -> Option<f64> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(time.tv_sec as f64 + time.tv_nsec as f64 / 1e9)
}

fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

fn entries(directory: &str) -> Option<usize> {
    Some(std::fs::read_dir(directory).ok()?.count())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_running_process_uses_something_of_everything() {
        assert!(resident_bytes().unwrap() > 100_000);
        assert!(cpu_seconds().unwrap() > 0.0);
        assert!(entries("/proc/self/task").unwrap() >= 1);
        assert!(entries("/proc/self/fd").unwrap() >= 3);
    }
}
