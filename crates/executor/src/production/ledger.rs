//! What is handed out and what is executed, in numbers.

use rapid_evm::{BlockRules, Promised};

use super::{job::Job, outbox::Executed};

/// Transactions between being handed out and being cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ledger {
    /// Of the block in execution.
    rules: BlockRules,
    /// Handed out and not collected.
    pub(crate) in_flight: usize,
    in_flight_gas: Promised,
    in_flight_bytes: usize,
    /// Executed and not cut.
    executed_gas: Promised,
    executed_bytes: usize,
}

impl Ledger {
    /// Nothing of a block with these rules.
    pub(crate) fn new(rules: BlockRules) -> Self {
        Self {
            rules,
            in_flight: 0,
            in_flight_gas: Promised::default(),
            in_flight_bytes: 0,
            executed_gas: Promised::default(),
            executed_bytes: 0,
        }
    }

    pub(crate) fn handed_out(&mut self, job: &impl Job) {
        self.in_flight += 1;
        self.in_flight_gas = self.in_flight_gas.plus(self.most(job));
        self.in_flight_bytes += job.encoded_len();
    }

    pub(crate) fn collected(&mut self, job: &impl Job) {
        self.in_flight -= 1;
        self.in_flight_gas = self.in_flight_gas.minus(self.most(job));
        self.in_flight_bytes -= job.encoded_len();
    }

    pub(crate) fn executed<J: Job>(&mut self, executed: &Executed<J>) {
        self.executed_gas = self.executed_gas.plus(self.taken(executed));
        self.executed_bytes += executed.job.encoded_len();
    }

    pub(crate) fn cut<J: Job>(&mut self, executed: &Executed<J>) {
        self.executed_gas = self.executed_gas.minus(self.taken(executed));
        self.executed_bytes -= executed.job.encoded_len();
    }

    /// Promised to those in flight, and used by those that are executed.
    pub(crate) const fn promised(&self) -> Promised {
        self.in_flight_gas.plus(self.executed_gas)
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.in_flight_bytes + self.executed_bytes
    }

    pub(crate) const fn executed_bytes(&self) -> usize {
        self.executed_bytes
    }

    /// What a transaction may take of its block.
    fn most(&self, job: &impl Job) -> Promised {
        self.rules.most(job.transaction())
    }

    /// What it took.
    fn taken<J: Job>(&self, executed: &Executed<J>) -> Promised {
        let accesses = executed.accesses.as_ref().map_or(0, |accesses| accesses.len());
        self.rules
            .taken(executed.job.transaction(), executed.result.gas(), accesses)
    }
}
