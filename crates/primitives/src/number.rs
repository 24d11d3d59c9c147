//! Number newtypes: counters of different kinds never mix.

use alloy_rlp::{RlpDecodableWrapper, RlpEncodableWrapper};
use serde::{Deserialize, Serialize};

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
            RlpEncodableWrapper, RlpDecodableWrapper, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The number after this one.
            ///
            /// # Panics
            /// On overflow of 64 bits, which no chain reaches.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter! {
    /// Number of a mini-block, counted from genesis over all EVM blocks; it never skips. Genesis is 0 and has no
    /// record, the first sealed mini-block is 1.
    MiniBlockNumber
}

counter! {
    /// Position of a state commit in the one total order of commits. It is the version readers ask for and the
    /// version writers validate against; it never goes back, not even on a reorg.
    CommitSequence
}

counter! {
    /// Index of a transaction inside its EVM block, from 0.
    TransactionIndex
}
