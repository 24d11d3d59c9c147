//! Where a node keeps its files.

use std::path::{Path, PathBuf};

/// The value of `--datadir` that means "not given".
const DEFAULT_KEYWORD: &str = "default";

/// Directory under the datadir that holds everything this program writes and nothing reth knows of.
const STORE: &str = "rapid";

/// Directory in which reth keeps its database.
const RETH_DATABASE: &str = "db";

/// Why a datadir cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// No default location is known.
    #[error("neither XDG_DATA_HOME nor HOME is set, so there is no default data directory: give --datadir")]
    NoHome,
    /// The path names an environment variable that is not set.
    #[error("--datadir {path} names the environment variable {variable}, which is not set")]
    UnsetVariable {
        /// The path as given.
        path: String,
        /// The variable.
        variable: String,
    },
    /// The directory belongs to reth and holds nothing of ours.
    #[error(
        "{root} holds a reth database ({root}/db, about {used} GiB) but no rapid-reth store. Starting here would \
         begin again from genesis although the chain is synced. Load the blocks with `rapid-reth import --datadir \
         <new directory> <blocks.rlp>` (have about {used} GiB free; {free} GiB are), or choose another --datadir"
    )]
    ForeignStore {
        /// The datadir.
        root: PathBuf,
        /// Size of reth's files in GiB, rounded up.
        used: u64,
        /// Free space in GiB, rounded down.
        free: u64,
    },
    /// A running reth owns the directory.
    #[error("{root} is in use by a running reth (process {pid}): stop it first")]
    RethRunning {
        /// The datadir.
        root: PathBuf,
        /// Its process id.
        pid: u32,
    },
    /// The directory cannot be created or read.
    #[error("{path}: {source}")]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// The root of a node's files, in reth's layout with our own store beside it.
///
/// ```text
/// <root>/reth.toml                          configuration, shared with reth
/// <root>/jwt.hex                            Engine API secret, shared with reth
/// <root>/txpool-transactions-backup.rlp     local transactions, shared with reth
/// <root>/rapid/lock                         one process at a time
/// <root>/rapid/log/                         mini-block log and checkpoints
/// <root>/rapid/history/                     sealed blocks, receipts, lookups
/// <root>/rapid/jit-profile                  contracts to compile again after a start
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataDir {
    root: PathBuf,
}

impl DataDir {
    /// The datadir for `--datadir` as given and the chain's name (its decimal id when it has none).
    ///
    /// A given path is used as it is, with `~` and environment variables expanded; unset or `default` means
    /// `<XDG_DATA_HOME or ~/.local/share>/reth/<chain>`, on macOS `~/Library/Application Support/reth/<chain>`.
    ///
    /// # Errors
    /// [`DataDirError::NoHome`] or [`DataDirError::UnsetVariable`].
    pub fn resolve(given: Option<&str>, chain: &str) -> Result<Self, DataDirError> {
        Self::resolve_in(given, chain, &|name| std::env::var(name).ok())
    }

    fn resolve_in(
        given: Option<&str>,
        chain: &str,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, DataDirError> {
        let root = match given {
            Some(path) if path != DEFAULT_KEYWORD => PathBuf::from(expand(path, variable)?),
            _ => user_directory(
                variable,
                "XDG_DATA_HOME",
                ".local/share",
                "Library/Application Support",
            )
            .ok_or(DataDirError::NoHome)?
            .join("reth")
            .join(chain),
        };
        Ok(Self { root })
    }

    /// The root itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `reth.toml`.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.root.join("reth.toml")
    }

    /// The Engine API secret.
    #[must_use]
    pub fn jwt_file(&self) -> PathBuf {
        self.root.join("jwt.hex")
    }

    /// Where local transactions are saved at shutdown.
    #[must_use]
    pub fn pool_backup_file(&self) -> PathBuf {
        self.root.join("txpool-transactions-backup.rlp")
    }

