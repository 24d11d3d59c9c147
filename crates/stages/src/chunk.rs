//! Blocks on their way between stages that run at the same time.

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::Origin;

/// Transactions of a chunk: enough for all cores of a large machine to share their signatures, and few enough that the
/// block after them is not executed much later than it could be.
pub(crate) const CHUNK_TRANSACTIONS: usize = 2_048;
/// Blocks of a chunk, so that empty ones do not heap up.
pub(crate) const CHUNK_BLOCKS: usize = 256;
/// Bytes of a chunk as stored. A chunk ends with the block that passes a bound, so it is at most one block larger.
pub(crate) const CHUNK_BYTES: usize = 1 << 20;
/// Chunks that may wait for a stage. When so many do, the stage before waits: with two queues, and a chunk at work in
/// each of three stages, eleven chunks are in memory at most.
pub(crate) const CHUNKS_AHEAD: usize = 4;

/// Blocks with where they came from, in order.
pub(crate) type Chunk<T> = Vec<(Origin, T)>;

/// The end of a queue that a stage fills. The other end may be gone: then nobody wants more.
#[derive(Debug)]
pub(crate) struct ChunkSender<T> {
    queue: Option<Sender<Chunk<T>>>,
    depth: metrics::Gauge,
}

/// The end of a queue that a stage empties.
#[derive(Debug)]
pub(crate) struct ChunkReceiver<T> {
    queue: Option<Receiver<Chunk<T>>>,
    depth: metrics::Gauge,
}

/// A queue of at most [`CHUNKS_AHEAD`] chunks; its depth is the metric `rapid_reth_stages_queue_chunks`.
pub(crate) fn chunk_queue<T>(name: &'static str) -> (ChunkSender<T>, ChunkReceiver<T>) {
    let (sender, receiver) = bounded(CHUNKS_AHEAD);
    let depth = metrics::gauge!("rapid_reth_stages_queue_chunks", "queue" => name);
    (
        ChunkSender {
            queue: Some(sender),
            depth: depth.clone(),
        },
        ChunkReceiver {
            queue: Some(receiver),
            depth,
        },
    )
}

impl<T> ChunkSender<T> {
    /// Hands a chunk on, when there is room for it; false if nobody takes it any more.
    pub(crate) fn send(&self, chunk: Chunk<T>) -> bool {
        let Some(queue) = &self.queue else {
            return false;
        };
        let sent = queue.send(chunk).is_ok();
        self.depth.set(queue.len() as f64);
        sent
    }

    /// Says that nothing follows.
    pub(crate) fn close(&mut self) {
        self.queue = None;
    }
}

impl<T> ChunkReceiver<T> {
    /// The next chunk, when it is there; `None` if nothing follows.
    pub(crate) fn receive(&self) -> Option<Chunk<T>> {
        let queue = self.queue.as_ref()?;
        let chunk = queue.recv().ok();
        self.depth.set(queue.len() as f64);
        chunk
    }

    /// Whether a chunk is waiting.
    pub(crate) fn is_waiting(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| !queue.is_empty())
    }

    /// Drops what is waiting and takes no more.
    pub(crate) fn close(&mut self) {
        self.queue = None;
    }
}
