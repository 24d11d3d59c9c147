//! What was hot, remembered over a restart.
//!
//! The profile names contracts; it holds no code. A forged one can make the node compile contracts that are not hot, no
//! more: code comes from the state, by its hash.
//!
//! ```text
//! "RJITPROF" | format u16 | build: length u8, bytes | count u32 | count entries | CRC-32 of all before
//! entry: code hash 32 | rules fingerprint u64 | fork u8 | tier u8 | heat u64      (little-endian)
//! ```

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::Path,
};

use alloy_primitives::B256;
use revm::primitives::hardfork::SpecId;

use crate::Tier;

/// Contracts a profile names. When there are more, the least recently used are left out.
pub(super) const PROFILE_ENTRIES_MAX: usize = 4096;

const MAGIC: &[u8; 8] = b"RJITPROF";
const FORMAT: u16 = 1;
/// Fingerprints of rules and thresholds hold within one build only.
const BUILD: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
const ENTRY_BYTES: usize = 32 + 8 + 1 + 1 + 8;
const CHECKSUM_BYTES: usize = 4;
/// No profile is longer: 200 KiB.
const FILE_BYTES_MAX: usize =
    MAGIC.len() + 2 + 1 + u8::MAX as usize + 4 + PROFILE_ENTRIES_MAX * ENTRY_BYTES + CHECKSUM_BYTES;

/// A contract that was hot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProfileEntry {
    pub(super) hash: B256,
    /// [`crate::Rules::fingerprint`].
    pub(super) rules: u64,
    pub(super) spec: SpecId,
    /// The tier its code was of.
    pub(super) tier: Tier,
    /// What its heat counts at the next start.
    pub(super) heat: u64,
}

/// Why a profile is not used. The runtime starts without one.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProfileError {
    #[error("not a profile, or damaged: {0}")]
    Damaged(&'static str),
    #[error("made by another build")]
    Foreign,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads a profile; a file that is not there is an empty one.
pub(super) fn read(path: &Path) -> Result<Vec<ProfileEntry>, ProfileError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    decode(&bytes)
}

