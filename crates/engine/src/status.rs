//! From what the chain says of a block to what the consensus client is told: the decision table.

use alloy_primitives::B256;
use alloy_rpc_types_engine::{PayloadStatus, PayloadStatusEnum};
use rapid_chain::{ChainError, ImportError};
use rapid_primitives::Header;

/// What became of a block that was handed to the chain.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The parent, or the state after it, is not there.
    NotReady,
    /// It breaks a rule, or an ancestor does; the hash is that of its nearest valid ancestor.
    Invalid { reason: String, last_valid: B256 },
    /// This node failed.
    Failed(ImportError),
}

impl Refusal {
    /// `parent` is the hash in the block's header.
    pub(crate) fn of(error: ImportError, parent: B256) -> Self {
        match error {
            ImportError::UnknownParent { .. } | ImportError::Chain(ChainError::StateUnavailable(_)) => {
                Self::NotReady
            }
            ImportError::InvalidAncestor { last_valid, .. } => Self::Invalid {
                reason: error.to_string(),
                last_valid,
            },
            error if error.is_invalid_block() => Self::Invalid {
                reason: error.to_string(),
                last_valid: parent,
            },
            error => Self::Failed(error),
        }
    }
}

/// `latestValidHash` of an invalid block: its nearest valid ancestor, or zero if that was made by work. `None` if it is
/// not known.
pub(crate) fn latest_valid_hash(ancestor: Option<(B256, &Header)>) -> Option<B256> {
    ancestor.map(|(hash, header)| {
        if header.difficulty.is_zero() {
            hash
        } else {
            B256::ZERO
        }
    })
}

/// The block is valid.
pub(crate) const fn valid(hash: B256) -> PayloadStatus {
    PayloadStatus::new(PayloadStatusEnum::Valid, Some(hash))
}

/// Nothing can be said of the block before its ancestors are there.
pub(crate) const fn syncing() -> PayloadStatus {
    PayloadStatus::from_status(PayloadStatusEnum::Syncing)
}

/// The block is invalid.
pub(crate) const fn invalid(reason: String, latest_valid_hash: Option<B256>) -> PayloadStatus {
    PayloadStatus::new(
        PayloadStatusEnum::Invalid {
            validation_error: reason,
        },
        latest_valid_hash,
    )
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;

    use super::*;

    const PARENT: B256 = B256::repeat_byte(1);
    const OLDER: B256 = B256::repeat_byte(2);

    fn last_valid(error: ImportError) -> Option<B256> {
        match Refusal::of(error, PARENT) {
            Refusal::Invalid { last_valid, .. } => Some(last_valid),
            _ => None,
        }
    }

    #[test]
    fn the_parent_of_a_block_that_breaks_a_rule_is_the_last_valid_one() {
        let broken = ImportError::Execution {
            number: 7,
            reason: String::new(),
        };
        assert_eq!(last_valid(broken), Some(PARENT));
        let descendant = ImportError::InvalidAncestor {
            number: 7,
            last_valid: OLDER,
        };
        assert_eq!(last_valid(descendant), Some(OLDER));
    }

    #[test]
    fn a_missing_parent_or_state_says_nothing_of_the_block() {
        let unknown = ImportError::UnknownParent {
            number: 7,
            parent: PARENT,
            head_number: 1,
            head: OLDER,
        };
        assert!(matches!(Refusal::of(unknown, PARENT), Refusal::NotReady));
        let pruned = ChainError::StateUnavailable(6).into();
        assert!(matches!(Refusal::of(pruned, PARENT), Refusal::NotReady));
    }

    #[test]
    fn a_failure_of_this_node_never_makes_a_block_invalid() {
        for failure in [
            ChainError::HistoryStopped.into(),
            ChainError::DiskNearlyFull.into(),
            ChainError::MemoryNearlyFull.into(),
            ChainError::CodeMissing(OLDER).into(),
            ImportError::OpenBlock(3),
        ] {
            assert!(matches!(Refusal::of(failure, PARENT), Refusal::Failed(_)));
        }
    }

    #[test]
    fn an_ancestor_made_by_work_is_answered_as_zero_and_an_unknown_one_as_null() {
        let mut header = Header::default();
        assert_eq!(latest_valid_hash(Some((OLDER, &header))), Some(OLDER));
        header.difficulty = U256::ONE;
        assert_eq!(latest_valid_hash(Some((OLDER, &header))), Some(B256::ZERO));
        assert_eq!(latest_valid_hash(None), None);
    }

    #[test]
    fn only_valid_and_invalid_name_a_hash() {
        assert_eq!(valid(OLDER).latest_valid_hash, Some(OLDER));
        assert_eq!(syncing().latest_valid_hash, None);
        assert_eq!(invalid(String::new(), None).latest_valid_hash, None);
    }
}
