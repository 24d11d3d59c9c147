//! Transactions of a block that were executed elsewhere, on exactly the state this executor has.

use std::fmt::Debug;

use rapid_primitives::{AccountChange, TransactionSigned, WriteState};
use revm::state::EvmState;

use crate::{
    AccessedKey, BlockExecutor, BlockHashes, Executed, ExecutionError, ReceiptParts, TransactionAccesses,
};

impl<S: WriteState + Debug, H: BlockHashes + Debug> BlockExecutor<S, H> {
    /// Takes in a transaction as if it had been [executed](Self::execute) here: the next one of the block, with the result and
    /// the journal it would have had.
    ///
    /// # Errors
    /// [`ExecutionError::InvalidBlock`] if a deposit log does not decode; [`ExecutionError::State`].
    pub fn take_in(
        &mut self,
        transaction: &TransactionSigned,
        result: impl Into<ReceiptParts>,
        journal: EvmState,
    ) -> Result<Executed, ExecutionError<S::Error>> {
        let result = result.into();
        let gas_used = result.gas.tx_gas_used();
        let receipt = self.absorb(transaction, result)?;
        let changes = self.commit(self.index_after_transactions() - 1, journal)?;
        Ok(Executed {
            receipt,
            gas_used,
            changes,
        })
    }

    /// Applies what transactions changed that were [absorbed](Self::absorb).
    ///
    /// # Errors
    /// [`ExecutionError::State`].
    pub fn apply_changes(&mut self, changes: &[AccountChange]) -> Result<(), ExecutionError<S::Error>> {
        self.apply(changes)
    }

    /// Adds what the transaction absorbed last touched to the block access list. Nothing before Amsterdam.
    pub fn absorb_transaction_accesses(&mut self, accesses: &TransactionAccesses) {
        let index = self.index_after_transactions() - 1;
        if let Some(list) = self.accesses_mut() {
            list.record_accesses(index, accesses);
        }
    }

    /// Adds what the transaction absorbed last touched and changed to the block access list. Nothing before Amsterdam.
    pub fn absorb_accesses(
        &mut self,
        touched: impl IntoIterator<Item = AccessedKey>,
        changes: &[AccountChange],
    ) {
        let index = self.index_after_transactions() - 1;
        if let Some(accesses) = self.accesses_mut() {
            accesses.absorb(index, touched, changes);
        }
    }
}
