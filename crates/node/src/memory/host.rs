//! What of the machine decides how fast memory is: huge pages and NUMA nodes.

use std::{fmt, fs, path::Path};

/// Whether the system gives 2 MiB pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HugePages {
    /// To everybody.
    Always,
    /// To who asks for them, which the state does.
    OnRequest,
    /// To nobody.
    Never,
    /// The system does not say.
    Unknown,
}

impl fmt::Display for HugePages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "always",
            Self::OnRequest => "madvise",
            Self::Never => "never",
            Self::Unknown => "unknown",
        })
    }
}

/// The machine, as far as the state's speed depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) huge_pages: HugePages,
    /// Nodes with memory; at least 1.
    pub(crate) numa_nodes: usize,
}

impl Host {
    /// `root` is `/`, or a directory with copies of the files.
    pub(crate) fn look(root: &Path) -> Self {
        let enabled = root.join("sys/kernel/mm/transparent_hugepage/enabled");
        let enabled = fs::read_to_string(enabled).unwrap_or_default();
        // The setting in effect stands in brackets.
        let chosen = enabled.split_whitespace().find(|word| word.starts_with('['));
        let huge_pages = match chosen {
            Some("[always]") => HugePages::Always,
            Some("[madvise]") => HugePages::OnRequest,
            Some("[never]") => HugePages::Never,
            _ => HugePages::Unknown,
        };
        let is_node = |name: &str| {
            name.strip_prefix("node")
                .is_some_and(|number| number.parse::<u32>().is_ok())
        };
        let nodes = fs::read_dir(root.join("sys/devices/system/node"))
            .into_iter()
            .flatten()
            .filter_map(Result::ok)
            .filter(|entry| entry.file_name().to_str().is_some_and(is_node))
            .count();
        Self {
            huge_pages,
            numa_nodes: nodes.max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::limit::tests::root;

    #[test]
    fn huge_pages_and_nodes_are_read() {
        let dir = root(&[
            (
                "sys/kernel/mm/transparent_hugepage/enabled",
                "always [madvise] never\n",
            ),
            ("sys/devices/system/node/node0/numastat", ""),
            ("sys/devices/system/node/node1/numastat", ""),
            ("sys/devices/system/node/online", "0-1\n"),
            ("sys/devices/system/node/nodes/x", ""),
        ]);
        let host = Host::look(dir.path());
        assert_eq!((host.huge_pages, host.numa_nodes), (HugePages::OnRequest, 2));
        let never = root(&[(
            "sys/kernel/mm/transparent_hugepage/enabled",
            "always madvise [never]",
        )]);
        assert_eq!(Host::look(never.path()).huge_pages, HugePages::Never);
        let silent = Host::look(root(&[]).path());
        assert_eq!((silent.huge_pages, silent.numa_nodes), (HugePages::Unknown, 1));
    }
}