    /// Everything this program owns.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.root.join(STORE)
    }

    /// The lock file.
    #[must_use]
    pub fn lock_file(&self) -> PathBuf {
        self.store().join("lock")
    }

    /// Mini-block log and checkpoints.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.store().join("log")
    }

    /// Sealed blocks.
    #[must_use]
    pub fn history(&self) -> PathBuf {
        self.store().join("history")
    }

    /// Which contracts were hot.
    #[must_use]
    pub fn jit_profile_file(&self) -> PathBuf {
        self.store().join("jit-profile")
    }

    /// Refuses a directory that holds a chain synced by reth and nothing of ours: beginning at genesis there would
    /// surprise the operator, who believes the chain is synced.
    ///
    /// # Errors
    /// [`DataDirError::ForeignStore`].
    pub fn refuse_foreign_store(&self) -> Result<(), DataDirError> {
        let database = self.root.join(RETH_DATABASE);
        if !database.is_dir() || self.store().is_dir() {
            return Ok(());
        }
        let used = directory_bytes(&database) + directory_bytes(&self.root.join("static_files"));
        let free = rustix::fs::statvfs(&self.root).map_or(0, |fs| fs.f_bavail.saturating_mul(fs.f_frsize));
        Err(DataDirError::ForeignStore {
            root: self.root.clone(),
            used: used.div_ceil(GIB),
            free: free / GIB,
        })
    }

    /// Refuses a directory whose reth database a living process holds.
    ///
    /// # Errors
    /// [`DataDirError::RethRunning`].
    pub fn refuse_running_reth(&self) -> Result<(), DataDirError> {
        let lock = self.root.join(RETH_DATABASE).join("lock");
        let Ok(text) = std::fs::read_to_string(lock) else {
            return Ok(());
        };
        let Some(pid) = text
            .split_whitespace()
            .next()
            .and_then(|word| word.parse::<u32>().ok())
        else {
            return Ok(());
        };
        let alive = i32::try_from(pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw)
            .is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok());
        if alive {
            Err(DataDirError::RethRunning {
                root: self.root.clone(),
                pid,
            })
        } else {
            Ok(())
        }
    }

    /// Creates the root and the store directory.
    ///
    /// # Errors
    /// [`DataDirError::Io`].
    pub fn create(&self) -> Result<(), DataDirError> {
        let path = self.store();
        std::fs::create_dir_all(&path).map_err(|source| DataDirError::Io { path, source })
    }
}

const GIB: u64 = 1 << 30;

/// The directory for log files: `<cache>/reth/logs`, where cache is `XDG_CACHE_HOME`, `~/.cache`, or on macOS
/// `~/Library/Caches`. `None` when the user has no home.
#[must_use]
pub fn default_log_directory() -> Option<PathBuf> {
    user_directory(
        &|name| std::env::var(name).ok(),
        "XDG_CACHE_HOME",
        ".cache",
        "Library/Caches",
    )
    .map(|cache| cache.join("reth").join("logs"))
}

/// One of the user's directories by the rules of the XDG specification: relative values are ignored.
fn user_directory(
    variable: &dyn Fn(&str) -> Option<String>,
    xdg: &str,
    linux: &str,
    macos: &str,
) -> Option<PathBuf> {
    if cfg!(target_os = "macos") {
        return variable("HOME").map(|home| Path::new(&home).join(macos));
    }
    variable(xdg)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| {
            variable("HOME")
                .filter(|home| !home.is_empty())
                .map(|home| Path::new(&home).join(linux))
        })
}

