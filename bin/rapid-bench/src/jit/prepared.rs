//! A workload that is ready to run.

use super::{
    machine::{BenchEvm, Engine, Outcome, Tally, commit_all, transaction},
    workload::Workload,
};
use eyre::OptionExt;
use revm::{context::TxEnv, database::InMemoryDB};

/// A workload whose state is set up.
pub(crate) struct Prepared {
    pub(crate) state: InMemoryDB,
    pub(crate) transactions: Vec<TxEnv>,
}

impl Prepared {
    /// Runs the setup.
    ///
    /// # Errors
    /// If it fails.
    pub(crate) fn of(workload: &Workload) -> eyre::Result<Self> {
        let mut state = workload.genesis();
        commit_all(&mut state, &workload.setup)?;
        Ok(Self {
            state,
            transactions: workload.transactions.iter().map(transaction).collect(),
        })
    }

    /// Runs the transactions once in the interpreter and tallies.
    ///
    /// # Errors
    /// If a transaction is invalid.
    pub(crate) fn tally(&self) -> eyre::Result<Tally> {
        let mut evm = BenchEvm::new(&self.state, Engine::Counting(Box::default()));
        evm.run(&self.transactions)?;
        evm.into_tally().ok_or_eyre("no tally")
    }

    /// Runs the transactions once in the interpreter.
    ///
    /// # Errors
    /// If a transaction is invalid.
    pub(crate) fn outcome(&self) -> eyre::Result<Outcome> {
        BenchEvm::new(&self.state, Engine::Interpreter).run(&self.transactions)
    }
}
