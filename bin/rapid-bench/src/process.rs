//! What the kernel says about a process: CPU time and memory, and who listens on a port.

use eyre::{OptionExt, WrapErr};
use rustix::time::{ClockId, clock_gettime};
use std::{collections::BTreeMap, fs, path::Path, time::Duration};

/// CPU time of this process so far, all threads.
pub(crate) fn own_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    // The kernel gives non-negative seconds and nanoseconds below 10^9.
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// User and system time of process `pid` so far, all threads that ever were; resolution 10 ms on Linux.
///
/// # Errors
/// If there is no such process.
pub(crate) fn cpu_time(pid: u32) -> eyre::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).wrap_err_with(|| format!("process {pid}"))?;
    let ticks = parse_cpu_ticks(&stat).ok_or_eyre("unexpected /proc/<pid>/stat")?;
    Ok(Duration::from_secs_f64(
        ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
    ))
}

/// CPU time of each living thread of this process, by thread id, with the thread's name.
///
/// # Errors
/// If the kernel does not say.
pub(crate) fn own_threads() -> eyre::Result<BTreeMap<u32, (String, Duration)>> {
    let mut threads = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/task")?.flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A thread may end between the listing and these reads.
        let (Ok(name), Ok(schedule)) = (
            fs::read_to_string(entry.path().join("comm")),
            fs::read_to_string(entry.path().join("schedstat")),
        ) else {
            continue;
        };
        let nanoseconds = schedule
            .split_ascii_whitespace()
            .next()
            .and_then(|field| field.parse().ok());
        let time = Duration::from_nanos(nanoseconds.ok_or_eyre("unexpected /proc/self/task/<id>/schedstat")?);
        threads.insert(id, (name.trim_end().to_owned(), time));
    }
    Ok(threads)
}

/// Resident memory of process `pid` in bytes.
///
/// # Errors
/// If there is no such process.
pub(crate) fn resident_bytes(pid: u32) -> eyre::Result<u64> {
    let status =
        fs::read_to_string(format!("/proc/{pid}/status")).wrap_err_with(|| format!("process {pid}"))?;
    parse_resident(&status).ok_or_eyre("unexpected /proc/<pid>/status")
}

/// The process that listens on TCP `port` of this machine, if this user may see it.
pub(crate) fn listener(port: u16) -> Option<u32> {
    let inodes: Vec<u64> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|table| parse_listeners(&table, port))
        .collect();
    let links: Vec<_> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        has_open(&entry.path().join("fd"), &links).then_some(pid)
    })
}

fn has_open(descriptors: &Path, links: &[String]) -> bool {
    fs::read_dir(descriptors).is_ok_and(|entries| {
        entries
            .flatten()
            .filter_map(|entry| fs::read_link(entry.path()).ok())
            .any(|target| links.iter().any(|link| target.as_os_str() == link.as_str()))
    })
}

fn parse_cpu_ticks(stat: &str) -> Option<u64> {
    // The name in parentheses may hold spaces and parentheses itself, so fields count from the last one:
    // state is field 3, utime 14, stime 15 (proc(5)).
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let utime: u64 = fields.get(11)?.parse().ok()?;
    let stime: u64 = fields.get(12)?.parse().ok()?;
    Some(utime + stime)
}

fn parse_resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Inodes of the sockets that listen on `port` in a table of the form of `/proc/net/tcp`.
fn parse_listeners(table: &str, port: u16) -> Vec<u64> {
    const STATE_LISTEN: &str = "0A";
    let suffix = format!(":{port:04X}");
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<_> = line.split_ascii_whitespace().collect();
            let listens = fields.get(1)?.ends_with(&suffix) && *fields.get(3)? == STATE_LISTEN;
            if listens {
                fields.get(9)?.parse().ok()
            } else {
                None
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn finds_itself_by_port() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(
            listener(socket.local_addr().unwrap().port()),
            Some(std::process::id())
        );
    }

    #[test]
    fn reads_its_own_memory_and_time() {
        let pid = std::process::id();
        assert!(resident_bytes(pid).unwrap() > 100_000);
        // Both clocks count the same work; the process clock is finer.
        assert!(cpu_time(pid).unwrap() <= own_cpu_time() + Duration::from_millis(50));
    }

    #[test]
    fn threads_are_told_apart_by_name() {
        let work = || (0..5_000_000u64).fold(0, |sum, n| std::hint::black_box(sum ^ n));
        let (done, wait) = std::sync::mpsc::channel();
        let (release, hold) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("bench-worker".to_owned())
            .spawn(move || {
                work();
                done.send(()).unwrap();
                let _ = hold.recv();
            })
            .unwrap();
        wait.recv().unwrap();
        let threads = own_threads().unwrap();
        let (_, time) = threads.values().find(|(name, _)| name == "bench-worker").unwrap();
        assert!(*time > Duration::ZERO);
        drop(release);
        thread.join().unwrap();
    }

    #[test]
    fn names_with_parentheses_do_not_shift_fields() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 30 12 0 0 20 0 4 0 100";
        assert_eq!(parse_cpu_ticks(stat), Some(42));
    }

    #[test]
    fn listeners_are_told_from_connections() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:2161 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100 0 0 10 0\n\
            1: 0100007F:2161 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 12 1 0 100 0 0 10 0\n\
            2: 0100007F:2162 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 13 1 0 100 0 0 10 0\n";
        assert_eq!(parse_listeners(table, 8545), [11]);
    }
}
