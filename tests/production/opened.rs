//! A block in execution on a state of its own.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc};

use rapid_chainspec::EthereumHardforks;
use rapid_evm::{BlockEnd, BlockExecutor, ExecutionError, StateDb};
use rapid_primitives::{AccessListMerger, Account, ReadState};
use rapid_state::{Newest, State};

use crate::{
    Content, Fault, Hashes, Subject,
    outcome::{Outcome, Step, sorted},
};

/// A block whose transactions come next.
pub(crate) struct Opened<'a> {
    pub(crate) subject: &'a Subject<'a>,
    pub(crate) state: State,
    pub(crate) executor: BlockExecutor<Newest, Hashes>,
    /// What was touched so far, as the mini-blocks of a block tell it.
    touched: AccessListMerger,
}

/// Why the sequencer executes a block's transactions one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plain {
    /// Fees are not withheld before Shanghai.
    BeforeShanghai,
    /// The first fee of nothing would remove the beneficiary.
    EmptyBeneficiary,
}

impl<'a> Opened<'a> {
    /// Executes what precedes the transactions, on a state that holds `before`.
    pub(crate) fn new(subject: &'a Subject<'a>, before: &Content) -> Result<Self, Fault> {
        let state = before.state()?;
        let database = StateDb::new(state.newest(), subject.hashes.clone());
        let mut executor = BlockExecutor::new(
            Arc::clone(&subject.rules.spec),
            subject.environment.clone(),
            database,
            &subject.rules.compiler,
        );
        if let Some(parent_hash) = subject.parent_hash {
            executor.begin().map_err(failed)?;
            executor.store_parent_hash(parent_hash).map_err(failed)?;
        }
        Ok(Self {
            subject,
            state,
            executor,
            touched: AccessListMerger::default(),
        })
    }

    /// The account that fees go to, as it is now.
    pub(crate) fn beneficiary(&self) -> Option<Account> {
        let Ok(account) = self
            .executor
            .state()
            .account(&self.subject.environment.beneficiary);
        account
    }

    /// Why the sequencer would not give this block to workers, if so: the rule of its `may_withhold_fees`.
    pub(crate) fn plain(&self) -> Option<Plain> {
        let spec = &self.subject.rules.spec;
        let timestamp = self.subject.environment.timestamp;
        if !spec.is_shanghai_active_at_timestamp(timestamp) {
            Some(Plain::BeforeShanghai)
        } else if self.beneficiary().is_some_and(|account| account.is_empty()) {
            Some(Plain::EmptyBeneficiary)
        } else {
            None
        }
    }

    /// Executes what follows the transactions, and looks at everything there is then.
    pub(crate) fn close(
        mut self,
        steps: Vec<Step>,
        refused: BTreeMap<usize, String>,
    ) -> Result<Outcome, Fault> {
        let (gas_used, blob_gas_used) = (self.executor.gas_used(), self.executor.blob_gas_used());
        let end = match self.subject.parent_hash {
            Some(_) => self.end(),
            None => Ok(BlockEnd::default()),
        };
        self.end_part();
        let version = self.state.cut();
        self.state.publish(version);
        let version = self.state.published();
        Ok(Outcome {
            steps,
            refused,
            end,
            access_list: self.subject.has_access_list().then(|| self.touched.finish()),
            gas_used,
            blob_gas_used,
            after: Content::of(&version)?,
            version,
        })
    }

    fn end(&mut self) -> Result<BlockEnd, String> {
        let end = self
            .executor
            .conclude(self.subject.withdrawals, self.subject.ommers);
        let end = end.map_err(|error| error.to_string())?;
        Ok(BlockEnd {
            changes: sorted(end.changes),
            ..end
        })
    }

    /// Ends a mini-block, as far as the access list is concerned.
    pub(crate) fn end_part(&mut self) {
        if let Some(accesses) = self.executor.take_accesses() {
            self.touched.push(accesses.finish());
        }
    }
}

pub(crate) fn failed(error: ExecutionError<Infallible>) -> Fault {
    Fault::Execution(error.to_string())
}
