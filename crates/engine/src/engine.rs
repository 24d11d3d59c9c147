//! Starting and stopping the engine's thread.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Instant,
};

use alloy_rpc_types_engine::PayloadStatus;
use crossbeam_channel::{Receiver, Sender, bounded, select};
use rapid_chain::{ChainError, ImportError, Importer, Opened};
use rapid_pool::Pool;
use tokio::sync::{broadcast, oneshot, watch};

use crate::{
    ENGINE_EVENT_QUEUE_LEN, EngineError, EngineHandle, Forkchoice, REQUEST_QUEUE_LEN, handle::Request,
    pool_follower::PoolFollower, tree::EngineTree,
};

/// Name of the thread.
const THREAD: &str = "engine";

/// Why an engine does not start, or stops. All but the first two end the process.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EngineFailure {
    /// The chain cannot be imported into.
    #[error(transparent)]
    Import(Arc<ImportError>),
    /// The thread could not be started.
    #[error("cannot start thread: {0}")]
    Thread(Arc<std::io::Error>),
    /// Log or history failed. Nothing more is announced.
    #[error(transparent)]
    Chain(Arc<ChainError>),
    /// The thread panicked; its message is on stderr.
    #[error("thread {THREAD} panicked")]
    Panicked,
}

impl From<ChainError> for EngineFailure {
    fn from(error: ChainError) -> Self {
        Self::Chain(Arc::new(error))
    }
}

/// A running engine. Stop it with [`Self::stop`].
#[derive(Debug)]
pub struct Engine {
    handle: EngineHandle,
    stop: Sender<()>,
    failure: watch::Receiver<Option<EngineFailure>>,
    thread: JoinHandle<()>,
}

impl Engine {
    /// Starts following where the chain stands. The pool is kept in step with the head.
    ///
    /// # Errors
    /// [`EngineFailure::Import`] if a sequencer left a block open; [`EngineFailure::Thread`].
    pub fn start(opened: Opened, pool: Pool) -> Result<Self, EngineFailure> {
        let importer = Importer::new(opened).map_err(|error| EngineFailure::Import(Arc::new(error)))?;
        let chain = importer.chain().clone();
        let (requests, queue) = bounded(REQUEST_QUEUE_LEN);
        let (stop, stopped) = bounded(1);
        let (failed, failure) = watch::channel(None);
        let handle = EngineHandle {
            requests,
            forkchoice: Forkchoice::new(chain.clone()),
            events: broadcast::channel(ENGINE_EVENT_QUEUE_LEN).0,
        };
        let tree = EngineTree::new(
            importer,
            handle.forkchoice.clone(),
            PoolFollower::new(chain, pool),
            handle.events.clone(),
        );
        let body = move || {
            let ended = catch_unwind(AssertUnwindSafe(|| run(tree, &queue, &stopped)));
            if let Err(failure) = ended.unwrap_or(Err(EngineFailure::Panicked)) {
                failed.send_replace(Some(failure));
            }
        };
        let thread = thread::Builder::new()
            .name(THREAD.into())
            .spawn(body)
            .map_err(|error| EngineFailure::Thread(Arc::new(error)))?;
        Ok(Self {
            handle,
            stop,
            failure,
            thread,
        })
    }

    /// Sends it requests.
    #[must_use]
    pub const fn handle(&self) -> &EngineHandle {
        &self.handle
    }

    /// Resolves when the engine fails; the process must then stop. Never resolves after a clean stop.
    pub async fn failed(&self) -> EngineFailure {
        let mut failure = self.failure.clone();
        loop {
            if let Some(failure) = failure.borrow_and_update().clone() {
                return failure;
            }
            if failure.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Answers the request at hand, refuses those that wait, and makes everything durable.
    ///
    /// # Errors
    /// The failure that stopped the engine, if one did, or what could not be made durable.
    pub fn stop(self) -> Result<(), EngineFailure> {
        let Self {
            stop,
            failure,
            thread,
            ..
        } = self;
        // One is enough; the thread may have failed already.
        let _ = stop.try_send(());
        // A panic was noted as the failure.
        let _ = thread.join();
        failure.borrow().clone().map_or(Ok(()), Err)
    }
}

/// Answers requests until it is told to stop, or until nothing may be announced any more.
fn run(mut tree: EngineTree, queue: &Receiver<Request>, stopped: &Receiver<()>) -> Result<(), EngineFailure> {
    loop {
        select! {
            recv(stopped) -> _ => return Ok(tree.finish()?),
            recv(queue) -> request => match request {
                Ok(request) => serve(&mut tree, request),
                Err(_) => return Ok(tree.finish()?),
            },
        }
        metrics::gauge!("rapid_reth_engine_queued_requests").set(queue.len() as f64);
        if let Some(failure) = tree.take_failure() {
            return Err(failure.into());
        }
    }
}

/// Answers one request, then does what it leaves to do: the consensus client does not wait for that.
fn serve(tree: &mut EngineTree, request: Request) {
    let started = Instant::now();
    match request {
        Request::NewPayload(payload, answer) => {
            let status = tree.new_payload(*payload);
            metrics::histogram!("rapid_reth_engine_payload_seconds").record(started.elapsed());
            metrics::counter!("rapid_reth_engine_payloads_total", "status" => name(status.as_ref()))
                .increment(1);
            send(answer, status);
        }
        Request::ForkchoiceUpdated(update, answer) => {
            let updated = tree.forkchoice_updated(&update);
            let status = updated.as_ref().map(|updated| &updated.payload_status);
            metrics::histogram!("rapid_reth_engine_forkchoice_seconds").record(started.elapsed());
            metrics::counter!("rapid_reth_engine_forkchoices_total", "status" => name(status)).increment(1);
            send(answer, updated);
        }
    }
    tree.settle();
}

fn name(status: Result<&PayloadStatus, &EngineError>) -> &'static str {
    status.map_or("error", |status| status.status.as_str())
}

/// Who asked may have gone, which changes nothing of what was done.
fn send<T>(answer: oneshot::Sender<Result<T, EngineError>>, result: Result<T, EngineError>) {
    let _ = answer.send(result);
}
