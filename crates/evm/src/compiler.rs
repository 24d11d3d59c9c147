//! The compiler as execution sees it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use rapid_jit::runtime::{HeatSource, Runtime};

use crate::shadow;

/// How many transactions that ran compiled code there are to one that is executed again by the interpreter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShadowInterval(u64);

impl ShadowInterval {
    /// None is executed again.
    pub const NEVER: Self = Self(0);

    /// One in so many; zero is [`Self::NEVER`].
    #[must_use]
    pub const fn one_in(transactions: u64) -> Self {
        Self(transactions)
    }
}

impl Default for ShadowInterval {
    /// One in a thousand costs a thousandth of the time that compiled code takes, and finds within seconds of load what
    /// goes wrong often.
    fn default() -> Self {
        Self(1000)
    }
}

/// Which compiler an EVM takes code from: one, or none and everything is interpreted. Cloning it costs one reference
/// count.
#[derive(Clone, Debug, Default)]
pub struct Compiler {
    attached: Option<Arc<Attached>>,
    heat_source: HeatSource,
}

#[derive(Debug)]
struct Attached {
    runtime: Arc<Runtime>,
    interval: ShadowInterval,
    /// Transactions that ran compiled code.
    compiled_transactions: AtomicU64,
}

impl Compiler {
    /// Everything is interpreted.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            attached: None,
            heat_source: HeatSource::Transaction,
        }
    }

    /// Code of a runtime, checked against the interpreter at this interval.
    #[must_use]
    pub fn new(runtime: Arc<Runtime>, interval: ShadowInterval) -> Self {
        shadow::announce();
        let attached = Attached {
            runtime,
            interval,
            compiled_transactions: AtomicU64::new(0),
        };
        Self {
            attached: Some(Arc::new(attached)),
            heat_source: HeatSource::Transaction,
        }
    }

    /// The same for what nobody pays for: calls and estimates heat contracts less.
    #[must_use]
    pub fn for_calls(&self) -> Self {
        Self {
            attached: self.attached.clone(),
            heat_source: HeatSource::Call,
        }
    }

    /// The runtime behind it.
    #[must_use]
    pub fn runtime(&self) -> Option<&Arc<Runtime>> {
        self.attached.as_ref().map(|attached| &attached.runtime)
    }

    pub(crate) const fn heat_source(&self) -> HeatSource {
        self.heat_source
    }

    /// Whether the next transaction is to be executed again if it runs compiled code. Concurrent transactions may both
    /// be.
    pub(crate) fn is_shadow_due(&self) -> bool {
        self.attached.as_ref().is_some_and(|attached| {
            let next = attached.compiled_transactions.load(Relaxed).wrapping_add(1);
            attached.interval != ShadowInterval::NEVER && next.is_multiple_of(attached.interval.0)
        })
    }

    /// Counts a transaction that ran compiled code.
    pub(crate) fn ran_compiled(&self) {
        if let Some(attached) = &self.attached {
            attached.compiled_transactions.fetch_add(1, Relaxed);
        }
    }
}
