//! A block in the making: it is executed a part at a time, and each part is told of before the next.

use std::fmt::Debug;

use alloy_eips::eip2935::HISTORY_STORAGE_ADDRESS;
use alloy_hardforks::EthereumHardforks;
use rapid_primitives::{MiniBlockBody, TransactionSigned, WriteState};

use crate::{BlockAccesses, BlockExecutor, BlockHashes, BlockRules, ExecutionError, Promised};

impl<S: WriteState + Debug, H: BlockHashes + Debug> BlockExecutor<S, H> {
    /// From now on a transaction is refused that touches more addresses and slots than the block has room for (EIP-7928), and
    /// some room is kept for the end of the block. Nothing before Amsterdam. To be called before anything is executed.
    pub fn limit_accesses(&mut self) {
        let gas_limit = self.environment().gas_limit;
        if let Some(accesses) = self.accesses_mut() {
            accesses.limit(gas_limit);
        }
    }

    /// Whether a transaction fits what the block may still touch, whatever it touches, besides what is promised to others.
    ///
    /// One that does not may be executed here nevertheless: [`execute`](Self::execute) asks for what it did touch.
    pub fn fits_whatever_it_touches(&self, transaction: &TransactionSigned, promised: Promised) -> bool {
        let budget = self.accesses().and_then(BlockAccesses::budget);
        budget.is_none_or(|budget| {
            let most = BlockRules::Amsterdam.most(transaction).accesses;
            most + promised.accesses <= budget.left()
        })
    }

    /// Takes up a block whose parent's hash is known and not to be stored, as the history contract (EIP-2935) had no code when
    /// the block opened. The call that does nothing touches the contract all the same.
    pub fn pass_over_parent_hash(&mut self) {
        self.parent_hash_is_stored();
        let environment = self.environment();
        let calls =
            environment.number > 0 && self.spec().is_prague_active_at_timestamp(environment.timestamp);
        if let Some(accesses) = self.accesses_mut().filter(|_| calls) {
            accesses.touch(HISTORY_STORAGE_ADDRESS);
        }
    }

    /// Takes what was touched since the last time, or since the block was begun or taken up; `None` before Amsterdam.
    pub fn take_accesses(&mut self) -> Option<BlockAccesses> {
        self.accesses_mut().map(BlockAccesses::take)
    }

    /// What the transactions so far spent on execution and on growth of the state (EIP-8037); nothing before Amsterdam.
    pub const fn gas_dimensions(&self) -> (u64, u64) {
        self.gas.dimensions()
    }

    /// Takes up a block that was executed as far as these mini-blocks go, whose changes are in the state: restores the running
    /// totals, and what the block may still touch.
    ///
    /// # Errors
    /// [`ExecutionError::InvalidBlock`] if a deposit log does not decode; [`ExecutionError::Fatal`] if a mini-block does not
    /// say what it touched, which one that was made elsewhere does not.
    pub fn resume<'a>(
        &mut self,
        mini_blocks: impl IntoIterator<Item = &'a MiniBlockBody>,
        blob_gas_used: u64,
    ) -> Result<(), ExecutionError<S::Error>> {
        self.blob_gas_used = blob_gas_used;
        for mini_block in mini_blocks {
            self.resume_amsterdam(mini_block)?;
            for receipt in &mini_block.receipts {
                self.gas.resume_paid(receipt.cumulative_gas_used);
                self.executed += 1;
                let deposits = self.deposits_of(receipt)?;
                self.deposits.extend(deposits);
            }
        }
        Ok(())
    }

    fn resume_amsterdam(&mut self, mini_block: &MiniBlockBody) -> Result<(), ExecutionError<S::Error>> {
        let Some(accesses) = self.accesses_mut() else {
            return Ok(());
        };
        let Some(delta) = &mini_block.amsterdam else {
            let reason = "a mini-block from Amsterdam on does not say what it touched";
            return Err(ExecutionError::Fatal(reason.to_owned()));
        };
        if let Some(budget) = accesses.budget_mut() {
            budget.note_list(&delta.accesses.list(&mini_block.diff));
        }
        self.gas.resume_used(delta.execution_gas, delta.state_gas);
        Ok(())
    }
}
