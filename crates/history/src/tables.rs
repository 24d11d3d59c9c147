//! The tables, under reth's names where it has them.

use std::fmt;

use signet_libmdbx::{Database, DatabaseFlags, MdbxResult, Rw, TxUnsync};

/// A table. Numbers as keys are big-endian, so that the order of bytes is the order of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    /// Block number to block hash.
    CanonicalHeaders,
    /// Block number to the RLP of the header.
    Headers,
    /// Block hash to block number.
    HeaderNumbers,
    /// Block number to number of its first transaction and number of transactions.
    BlockBodyIndices,
    /// Block number to the RLP of its ommers; absent without ommers.
    BlockOmmers,
    /// Block number to the RLP of its withdrawals; absent before Shanghai.
    BlockWithdrawals,
    /// Block number to the number of the mini-block that closed the block.
    BlockMiniBlocks,
    /// Transaction number to the EIP-2718 bytes of the transaction.
    Transactions,
    /// Transaction number to its sender.
    TransactionSenders,
    /// Transaction number to its receipt with gas used and index of the first log.
    Receipts,
    /// Transaction hash to transaction number.
    TransactionHashNumbers,
    /// Number of the last transaction of a block to the number of the block; blocks without transactions are absent.
    TransactionBlocks,
    /// Address and block number to the RLP of the account before that block; empty when it did not exist.
    AccountHistory,
    /// Address, slot and block number to the value before that block, without leading zeros.
    StorageHistory,
    /// Block number and number of a chunk to the keys the block has in the two tables above, so that nothing has to be
    /// searched to take the block back.
    BlockChanges,
    /// Code hash to code, of every contract that was ever deployed.
    Bytecodes,
    /// Name of a stage to the number of the last block it has done.
    StageCheckpoints,
    /// What the database is: schema version and chain; and from where on it has what blocks changed.
    Meta,
}

impl Table {
    /// All of them, in the order of their discriminants.
    pub(crate) const ALL: [Self; 18] = [
        Self::CanonicalHeaders,
        Self::Headers,
        Self::HeaderNumbers,
        Self::BlockBodyIndices,
        Self::BlockOmmers,
        Self::BlockWithdrawals,
        Self::BlockMiniBlocks,
        Self::Transactions,
        Self::TransactionSenders,
        Self::Receipts,
        Self::TransactionHashNumbers,
        Self::TransactionBlocks,
        Self::AccountHistory,
        Self::StorageHistory,
        Self::BlockChanges,
        Self::Bytecodes,
        Self::StageCheckpoints,
        Self::Meta,
    ];

    /// Name in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CanonicalHeaders => "CanonicalHeaders",
            Self::Headers => "Headers",
            Self::HeaderNumbers => "HeaderNumbers",
            Self::BlockBodyIndices => "BlockBodyIndices",
            Self::BlockOmmers => "BlockOmmers",
            Self::BlockWithdrawals => "BlockWithdrawals",
            Self::BlockMiniBlocks => "BlockMiniBlocks",
            Self::Transactions => "Transactions",
            Self::TransactionSenders => "TransactionSenders",
            Self::Receipts => "Receipts",
            Self::TransactionHashNumbers => "TransactionHashNumbers",
            Self::TransactionBlocks => "TransactionBlocks",
            Self::AccountHistory => "AccountHistory",
            Self::StorageHistory => "StorageHistory",
            Self::BlockChanges => "BlockChanges",
            Self::Bytecodes => "Bytecodes",
            Self::StageCheckpoints => "StageCheckpoints",
            Self::Meta => "Meta",
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Handles of the open tables. They stay valid as long as the environment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tables([Database; Table::ALL.len()]);

impl Tables {
    /// Opens the tables, creates those that are missing.
    pub(crate) fn create(tx: &TxUnsync<Rw>) -> MdbxResult<Self> {
        let mut handles = [Database::freelist_db(); Table::ALL.len()];
        for table in Table::ALL {
            handles[table as usize] = tx.create_db(Some(table.name()), DatabaseFlags::empty())?;
        }
        Ok(Self(handles))
    }

    pub(crate) const fn get(&self, table: Table) -> Database {
        self.0[table as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_the_discriminants() {
        for (index, table) in Table::ALL.into_iter().enumerate() {
            assert_eq!(table as usize, index);
        }
    }
}