/// Replaces the file as a whole: a reader finds the old profile or the new one.
pub(super) fn write(path: &Path, entries: &[ProfileEntry]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(&encode(entries))?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

/// Leaves out what is over [`PROFILE_ENTRIES_MAX`].
fn encode(entries: &[ProfileEntry]) -> Vec<u8> {
    let entries = &entries[..entries.len().min(PROFILE_ENTRIES_MAX)];
    let mut bytes = header();
    bytes.extend_from_slice(&(entries.len() as u32).to_le_bytes());
    for entry in entries {
        bytes.extend_from_slice(entry.hash.as_slice());
        bytes.extend_from_slice(&entry.rules.to_le_bytes());
        bytes.push(entry.spec as u8);
        bytes.push(match entry.tier {
            Tier::Fast => 0,
            Tier::Optimising => 1,
        });
        bytes.extend_from_slice(&entry.heat.to_le_bytes());
    }
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

fn header() -> Vec<u8> {
    const { assert!(BUILD.len() <= u8::MAX as usize) };
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.push(BUILD.len() as u8);
    bytes.extend_from_slice(BUILD.as_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Result<Vec<ProfileEntry>, ProfileError> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(ProfileError::Damaged("too long"));
    }
    let (content, checksum) = bytes
        .split_last_chunk::<CHECKSUM_BYTES>()
        .ok_or(ProfileError::Damaged("too short"))?;
    if !content.starts_with(MAGIC) {
        return Err(ProfileError::Damaged("no header"));
    }
    if crc32fast::hash(content) != u32::from_le_bytes(*checksum) {
        return Err(ProfileError::Damaged("wrong checksum"));
    }
    let content = content
        .strip_prefix(header().as_slice())
        .ok_or(ProfileError::Foreign)?;
    let (count, entries) = content
        .split_first_chunk::<4>()
        .ok_or(ProfileError::Damaged("no count"))?;
    let (entries, rest) = entries.as_chunks::<ENTRY_BYTES>();
    if !rest.is_empty() || entries.len() != u32::from_le_bytes(*count) as usize {
        return Err(ProfileError::Damaged("wrong count"));
    }
    if entries.len() > PROFILE_ENTRIES_MAX {
        return Err(ProfileError::Damaged("too many entries"));
    }
    entries.iter().map(decode_entry).collect()
}

fn decode_entry(bytes: &[u8; ENTRY_BYTES]) -> Result<ProfileEntry, ProfileError> {
    let (&hash, rest) = bytes.split_first_chunk::<32>().ok_or(SHORT)?;
    let (&rules, rest) = rest.split_first_chunk::<8>().ok_or(SHORT)?;
    let (&[spec, tier], rest) = rest.split_first_chunk::<2>().ok_or(SHORT)?;
    let (&heat, _) = rest.split_first_chunk::<8>().ok_or(SHORT)?;
    Ok(ProfileEntry {
        hash: B256::new(hash),
        rules: u64::from_le_bytes(rules),
        spec: SpecId::try_from_u8(spec).ok_or(ProfileError::Damaged("unknown fork"))?,
        tier: match tier {
            0 => Tier::Fast,
            1 => Tier::Optimising,
            _ => return Err(ProfileError::Damaged("unknown tier")),
        },
        heat: u64::from_le_bytes(heat),
    })
}

const SHORT: ProfileError = ProfileError::Damaged("short entry");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry() -> impl Strategy<Value = ProfileEntry> {
        (
            any::<[u8; 32]>(),
            any::<u64>(),
            0u8..=SpecId::OSAKA as u8,
            any::<bool>(),
            any::<u64>(),
        )
            .prop_filter_map(
                "a number that is no fork",
                |(hash, rules, spec, is_fast, heat)| {
                    Some(ProfileEntry {
                        hash: B256::new(hash),
                        rules,
                        spec: SpecId::try_from_u8(spec)?,
                        tier: if is_fast { Tier::Fast } else { Tier::Optimising },
                        heat,
                    })
                },
            )
    }

    proptest! {
        #[test]
        fn decodes_what_it_encoded(entries in prop::collection::vec(entry(), 0..50)) {
            prop_assert_eq!(decode(&encode(&entries)).unwrap(), entries);
        }

        #[test]
        fn arbitrary_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
            prop_assert!(decode(&bytes).is_err());
        }

        /// Past the checksum, so that the fields are reached.
        #[test]
        fn arbitrary_content_never_panics(content in prop::collection::vec(any::<u8>(), 0..500)) {
            let mut bytes = header();
            bytes.extend_from_slice(&content);
            bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
            if let Ok(entries) = decode(&bytes) {
                prop_assert!(entries.len() * ENTRY_BYTES <= content.len());
            }
        }

        #[test]
        fn flipped_bit_is_noticed(entries in prop::collection::vec(entry(), 0..5), at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = encode(&entries);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(decode(&bytes).is_err());
        }
    }

    fn sample(number: u64) -> ProfileEntry {
        ProfileEntry {
            hash: B256::with_last_byte(7),
            rules: number,
            spec: SpecId::CANCUN,
            tier: Tier::Fast,
            heat: number,
        }
    }

    #[test]
    fn other_build_is_foreign() {
        let mut bytes = encode(&[sample(1)]);
        bytes.truncate(bytes.len() - CHECKSUM_BYTES);
        let build_at = MAGIC.len() + 3;
        bytes[build_at] ^= 1;
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        assert!(matches!(decode(&bytes), Err(ProfileError::Foreign)));
    }

    #[test]
    fn file_is_replaced_and_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("profile");
        assert!(read(&path).unwrap().is_empty());
        write(&path, &[sample(1)]).unwrap();
        let many: Vec<_> = (0..2 * PROFILE_ENTRIES_MAX as u64).map(sample).collect();
        write(&path, &many).unwrap();
        assert_eq!(read(&path).unwrap(), many[..PROFILE_ENTRIES_MAX]);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        fs::write(&path, vec![0; 2 * FILE_BYTES_MAX]).unwrap();
        assert!(matches!(read(&path), Err(ProfileError::Damaged("too long"))));
    }
}
