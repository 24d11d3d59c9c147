//! What is handed out and what is executed, in numbers.

use alloy_consensus::Transaction;
use rapid_evm::Promised;

use super::{job::Job, outbox::Executed};

/// Transactions between being handed out and being cut.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ledger {
    /// Handed out and not collected.
    pub(crate) in_flight: usize,
    in_flight_gas: Promised,
    in_flight_bytes: usize,
    /// Executed and not cut.
    executed_gas: Promised,
    executed_bytes: usize,
}

impl Ledger {
    pub(crate) fn handed_out(&mut self, job: &impl Job) {
        self.in_flight += 1;
        add(&mut self.in_flight_gas, promise_of(job));
        self.in_flight_bytes += job.encoded_len();
    }

    pub(crate) fn collected(&mut self, job: &impl Job) {
        self.in_flight -= 1;
        subtract(&mut self.in_flight_gas, promise_of(job));
        self.in_flight_bytes -= job.encoded_len();
    }

    pub(crate) fn executed<J: Job>(&mut self, executed: &Executed<J>) {
        add(&mut self.executed_gas, used_by(executed));
        self.executed_bytes += executed.job.encoded_len();
    }

    pub(crate) fn cut<J: Job>(&mut self, executed: &Executed<J>) {
        subtract(&mut self.executed_gas, used_by(executed));
        self.executed_bytes -= executed.job.encoded_len();
    }

    /// Promised to those in flight, and used by those that are executed.
    pub(crate) const fn promised(&self) -> Promised {
        let mut sum = self.in_flight_gas;
        add(&mut sum, self.executed_gas);
        sum
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.in_flight_bytes + self.executed_bytes
    }

    pub(crate) const fn executed_bytes(&self) -> usize {
        self.executed_bytes
    }
}

/// What a transaction may take of its block.
fn promise_of(job: &impl Job) -> Promised {
    let transaction = job.transaction();
    Promised {
        gas: transaction.gas_limit(),
        blob_gas: transaction.blob_gas_used().unwrap_or_default(),
    }
}

/// What it took.
fn used_by<J: Job>(executed: &Executed<J>) -> Promised {
    Promised {
        gas: executed.result.tx_gas_used(),
        blob_gas: executed.job.transaction().blob_gas_used().unwrap_or_default(),
    }
}

const fn add(sum: &mut Promised, more: Promised) {
    sum.gas = sum.gas.saturating_add(more.gas);
    sum.blob_gas += more.blob_gas;
}

const fn subtract(sum: &mut Promised, less: Promised) {
    sum.gas -= less.gas;
    sum.blob_gas -= less.blob_gas;
}
