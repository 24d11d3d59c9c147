//! The secret shared with the consensus client.

use std::{
    fs::OpenOptions,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use alloy_primitives::hex;
use alloy_rpc_types_engine::{JwtError, JwtSecret};

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum JwtFileError {
    /// The file is missing, unreadable or not a secret.
    #[error("JWT secret {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: JwtError,
    },
    /// A new secret cannot be written.
    #[error("JWT secret {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Reads a secret that must exist.
pub(crate) fn read(path: &Path) -> Result<JwtSecret, JwtFileError> {
    JwtSecret::from_file(path).map_err(|source| JwtFileError::Read {
        path: path.to_owned(),
        source,
    })
}

/// Reads a secret, or makes one that only its owner can read: 64 lower-case hexadecimal digits.
pub(crate) fn read_or_create(path: &Path) -> Result<JwtSecret, JwtFileError> {
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    let write = |source| JwtFileError::Write {
        path: path.to_owned(),
        source,
    };
    match created {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => read(path),
        Err(error) => Err(write(error)),
        Ok(mut file) => {
            let secret = JwtSecret::random();
            file.write_all(hex::encode(secret.as_bytes()).as_bytes())
                .map_err(write)?;
            Ok(secret)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_made_once_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("jwt.hex");
        let first = read_or_create(&path).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.len() == 64 && text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')),
            "{text}"
        );
        assert_eq!(read_or_create(&path).unwrap(), first);
    }

    #[test]
    fn a_given_file_must_exist_and_parse() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("given");
        assert!(read(&path).unwrap_err().to_string().contains("given"));
        std::fs::write(&path, "not hex").unwrap();
        assert!(read(&path).is_err() && read_or_create(&path).is_err());
        std::fs::write(&path, format!(" 0x{}\n", "ab".repeat(32))).unwrap();
        assert_eq!(read(&path).unwrap().as_bytes(), &[0xab; 32]);
    }
}