/// Expands a leading `~` and every `$NAME` or `${NAME}`.
fn expand(path: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, DataDirError> {
    let lookup = |name: &str| {
        variable(name).ok_or_else(|| DataDirError::UnsetVariable {
            path: path.to_owned(),
            variable: name.to_owned(),
        })
    };
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    if path == "~" || path.starts_with("~/") {
        out.push_str(&lookup("HOME")?);
        rest = &path[1..];
    }
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        if let Some((name, tail)) = braced {
            out.push_str(&lookup(name)?);
            rest = tail;
            continue;
        }
        let length = after
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(after.len());
        if length == 0 {
            out.push('$');
        } else {
            out.push_str(&lookup(&after[..length])?);
        }
        rest = &after[length..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Bytes of the files directly in a directory; what cannot be read counts as nothing, since this is an estimate.
fn directory_bytes(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else {
        return 0;
    };
    entries
        .flatten()
        .filter_map(|entry| entry.metadata().ok())
        .filter(|m| m.is_file())
        .map(|m| m.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home_only(name: &str) -> Option<String> {
        (name == "HOME").then(|| "/home/user".to_owned())
    }

    fn resolve(given: Option<&str>, chain: &str) -> PathBuf {
        DataDir::resolve_in(given, chain, &home_only)
            .expect("resolves")
            .root()
            .to_owned()
    }

    #[test]
    #[cfg(not(target_os = "macos"))]
    fn unset_and_the_word_default_mean_the_users_data_directory() {
        assert_eq!(
            resolve(None, "dev"),
            Path::new("/home/user/.local/share/reth/dev")
        );
        assert_eq!(
            resolve(Some("default"), "1234"),
            Path::new("/home/user/.local/share/reth/1234")
        );
        let xdg = |name: &str| (name == "XDG_DATA_HOME").then(|| "/data".to_owned());
        assert_eq!(
            DataDir::resolve_in(None, "mainnet", &xdg).unwrap().root(),
            Path::new("/data/reth/mainnet")
        );
    }

    #[test]
    fn a_given_path_has_no_chain_suffix_and_is_expanded() {
        assert_eq!(resolve(Some("/x/y"), "dev"), Path::new("/x/y"));
        assert_eq!(resolve(Some("~/y"), "dev"), Path::new("/home/user/y"));
        assert_eq!(
            resolve(Some("$HOME/a${HOME}b$"), "dev"),
            Path::new("/home/user/a/home/userb$")
        );
        assert_eq!(resolve(Some("/a~b"), "dev"), Path::new("/a~b"));
    }

    #[test]
    fn what_cannot_be_resolved_says_what_is_missing() {
        let nothing = |_: &str| None;
        assert!(matches!(DataDir::resolve_in(Some("$A/b"), "dev", &nothing),
            Err(DataDirError::UnsetVariable { variable, .. }) if variable == "A"));
        assert!(matches!(
            DataDir::resolve_in(None, "dev", &nothing),
            Err(DataDirError::NoHome)
        ));
    }

    #[test]
    fn a_reth_database_without_our_store_is_refused_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let datadir = DataDir::resolve(dir.path().to_str(), "dev").unwrap();
        datadir
            .refuse_foreign_store()
            .expect("an empty directory is nobody's");
        std::fs::create_dir(dir.path().join("db")).unwrap();
        let error = datadir.refuse_foreign_store().unwrap_err().to_string();
        assert!(
            error.contains("rapid-reth import") && error.contains("GiB free"),
            "{error}"
        );
        datadir.create().unwrap();
        datadir.refuse_foreign_store().expect("our own store beside it");
    }

    #[test]
    fn a_living_reth_is_refused_and_a_dead_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let datadir = DataDir::resolve(dir.path().to_str(), "dev").unwrap();
        std::fs::create_dir(dir.path().join("db")).unwrap();
        let lock = dir.path().join("db/lock");
        std::fs::write(&lock, format!("{}\n12345", std::process::id())).unwrap();
        assert!(matches!(
            datadir.refuse_running_reth(),
            Err(DataDirError::RethRunning { .. })
        ));
        std::fs::write(&lock, "2147483646\n12345").unwrap();
        datadir.refuse_running_reth().expect("no process has this id");
        std::fs::write(&lock, "nonsense").unwrap();
        datadir.refuse_running_reth().expect("not a process id");
    }
}
