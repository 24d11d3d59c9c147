//! The staged pipeline: many blocks into a chain, in reth's stages, all of them at work at the same time.
//!
//! - **In:** blocks from a [`BlockSource`], such as files; the [`Importer`](rapid_chain::Importer) of an open chain.
//! - **Out:** the chain with those blocks, [`Checkpoints`] per stage, a [`Report`] of where the time went; and
//!   [`Findings`] about blocks that are there already.
//! - **Owns:** while a [`Pipeline`] runs, the threads `stages-bodies`, `stages-senders` and one `stages-senders-N` per
//!   core; bounded queues between them; no files.
//! - **Must hold:** a block becomes canonical only after its roots were computed and compared; what was valid before an
//!   invalid block stays; a checkpoint never claims a block that history does not have; a run that was killed anywhere is
//!   continued by running it again.
//!
//! ```text
//!  source -> Headers, Bodies --chunks--> SenderRecovery --chunks--> Execution, MerkleExecute -> lookups, indices, Finish
//!            read, decode,               all signatures,            one block after the other,   wait for chain-history,
//!            check alone                 on all cores               a few per commit             then checkpoints
//! ```
//!
//! The state is in memory and each canonical block is one record of the log, so there is nothing to gain from running a
//! stage to the end before the next one begins: blocks stream through, and the thresholds of `reth.toml` decide when
//! checkpoints are written. Signatures are most of the work; they are recovered ahead of execution.
//!
//! Metrics: `rapid_reth_stages_queue_chunks{queue}`, `rapid_reth_stages_checkpoint_block{stage}`.

mod bodies;
mod check;
mod checkpoints;
mod chunk;
mod execution;
mod id;
mod pipeline;
mod progress;
mod report;
mod senders;
mod source;
mod stage;
mod stored;
mod thresholds;

pub use check::{Check, CheckError, Difference, Findings, check};
pub use checkpoints::Checkpoints;
pub use id::StageId;
pub use pipeline::{Pipeline, PipelineConfig, unwind};
pub use progress::Counts;
pub use report::{Report, StepTime};
pub use source::{BLOCK_BYTES_MAX, BlockFiles, BlockReader, BlockSource, RawBlock, SourceError, write_block};
pub use stage::{ExecInput, ExecOutput, Origin, Stage, StageError, UnwindInput, UnwindOutput};
pub use thresholds::{BatchWork, ExecutionThresholds, Thresholds};
