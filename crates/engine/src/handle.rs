//! How others reach the engine.

use alloy_rpc_types_engine::{ForkchoiceUpdated, PayloadStatus};
use crossbeam_channel::{Sender, TrySendError};
use tokio::sync::{broadcast, oneshot};

use crate::{EngineError, EngineEvent, Forkchoice, ForkchoiceUpdate, NewPayload};

/// Requests that may wait for the engine. A consensus client waits for each answer before it sends the next; beyond
/// this bound a request is refused with [`EngineError::Busy`].
pub const REQUEST_QUEUE_LEN: usize = 64;

/// A request and where its answer goes.
#[derive(Debug)]
pub(crate) enum Request {
    NewPayload(
        Box<NewPayload>,
        oneshot::Sender<Result<PayloadStatus, EngineError>>,
    ),
    ForkchoiceUpdated(
        Box<ForkchoiceUpdate>,
        oneshot::Sender<Result<ForkchoiceUpdated, EngineError>>,
    ),
}

/// Sends requests to the engine. Cheap to clone; requests are answered in the order in which they were sent.
#[derive(Clone, Debug)]
pub struct EngineHandle {
    pub(crate) requests: Sender<Request>,
    pub(crate) forkchoice: Forkchoice,
    pub(crate) events: broadcast::Sender<EngineEvent>,
}

impl EngineHandle {
    /// Checks a payload, and executes it if its parent is known.
    ///
    /// # Errors
    /// [`EngineError`] if nothing can be said of the payload. That it is invalid is an answer.
    pub async fn new_payload(&self, payload: NewPayload) -> Result<PayloadStatus, EngineError> {
        self.ask(|answer| Request::NewPayload(Box::new(payload), answer))
            .await
    }

    /// Makes a block the head, and sets the safe and the finalized block.
    ///
    /// # Errors
    /// [`EngineError`]; the head is what it was, unless it is the attributes that do not fit.
    pub async fn forkchoice_updated(
        &self,
        update: ForkchoiceUpdate,
    ) -> Result<ForkchoiceUpdated, EngineError> {
        self.ask(|answer| Request::ForkchoiceUpdated(Box::new(update), answer))
            .await
    }

    /// The safe and the finalized block.
    #[must_use]
    pub const fn forkchoice(&self) -> &Forkchoice {
        &self.forkchoice
    }

    /// What the engine does from now on. A listener that is [`crate::ENGINE_EVENT_QUEUE_LEN`] behind loses the oldest.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<EngineEvent> {
        self.events.subscribe()
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, EngineError>>) -> Request,
    ) -> Result<T, EngineError> {
        let (answer, answered) = oneshot::channel();
        self.requests
            .try_send(request(answer))
            .map_err(|error| match error {
                TrySendError::Full(_) => {
                    metrics::counter!("rapid_reth_engine_busy_total").increment(1);
                    EngineError::Busy
                }
                TrySendError::Disconnected(_) => EngineError::stopped(),
            })?;
        metrics::gauge!("rapid_reth_engine_queued_requests").set(self.requests.len() as f64);
        answered.await.map_err(|_| EngineError::stopped())?
    }
}

#[cfg(test)]
mod tests {
    use rapid_chain::{Chain, ChainConfig};
    use rapid_chainspec::ChainSpec;

    use super::*;
    use crate::ForkchoiceVersion;

    #[test]
    fn requests_beyond_the_bound_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let opened = Chain::open(ChainSpec::dev().into(), &ChainConfig::new(dir.path().into())).unwrap();
        let (requests, _waiting) = crossbeam_channel::bounded(0);
        let handle = EngineHandle {
            requests,
            forkchoice: Forkchoice::new(opened.chain.clone()),
            events: broadcast::channel(1).0,
        };
        let update = ForkchoiceUpdate {
            version: ForkchoiceVersion::V1,
            state: Default::default(),
            attributes: None,
        };
        let mut call = std::pin::pin!(handle.forkchoice_updated(update));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let refused = call.as_mut().poll(&mut context);
        assert_eq!(refused, std::task::Poll::Ready(Err(EngineError::Busy)));
        opened.driver.shutdown().unwrap();
    }
}
