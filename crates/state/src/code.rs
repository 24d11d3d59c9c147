//! Contract code: once per hash, append-only, analysed once.

use alloy_primitives::{B256, KECCAK256_EMPTY, map::B256Map};
use rapid_primitives::{AccountChange, CodeChange};
use revm::bytecode::Bytecode;

use crate::{
    region::{OutOfMemory, Region},
    sync::{
        CHECKED, Mutex, RwLock,
        atomic::Ordering::{Acquire, Release},
    },
};

const CODE_SHARDS: usize = if CHECKED { 2 } else { 64 };

/// Codes at most. An account has two bits left beside the number of its code.
const CODES_MAX: u32 = 1 << 30;

/// The number of no code.
pub(crate) const NO_CODE: u32 = 0;

/// All code that a committed account ever had. It is never removed: bringing code in costs its sender 200 gas a byte.
///
/// Accounts name their code by a number, which is where its hash is kept.
#[derive(Debug)]
pub(crate) struct CodeTable {
    shards: Box<[RwLock<B256Map<Code>>]>,
    hashes: Region,
    next: Mutex<u32>,
}

#[derive(Clone, Debug)]
struct Code {
    number: u32,
    bytecode: Bytecode,
}

impl CodeTable {
    pub(crate) fn new() -> Result<Self, OutOfMemory> {
        let table = Self {
            shards: (0..CODE_SHARDS).map(|_| RwLock::default()).collect(),
            hashes: Region::reserve(CODES_MAX as usize * 4)?,
            next: Mutex::new(NO_CODE + 1),
        };
        table.set_hash(NO_CODE, &KECCAK256_EMPTY);
        Ok(table)
    }

    fn shard(&self, hash: &B256) -> &RwLock<B256Map<Code>> {
        &self.shards[hash[0] as usize % CODE_SHARDS]
    }

    /// The code with this hash; that of [`KECCAK256_EMPTY`] is always there.
    pub(crate) fn get(&self, hash: &B256) -> Option<Bytecode> {
        if *hash == KECCAK256_EMPTY {
            return Some(Bytecode::default());
        }
        self.shard(hash)
            .read()
            .get(hash)
            .map(|code| code.bytecode.clone())
    }

    /// The number of the code with this hash, if it is in the table.
    pub(crate) fn number(&self, hash: &B256) -> Option<u32> {
        if *hash == KECCAK256_EMPTY {
            return Some(NO_CODE);
        }
        self.shard(hash).read().get(hash).map(|code| code.number)
    }

    /// The hash of a numbered code. It is written once, before its number is known to anybody.
    pub(crate) fn hash(&self, number: u32) -> B256 {
        if number == NO_CODE {
            return KECCAK256_EMPTY;
        }
        let words = &self.hashes.words()[number as usize * 4..][..4];
        let mut hash = B256::ZERO;
        for (bytes, word) in hash.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.load(Acquire).to_ne_bytes());
        }
        hash
    }

    fn set_hash(&self, number: u32, hash: &B256) {
        let words = &self.hashes.words()[number as usize * 4..][..4];
        for (bytes, word) in hash.chunks_exact(8).zip(words) {
            let bytes = bytes.try_into().expect("chunks of eight");
            word.store(u64::from_ne_bytes(bytes), Release);
        }
    }

    /// Analyses the code in `changes` that is not in the table yet. Analysis takes long, so it comes before the locks
    /// of a commit; insertion comes after its validation, so a failed commit leaves no code behind.
    pub(crate) fn analyse_new(&self, changes: &[AccountChange]) -> Vec<(B256, Bytecode)> {
        let new = |code: &&CodeChange| !code.code.is_empty() && self.number(&code.hash).is_none();
        changes
            .iter()
            .filter_map(|change| change.code.as_ref())
            .filter(new)
            .map(|code| (code.hash, analyse(code)))
            .collect()
    }

    /// Adds code that is not there yet.
    ///
    /// # Panics
    /// If there are 2^30 codes.
    pub(crate) fn insert(&self, codes: impl IntoIterator<Item = (B256, Bytecode)>) {
        for (hash, bytecode) in codes {
            let mut shard = self.shard(&hash).write();
            if shard.contains_key(&hash) {
                continue;
            }
            let number = {
                let mut next = self.next.lock();
                assert!(*next < CODES_MAX, "an account names its code with 30 bits");
                *next += 1;
                *next - 1
            };
            self.set_hash(number, &hash);
            shard.insert(hash, Code { number, bytecode });
        }
    }
}

/// Analyses code.
pub(crate) fn analyse(code: &CodeChange) -> Bytecode {
    code.bytecode()
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Bytes, bytes};

    use super::*;

    #[test]
    fn old_code_that_looks_like_a_delegation_is_code() {
        let raw: Bytes = bytes!("ef0100aabb");
        let code = analyse(&CodeChange::new(raw.clone()));
        assert!(code.is_legacy());
        assert_eq!(code.original_bytes(), raw);
        let delegation: Bytes = [&[0xef, 0x01, 0x00][..], &[7; 20]].concat().into();
        assert!(analyse(&CodeChange::new(delegation)).is_eip7702());
    }

    #[test]
    fn a_number_has_one_hash_and_a_hash_one_number() {
        let table = CodeTable::new().unwrap();
        let codes: Vec<_> = (1..4u8)
            .map(|byte| CodeChange::new(Bytes::from(vec![byte])))
            .collect();
        for _ in 0..2 {
            table.insert(codes.iter().map(|code| (code.hash, analyse(code))));
        }
        for code in &codes {
            let number = table.number(&code.hash).unwrap();
            assert_eq!(table.hash(number), code.hash);
            assert_eq!(table.get(&code.hash).unwrap().original_bytes(), code.code);
        }
        assert_eq!(table.number(&B256::ZERO), None);
        assert_eq!(
            table.hash(table.number(&KECCAK256_EMPTY).unwrap()),
            KECCAK256_EMPTY
        );
    }
}
