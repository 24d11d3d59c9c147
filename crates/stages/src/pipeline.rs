//! Stages run one after the other over the same blocks, at the same time over different ones.

use std::{
    num::NonZeroUsize,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rapid_chain::{Chain, Importer, Stopwatch};

use crate::{
    BlockSource, Checkpoints, ExecInput, ExecOutput, Report, Stage, StageError, StageId, Thresholds,
    UnwindInput, bodies::Bodies, chunk::chunk_queue, execution::Execution, progress::Progress,
    report::Efforts, senders::SenderRecovery, stored::Stored,
};

/// How a pipeline works.
#[derive(Clone, Copy, Debug)]
pub struct PipelineConfig {
    /// After how much work a batch ends.
    pub thresholds: Thresholds,
    /// Threads that recover senders (default: one per core).
    pub recovery_threads: NonZeroUsize,
}

impl Default for PipelineConfig {
    fn default() -> Self {
        Self {
            thresholds: Thresholds::default(),
            recovery_threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        }
    }
}

/// Brings blocks from a source into a chain.
///
/// Everything a run left canonical stays, however it ended; running the same source again goes on from there.
#[derive(Debug, Default)]
pub struct Pipeline {
    config: PipelineConfig,
    progress: Arc<Progress>,
    efforts: Efforts,
    elapsed: Duration,
}

/// The stages that write, in the order in which a block passes them.
type WritingStages = [Box<dyn Stage<Importer>>; 4];

impl Pipeline {
    /// A pipeline that has not run.
    #[must_use]
    pub fn new(config: PipelineConfig) -> Self {
        Self {
            config,
            ..Self::default()
        }
    }

    /// Runs until block `target` is the head, or until the source ends without one.
    ///
    /// # Errors
    /// [`StageError`]. What was valid before is canonical, and the checkpoints say how far that is.
    pub fn run(
        &mut self,
        importer: &mut Importer,
        source: impl BlockSource,
        target: Option<u64>,
    ) -> Result<(), StageError> {
        let start = Instant::now();
        let work_before = importer.work();
        let ran = self.run_stages(importer, source, target);
        self.efforts.import = since(&importer.work(), &work_before);
        self.elapsed = start.elapsed();
        ran
    }

    /// What the last run did.
    #[must_use]
    pub fn report(&self) -> Report {
        Report::new(self.progress.counts(), self.elapsed, &self.efforts)
    }

    fn run_stages(
        &mut self,
        importer: &mut Importer,
        source: impl BlockSource,
        target: Option<u64>,
    ) -> Result<(), StageError> {
        let thresholds = self.config.thresholds;
        let (checked_out, checked_in) = chunk_queue("checked");
        let (recovered_out, recovered_in) = chunk_queue("recovered");
        let chunk_transactions = thresholds.chunk_transactions();
        let progress = Arc::clone(&self.progress);
        let bodies = Bodies::new(source, checked_out, chunk_transactions, progress);
        let threads = self.config.recovery_threads.get();
        let senders = SenderRecovery::new(threads, checked_in, recovered_out)?;
        let progress = Arc::clone(&self.progress);
        let mut writing = writing_stages(Execution::new(recovered_in, thresholds.execution, progress));

        let chain = importer.chain().clone();
        thread::scope(|scope| {
            let bodies = run_ahead(scope, "stages-bodies", bodies, chain.clone(), target)?;
            let senders = run_ahead(scope, "stages-senders", senders, chain, target)?;
            let ran = self.run_writing(importer, &mut writing, target);
            if let Err(error) = &ran {
                // Also closes the queue between them and this thread, so that those who run ahead end.
                unwind_writing(importer, &mut writing, error.bad_block())?;
            }
            let (senders, recovered) = senders.join().map_err(|_| StageError::Panicked)?;
            let (bodies, checked) = bodies.join().map_err(|_| StageError::Panicked)?;
            self.efforts.bodies = bodies.effort();
            self.efforts.senders = senders.effort();
            // The later stage failed with the earlier block.
            ran.and(recovered).and(checked)
        })
    }

    /// Runs the stages that write, batch by batch.
    fn run_writing(
        &mut self,
        importer: &mut Importer,
        stages: &mut WritingStages,
        target: Option<u64>,
    ) -> Result<(), StageError> {
        let history = Arc::clone(importer.chain().history());
        let mut checkpoints = Checkpoints::load(&history)?;
        loop {
            let [execution, stored @ ..] = stages;
            let executed = execution.execute(importer, input(&checkpoints, execution.ids(), target));
            if matches!(&executed, Err(error) if !error.is_invalid_block()) {
                return executed.map(|_| ());
            }
            let head = importer.chain().view().head.number();
            let watch = Stopwatch::start();
            for stage in stored {
                let input = input(&checkpoints, stage.ids(), Some(head));
                let ExecOutput { checkpoint, .. } = stage.execute(importer, input)?;
                checkpoints.set(stage.ids(), checkpoint);
            }
            // Those that run ahead keep nothing of their own: what they did counts once history has it.
            checkpoints.set(DONE_WITH_EXECUTION, head);
            checkpoints.save(&history)?;
            self.efforts.waiting += watch.stop();
            if executed?.done {
                return Ok(());
            }
        }
    }
}

/// What a canonical block has passed.
const DONE_WITH_EXECUTION: &[StageId] = &[
    StageId::Headers,
    StageId::Bodies,
    StageId::SenderRecovery,
    StageId::Execution,
    StageId::MerkleExecute,
];

/// Takes canonical blocks back, in all stages, until block `number` is the head; returns how many were taken back.
///
/// # Errors
/// [`StageError`].
pub fn unwind(importer: &mut Importer, number: u64) -> Result<u64, StageError> {
    importer.await_history()?;
    let history = Arc::clone(importer.chain().history());
    let mut checkpoints = Checkpoints::load(&history)?;
    // First, so that after a crash in between no stage claims a block that is gone.
    checkpoints.lower_to(number);
    checkpoints.save(&history)?;
    let unwound = importer.unwind_to(number);
    let moved = unwound.map_err(|error| StageError::Unwind(error.into()))?;
    Ok(moved.removed.len() as u64)
}

fn writing_stages(execution: Execution) -> WritingStages {
    [
        Box::new(execution),
        Box::new(Stored::LOOKUP),
        Box::new(Stored::INDICES),
        Box::new(Stored::FINISH),
    ]
}

fn input(checkpoints: &Checkpoints, ids: &[StageId], target: Option<u64>) -> ExecInput {
    let checkpoint = ids.iter().map(|id| checkpoints.get(*id)).min().unwrap_or(0);
    ExecInput { target, checkpoint }
}

/// An invalid block never becomes canonical, so there is nothing to take back but what was read ahead: the last stage
/// goes first.
fn unwind_writing(
    importer: &mut Importer,
    stages: &mut WritingStages,
    bad_block: Option<u64>,
) -> Result<(), StageError> {
    let head = importer.chain().view().head.number();
    let input = UnwindInput {
        checkpoint: head,
        unwind_to: head,
        bad_block,
    };
    for stage in stages.iter_mut().rev() {
        stage.unwind(importer, input)?;
    }
    Ok(())
}

/// A thread on which a stage runs ahead of execution; it gives the stage back at its end.
type Ahead<'scope, S> = thread::ScopedJoinHandle<'scope, (S, Result<(), StageError>)>;

/// Starts a thread that owns a stage, and with it the ends of its queues: however it ends, those before and behind it do
/// not wait for it.
fn run_ahead<'scope, S: Stage<Chain> + 'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    name: &str,
    mut stage: S,
    mut chain: Chain,
    target: Option<u64>,
) -> Result<Ahead<'scope, S>, StageError> {
    let thread = thread::Builder::new().name(name.to_owned());
    let run = move || {
        let ran = run_to_end(&mut stage, &mut chain, target);
        (stage, ran)
    };
    thread.spawn_scoped(scope, run).map_err(StageError::Thread)
}

fn run_to_end(
    stage: &mut impl Stage<Chain>,
    chain: &mut Chain,
    target: Option<u64>,
) -> Result<(), StageError> {
    let mut checkpoint = chain.view().head.number();
    let ran = loop {
        match stage.execute(chain, ExecInput { target, checkpoint }) {
            Ok(ExecOutput { done: true, .. }) => break Ok(()),
            Ok(output) => checkpoint = output.checkpoint,
            Err(error) => break Err(error),
        }
    };
    let input = UnwindInput {
        checkpoint,
        unwind_to: chain.view().head.number(),
        bad_block: ran.as_ref().err().and_then(StageError::bad_block),
    };
    stage.unwind(chain, input)?;
    ran
}

fn since(now: &rapid_chain::ImportWork, before: &rapid_chain::ImportWork) -> rapid_chain::ImportWork {
    rapid_chain::ImportWork {
        execution: now.execution - before.execution,
        root: now.root - before.root,
        commit: now.commit - before.commit,
        history: now.history - before.history,
        changes: now.changes - before.changes,
        hinted_blocks: now.hinted_blocks - before.hinted_blocks,
        proven_hints: now.proven_hints - before.proven_hints,
    }
}
