//! Contract code by hash: append-only, analysed once.

use alloy_primitives::{B256, KECCAK256_EMPTY, map::B256Map};
use parking_lot::RwLock;
use rapid_primitives::{AccountChange, CodeChange};
use revm::bytecode::Bytecode;

const CODE_SHARDS: usize = 64;

/// All code that a committed account ever had. It is never removed: bringing code in costs its sender 200 gas a byte.
#[derive(Debug)]
pub(crate) struct CodeTable {
    shards: Box<[RwLock<B256Map<Bytecode>>]>,
}

impl CodeTable {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..CODE_SHARDS).map(|_| RwLock::default()).collect(),
        }
    }

    fn shard(&self, hash: &B256) -> &RwLock<B256Map<Bytecode>> {
        &self.shards[hash[0] as usize % CODE_SHARDS]
    }

    /// The code with this hash; that of [`KECCAK256_EMPTY`] is always there.
    pub(crate) fn get(&self, hash: &B256) -> Option<Bytecode> {
        if *hash == KECCAK256_EMPTY {
            return Some(Bytecode::default());
        }
        self.shard(hash).read().get(hash).cloned()
    }

    /// Analyses the code in `changes` that is not in the table yet. Analysis takes long, so it comes before the locks
    /// of a commit; insertion comes after its validation, so a failed commit leaves no code behind.
    pub(crate) fn analyse_new(&self, changes: &[AccountChange]) -> Vec<(B256, Bytecode)> {
        let new = |code: &&CodeChange| {
            !code.code.is_empty() && !self.shard(&code.hash).read().contains_key(&code.hash)
        };
        changes
            .iter()
            .filter_map(|change| change.code.as_ref())
            .filter(new)
            .map(|code| (code.hash, analyse(code)))
            .collect()
    }

    pub(crate) fn insert(&self, codes: Vec<(B256, Bytecode)>) {
        for (hash, code) in codes {
            self.shard(&hash).write().entry(hash).or_insert(code);
        }
    }
}

/// Analyses code. Anything that is not a well-formed delegation (EIP-7702) is plain code: contracts from before
/// EIP-3541 may begin with the same bytes.
pub(crate) fn analyse(code: &CodeChange) -> Bytecode {
    Bytecode::new_raw_checked(code.code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code.code.clone()))
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
}
