//! The newest state, read and written in place by one executor, as the sequencer's loop does.

use alloy_primitives::{Address, B256, U256};
use rapid_primitives::{Account, AccountChange, ReadState, WriteState};
use rapid_state::{Newest, ReadSet, State};
use revm::bytecode::Bytecode;

/// A state that nobody else writes to.
#[derive(Debug)]
pub(crate) struct InPlace {
    state: State,
    newest: Newest,
    no_reads: ReadSet,
}

impl InPlace {
    /// The newest values of a state.
    pub(crate) fn new(state: State) -> Self {
        Self {
            newest: state.newest(),
            no_reads: ReadSet::new(),
            state,
        }
    }
}

impl ReadState for InPlace {
    type Error = <Newest as ReadState>::Error;

    fn account(&self, address: &Address) -> Result<Option<Account>, Self::Error> {
        self.newest.account(address)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, Self::Error> {
        self.newest.storage(address, slot)
    }

    fn code(&self, hash: &B256) -> Result<Option<Bytecode>, Self::Error> {
        self.newest.code(hash)
    }
}

impl WriteState for InPlace {
    fn apply(&mut self, changes: &[AccountChange]) -> Result<(), Self::Error> {
        self.state
            .commit(&self.no_reads, changes)
            .expect("a commit that read nothing has no conflict");
        Ok(())
    }
}
