//! Everything a transaction leaves, and how two of them differ.

use std::fmt::Debug;

use revm::{
    context::{
        ContextSetters, ContextTr, JournalTr, TxEnv,
        result::{EVMError, ExecutionResult, HaltReason},
    },
    handler::{EthFrame, EvmTr, Handler, MainnetHandler, PrecompileProvider},
    interpreter::{Host, InterpreterResult},
    state::{Account, EvmState},
};

use crate::differential::{FrameEvent, RunFrame, Trace, TracedEvm};

/// What a transaction left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Its result, or why it was refused.
    pub outcome: Result<ExecutionResult<HaltReason>, String>,
    /// The journal's state: every account and slot that was looked at.
    pub state: EvmState,
    /// What its frames did.
    pub trace: Trace,
}

impl<C, P, R> TracedEvm<C, P, R>
where
    C: ContextTr<Journal: JournalTr<State = EvmState>, Tx = TxEnv> + ContextSetters + Host,
    P: PrecompileProvider<C, Output = InterpreterResult>,
    R: RunFrame,
{
    /// Executes a transaction and forgets it.
    pub fn observe(&mut self, transaction: TxEnv) -> Observation {
        self.trace.clear();
        self.inner.ctx.set_tx(transaction);
        let outcome = self.run_handler();
        Observation {
            outcome,
            state: self.ctx().journal_mut().finalize(),
            trace: self.trace.clone(),
        }
    }

    fn run_handler(&mut self) -> Result<ExecutionResult<HaltReason>, String> {
        MainnetHandler::<Self, EVMError<<C::Db as revm::Database>::Error>, EthFrame>::default()
            .run(self)
            .map_err(|error| error.to_string())
    }
}

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aspect {
    /// The frames did different things on the way.
    Trace,
    /// The result.
    Outcome,
    /// The state.
    State,
}

/// A difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// In what.
    pub aspect: Aspect,
    /// The first place of it.
    pub place: String,
    /// The reference's.
    pub expected: String,
    /// The other's.
    pub found: String,
}

impl Mismatch {
    fn new(aspect: Aspect, place: impl Into<String>, expected: &impl Debug, found: &impl Debug) -> Self {
        Self {
            aspect,
            place: place.into(),
            expected: format!("{expected:?}"),
            found: format!("{found:?}"),
        }
    }
}

/// The first difference in each aspect.
#[must_use]
pub fn mismatches(expected: &Observation, found: &Observation) -> Vec<Mismatch> {
    if expected == found {
        return Vec::new();
    }
    [
        trace_mismatch(&expected.trace, &found.trace),
        (expected.outcome != found.outcome)
            .then(|| Mismatch::new(Aspect::Outcome, "result", &expected.outcome, &found.outcome)),
        state_mismatch(&expected.state, &found.state),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn trace_mismatch(expected: &Trace, found: &Trace) -> Option<Mismatch> {
    if expected == found {
        return None;
    }
    let length = expected.events().len().max(found.events().len());
    let different = (0..length).find(|&index| expected.events().get(index) != found.events().get(index));
    let Some(index) = different else {
        let place = "after the events that are kept";
        return Some(Mismatch::new(Aspect::Trace, place, &expected.len(), &found.len()));
    };
    let event = |trace: &Trace| -> Option<FrameEvent> { trace.events().get(index).copied() };
    Some(Mismatch::new(
        Aspect::Trace,
        format!("frame event {index}"),
        &event(expected),
        &event(found),
    ))
}

fn state_mismatch(expected: &EvmState, found: &EvmState) -> Option<Mismatch> {
    let mut addresses: Vec<_> = expected.keys().chain(found.keys()).collect();
    addresses.sort();
    let address = addresses
        .into_iter()
        .find(|address| expected.get(*address) != found.get(*address))?;
    let (Some(left), Some(right)) = (expected.get(address), found.get(address)) else {
        let place = format!("account {address}");
        return Some(Mismatch::new(
            Aspect::State,
            place,
            &expected.get(address).map(|account| account.status),
            &found.get(address).map(|account| account.status),
        ));
    };
    Some(account_mismatch(&format!("account {address}"), left, right))
}

fn account_mismatch(place: &str, expected: &Account, found: &Account) -> Mismatch {
    let mut keys: Vec<_> = expected.storage.keys().chain(found.storage.keys()).collect();
    keys.sort();
    let slot = keys
        .into_iter()
        .find(|key| expected.storage.get(*key) != found.storage.get(*key));
    match slot {
        Some(key) => Mismatch::new(
            Aspect::State,
            format!("{place} slot {key:#x}"),
            &expected.storage.get(key),
            &found.storage.get(key),
        ),
        None => Mismatch::new(
            Aspect::State,
            place,
            &(&expected.info, expected.status, expected.original_info()),
            &(&found.info, found.status, found.original_info()),
        ),
    }
}
