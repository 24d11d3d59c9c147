//! Threads that execute: started once, parked between blocks.

use std::num::NonZeroUsize;

use alloy_consensus::Transaction;
use rapid_primitives::TransactionSigned;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::Pinning;

/// Stack of a worker. Calls of contracts nest in frames on the heap; what is left is that of precompiles and compiled code.
const STACK_BYTES: usize = 8 << 20;

/// Gas limits of transactions that are worth waking the workers for, together. Waking them and building the index of a hint
/// takes about as long as a dozen transfers.
const LEAST_GAS: u64 = 500_000;

/// Why workers could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the executor's threads: {0}")]
pub struct WorkersError(#[from] rayon::ThreadPoolBuildError);

/// A fixed number of workers: the calling thread, and threads that are parked while there is nothing to do.
///
/// Whoever runs something on them takes part; so one worker is no thread at all.
#[derive(Debug)]
pub struct Workers {
    count: NonZeroUsize,
    /// The others; `None` if the caller is the only one.
    others: Option<ThreadPool>,
    least_gas: u64,
}

impl Workers {
    /// Starts all threads but the caller's, which stays where it is.
    ///
    /// # Errors
    /// [`WorkersError`] if the system gives no thread.
    pub fn start(count: NonZeroUsize, pinning: &Pinning) -> Result<Self, WorkersError> {
        let others = match count.get() - 1 {
            0 => None,
            others => Some(pool(others, pinning.clone())?),
        };
        Ok(Self {
            count,
            others,
            least_gas: LEAST_GAS,
        })
    }

    /// Number of workers, the caller among them.
    #[must_use]
    pub const fn count(&self) -> NonZeroUsize {
        self.count
    }

    /// The same workers for every block, however small it is and however few they are.
    #[must_use]
    pub const fn for_every_block(mut self) -> Self {
        self.least_gas = 0;
        self
    }

    /// Whether many workers are faster with these transactions than one after the other is.
    #[must_use]
    pub fn pay_off_for(&self, transactions: &[TransactionSigned]) -> bool {
        if self.least_gas == 0 {
            return true;
        }
        let gas = transactions.iter().fold(0_u64, |gas, transaction| {
            gas.saturating_add(transaction.gas_limit())
        });
        self.others.is_some() && transactions.len() > 1 && gas >= self.least_gas
    }

    /// Runs `others` on each of the other workers, and `own` on this thread meanwhile. Returns when all are done.
    ///
    /// One caller at a time gets the threads; a second waits for them, with its own part already under way.
    pub(crate) fn run<R>(&self, others: impl Fn() + Sync, own: impl FnOnce() -> R) -> R {
        let Some(pool) = &self.others else { return own() };
        let others = &others;
        pool.in_place_scope(|scope| {
            scope.spawn_broadcast(move |_, _| others());
            own()
        })
    }
}

fn pool(count: usize, pinning: Pinning) -> Result<ThreadPool, WorkersError> {
    let pool = ThreadPoolBuilder::new()
        .num_threads(count)
        .stack_size(STACK_BYTES)
        .thread_name(|worker| format!("executor-{}", worker + 1))
        .start_handler(move |worker| pinning.pin(worker + 1))
        .build()?;
    Ok(pool)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    fn workers(count: usize) -> Workers {
        let count = NonZeroUsize::new(count).expect("not zero");
        Workers::start(count, &Pinning::Free).expect("threads")
    }

    #[test]
    fn everybody_takes_part_once() {
        for count in [1, 2, 5] {
            let workers = workers(count);
            for _ in 0..20 {
                let others = AtomicUsize::new(0);
                let count_up = || {
                    others.fetch_add(1, SeqCst);
                };
                let own = workers.run(count_up, || 7);
                assert_eq!((own, others.into_inner()), (7, count - 1));
            }
        }
    }
}
