//! Reading and writing state: the interfaces execution, simulation and proofs go through.

use alloy_primitives::{Address, B256, U256};
use revm::bytecode::Bytecode;

use crate::{Account, AccountChange};

/// A view of the state. What it answers does not depend on who else reads.
pub trait ReadState {
    /// Why a read can fail: an old version that is gone, an archive that does not answer.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The account, or `None` if it does not exist.
    ///
    /// # Errors
    /// When the view no longer can answer; never because the account is absent.
    fn account(&self, address: &Address) -> Result<Option<Account>, Self::Error>;

    /// The value of a storage slot; zero when absent.
    ///
    /// # Errors
    /// When the view no longer can answer.
    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, Self::Error>;

    /// The code with this hash, analysed; `None` if no account of the state ever had it.
    ///
    /// # Errors
    /// When the view no longer can answer.
    fn code(&self, hash: &B256) -> Result<Option<Bytecode>, Self::Error>;
}

/// A state that execution may also write to.
pub trait WriteState: ReadState {
    /// Applies the changes of one transaction (or system call) as a whole; later reads see them.
    ///
    /// # Errors
    /// When the state cannot take them; then none was applied.
    fn apply(&mut self, changes: &[AccountChange]) -> Result<(), Self::Error>;
}

impl<T: ReadState + ?Sized> ReadState for &T {
    type Error = T::Error;

    fn account(&self, address: &Address) -> Result<Option<Account>, Self::Error> {
        (**self).account(address)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, Self::Error> {
        (**self).storage(address, slot)
    }

    fn code(&self, hash: &B256) -> Result<Option<Bytecode>, Self::Error> {
        (**self).code(hash)
    }
}
