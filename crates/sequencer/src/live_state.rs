//! The newest state, read and written in place: there is no overlay and no cache beside it.

use alloy_primitives::{Address, B256, U256};
use rapid_primitives::{Account, AccountChange, ReadState, WriteState};
use rapid_state::{Newest, ReadSet, State};
use revm::bytecode::Bytecode;

/// The state as the one sequential executor sees it: every commit is unconditional, since nobody else commits.
#[derive(Debug)]
pub(crate) struct LiveState {
    state: State,
    newest: Newest,
    no_reads: ReadSet,
}

impl LiveState {
    pub(crate) fn new(state: State) -> Self {
        Self {
            newest: state.newest(),
            no_reads: ReadSet::new(),
            state,
        }
    }
}

impl ReadState for LiveState {
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

impl WriteState for LiveState {
    fn apply(&mut self, changes: &[AccountChange]) -> Result<(), Self::Error> {
        self.state
            .commit(&self.no_reads, changes)
            .expect("an unconditional commit has no conflict");
        Ok(())
    }
}
