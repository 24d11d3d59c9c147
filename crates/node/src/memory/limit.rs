//! How much memory the process may have.

use std::{
    fmt, fs,
    path::{Component, Path, PathBuf},
};

use super::ByteSize;

/// Where systems mount the hierarchies, below the root directory.
const V2_MOUNTS: [&str; 2] = ["sys/fs/cgroup", "sys/fs/cgroup/unified"];
const V1_MOUNT: &str = "sys/fs/cgroup/memory";

/// Files with a limit, by the version of the hierarchy. Above `memory.high` a process is not killed but hardly runs.
const V2_FILES: [&str; 2] = ["memory.max", "memory.high"];
const V1_FILES: [&str; 1] = ["memory.limit_in_bytes"];

/// Cgroup v1 has no word for "no limit" but the largest number of pages.
const V1_NO_LIMIT: u64 = 1 << 62;

/// How much memory the process may have, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryLimit {
    /// The amount.
    pub bytes: ByteSize,
    /// Who says so.
    pub source: LimitSource,
}

/// Who limits memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitSource {
    /// The operator, with `--state.memory-limit`.
    Flag,
    /// This file of a control group.
    Cgroup(PathBuf),
    /// The machine: what it could give when the node started.
    MemAvailable,
}

impl fmt::Display for LimitSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("--state.memory-limit"),
            Self::Cgroup(path) => write!(f, "{}", path.display()),
            Self::MemAvailable => f.write_str("MemAvailable of /proc/meminfo"),
        }
    }
}

impl MemoryLimit {
    /// The smallest limit there is: of the process's control groups and all above them, in either version, and what the
    /// machine has available. `None` where the system tells none of them.
    ///
    /// `root` is `/`, or a directory with copies of the files.
    pub(crate) fn find(root: &Path) -> Option<Self> {
        let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
        let cgroups = groups.lines().flat_map(|line| group_limits(root, line));
        let available = mem_available(root).map(|bytes| Self {
            bytes,
            source: LimitSource::MemAvailable,
        });
        cgroups.chain(available).min_by_key(|limit| limit.bytes)
    }
}

/// The limits of one line of `/proc/self/cgroup`: `0::PATH` in version 2, `N:CONTROLLERS:PATH` in version 1.
fn group_limits(root: &Path, line: &str) -> Vec<MemoryLimit> {
    let mut fields = line.splitn(3, ':');
    let (Some(number), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
        return Vec::new();
    };
    let read = |mount: &str, files| limits_up(&root.join(mount), Path::new(path), files);
    if number == "0" && controllers.is_empty() {
        V2_MOUNTS
            .iter()
            .flat_map(|mount| read(mount, &V2_FILES[..]))
            .collect()
    } else if controllers.split(',').any(|name| name == "memory") {
        read(V1_MOUNT, &V1_FILES)
    } else {
        Vec::new()
    }
}

/// The limits of a group and of all above it. In a container the path may be the one of the host, and the mount the
/// group itself: so directories that are not there are passed over, and the mount always has the last word.
fn limits_up(mount: &Path, group: &Path, files: &[&str]) -> Vec<MemoryLimit> {
    let inside: PathBuf = group
        .components()
        .filter(|part| matches!(part, Component::Normal(_)))
        .collect();
    inside
        .ancestors()
        .flat_map(|group| files.iter().map(move |file| mount.join(group).join(file)))
        .filter_map(|path| {
            let bytes = fs::read_to_string(&path).ok()?.trim().parse().ok()?;
            (bytes < V1_NO_LIMIT).then_some(MemoryLimit {
                bytes: ByteSize(bytes),
                source: LimitSource::Cgroup(path),
            })
        })
        .collect()
}

fn mem_available(root: &Path) -> Option<ByteSize> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(ByteSize(kib * 1024))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A root directory with these files.
    pub(crate) fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        dir
    }

    const MEMINFO: (&str, &str) = (
        "proc/meminfo",
        "MemTotal:       24689472 kB\nMemFree:          100 kB\nMemAvailable:   20000000 kB\n",
    );

    fn found(files: &[(&str, &str)]) -> (u64, String) {
        let root = root(files);
        let limit = MemoryLimit::find(root.path()).unwrap();
        let source = match &limit.source {
            LimitSource::Cgroup(path) => path.strip_prefix(root.path()).unwrap().display().to_string(),
            other => other.to_string(),
        };
        (limit.bytes.0, source)
    }

    #[test]
    fn the_machine_limits_when_no_group_does() {
        let unlimited = [
            MEMINFO,
            ("proc/self/cgroup", "0::/a/b\n3:cpu,memory:/c\nnonsense\n"),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
            (
                "sys/fs/cgroup/memory/c/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
        ];
        let machine = (20_000_000 * 1024, "MemAvailable of /proc/meminfo".to_owned());
        assert_eq!(found(&unlimited), machine);
        assert_eq!(found(&[MEMINFO]), machine);
    }

    #[test]
    fn the_smallest_group_above_limits_in_version_2() {
        let files = [
            MEMINFO,
            ("proc/self/cgroup", "0::/pods/node/main\n"),
            ("sys/fs/cgroup/pods/node/main/memory.max", "8000000000\n"),
            ("sys/fs/cgroup/pods/node/memory.max", "6000000000\n"),
            ("sys/fs/cgroup/pods/memory.max", "max\n"),
            ("sys/fs/cgroup/other/memory.max", "1\n"),
        ];
        let node = "sys/fs/cgroup/pods/node/memory.max".to_owned();
        assert_eq!(found(&files), (6_000_000_000, node));
        let mut throttled = files.to_vec();
        throttled.push(("sys/fs/cgroup/pods/memory.high", "5000000000\n"));
        assert_eq!(found(&throttled).0, 5_000_000_000);
    }

    #[test]
    fn the_smallest_group_above_limits_in_version_1() {
        let files = [
            MEMINFO,
            (
                "proc/self/cgroup",
                "4:memory:/docker/abc\n1:name=systemd:/docker/abc\n0::/\n",
            ),
            (
                "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes",
                "5000000000\n",
            ),
            (
                "sys/fs/cgroup/memory/docker/memory.limit_in_bytes",
                "4000000000\n",
            ),
            (
                "sys/fs/cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
        ];
        let docker = "sys/fs/cgroup/memory/docker/memory.limit_in_bytes".to_owned();
        assert_eq!(found(&files), (4_000_000_000, docker));
    }

    #[test]
    fn a_container_that_sees_only_its_own_group_finds_it_at_the_mount() {
        let host_path = [
            MEMINFO,
            ("proc/self/cgroup", "4:memory:/docker/abc\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "2000000000\n"),
        ];
        assert_eq!(found(&host_path).0, 2_000_000_000);
        let outside = [
            MEMINFO,
            ("proc/self/cgroup", "0::/../../elsewhere\n"),
            ("sys/fs/cgroup/memory.max", "3000000000\n"),
        ];
        assert_eq!(found(&outside).0, 3_000_000_000);
    }

    #[test]
    fn a_system_that_tells_nothing_has_no_limit() {
        assert_eq!(MemoryLimit::find(root(&[]).path()), None);
        assert_eq!(
            MemoryLimit::find(root(&[("proc/meminfo", "MemTotal: 1 kB\n")]).path()),
            None
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_has_a_limit() {
        let limit = MemoryLimit::find(Path::new("/")).unwrap();
        assert!(limit.bytes > ByteSize(16 << 20), "{limit:?}");
    }
}
