//! Blocks of mixed transactions through the sequential executor, with a compiler that knows nothing yet and without one.

use crate::{
    clock::{Elapsed, now, timed},
    jit::{
        catalog::mixed_blocks::MixedBlocks,
        prepared::Prepared,
        workload::{CALLER, Call},
    },
    measure::Spread,
    table::Tabular,
};
use alloy_consensus::{SignableTransaction, TxLegacy};
use alloy_primitives::{B256, Signature, U256};
use eyre::{OptionExt, WrapErr, ensure, eyre};
use rapid_chainspec::ChainSpec;
use rapid_evm::{BlockExecutor, Compiler, NoBlockHashes, ShadowInterval, StateDb};
use rapid_jit::runtime::{Runtime, RuntimeConfig};
use rapid_primitives::{AccountChange, BlockEnvironment, CodeChange, Receipt, TransactionSigned};
use rapid_state::{Draft, ReadSet, State, StateConfig};
use revm::database::InMemoryDB;
use rustix::time::ClockId;
use serde::Serialize;
use std::{sync::Arc, time::Duration};

/// Gas limit of the blocks: more than they use.
const GAS_LIMIT: u64 = 1_000_000_000;
/// Seconds between blocks.
const BLOCK_SECONDS: u64 = 1;
/// Time of the block before the first.
const START_SECONDS: u64 = 1_800_000_000;

/// What came of each number of blocks.
#[derive(Debug, Serialize)]
pub(crate) struct MixedReport {
    rounds: usize,
    counts: Vec<CountReport>,
}

/// So many blocks in a row.
#[derive(Debug, Serialize)]
struct CountReport {
    blocks: u64,
    transactions: usize,
    gas: u64,
    interpreted: Vec<Run>,
    compiled: Vec<Run>,
}

/// All blocks, once.
#[derive(Clone, Debug, Serialize)]
struct Run {
    /// CPU time of the executing thread.
    executor_cpu_seconds: f64,
    /// CPU time of all threads, until what was begun to be compiled is compiled.
    process_cpu_seconds: f64,
    wall_seconds: f64,
    /// Contracts compiled by the first tier.
    fast_compiled: u64,
    /// Contracts compiled by the second tier.
    optimising_compiled: u64,
    /// CPU time of compiling.
    compile_seconds: f64,
    /// Frames that ran compiled code.
    hits: u64,
    /// Frames that did not.
    misses: u64,
}

/// Runs every number of blocks so many times on each side, alternating.
///
/// # Errors
/// If a block cannot be executed, or the sides differ in a receipt.
pub(crate) fn run(counts: &[u64], rounds: usize) -> eyre::Result<MixedReport> {
    let chain = MixedChain::prepare(counts.iter().copied().max().unwrap_or_default())?;
    let counts = counts
        .iter()
        .map(|&blocks| chain.compare(blocks, rounds))
        .collect::<eyre::Result<_>>()?;
    Ok(MixedReport { rounds, counts })
}

/// A state with the contracts, and blocks on it.
struct MixedChain {
    spec: Arc<ChainSpec>,
    state: State,
    blocks: Vec<Vec<TransactionSigned>>,
}

impl MixedChain {
    fn prepare(blocks: u64) -> eyre::Result<Self> {
        let mixed = MixedBlocks::new()?;
        let prepared = Prepared::of(&mixed.workload)?.state;
        let mut nonce = prepared
            .cache
            .accounts
            .get(&CALLER)
            .ok_or_eyre("no sender")?
            .info
            .nonce;
        let blocks = (0..blocks)
            .map(|number| {
                let calls = mixed.block(number).into_iter();
                calls
                    .map(|call| {
                        nonce += 1;
                        unsigned(&call, nonce - 1)
                    })
                    .collect()
            })
            .collect();
        Ok(Self {
            spec: Arc::new(ChainSpec::realtime()),
            state: state_of(&prepared)?,
            blocks,
        })
    }

    fn compare(&self, blocks: u64, rounds: usize) -> eyre::Result<CountReport> {
        let (mut interpreted, mut compiled) = (Vec::new(), Vec::new());
        let (expected, _) = self.execute(blocks, &Compiler::none())?;
        for round in 1..=rounds {
            eprintln!("{blocks} blocks, round {round} of {rounds}");
            let (receipts, run) = self.run_once(blocks, None)?;
            ensure!(receipts == expected, "the interpreter differs from itself");
            interpreted.push(run);
            let runtime = Runtime::start(RuntimeConfig::default()).wrap_err("compiler")?;
            let (receipts, run) = self.run_once(blocks, Some(runtime))?;
            ensure!(receipts == expected, "compiled code differs from the interpreter");
            compiled.push(run);
        }
        Ok(CountReport {
            blocks,
            transactions: expected.iter().map(Vec::len).sum(),
            gas: expected
                .iter()
                .filter_map(|receipts| receipts.last())
                .map(|receipt| receipt.cumulative_gas_used)
                .sum(),
            interpreted,
            compiled,
        })
    }

    fn run_once(&self, blocks: u64, runtime: Option<Arc<Runtime>>) -> eyre::Result<(Vec<Vec<Receipt>>, Run)> {
        let compiler = runtime.as_ref().map_or_else(Compiler::none, |runtime| {
            Compiler::new(Arc::clone(runtime), ShadowInterval::default())
        });
        let before = now(ClockId::ProcessCPUTime);
        let (receipts, elapsed) = self.execute(blocks, &compiler)?;
        let status = runtime.map(|runtime| {
            runtime.stop();
            runtime.status()
        });
        let process = now(ClockId::ProcessCPUTime).saturating_sub(before);
        let (fast_compiled, optimising_compiled, compile_time, hits, misses) =
            status.map_or((0, 0, Duration::ZERO, 0, 0), |status| {
                (
                    status.fast_compiled,
                    status.optimising_compiled,
                    status.compile_time,
                    status.hits,
                    status.misses,
                )
            });
        let run = Run {
            executor_cpu_seconds: elapsed.cpu.as_secs_f64(),
            process_cpu_seconds: process.as_secs_f64(),
            wall_seconds: elapsed.wall.as_secs_f64(),
            fast_compiled,
            optimising_compiled,
            compile_seconds: compile_time.as_secs_f64(),
            hits,
            misses,
        };
        Ok((receipts, run))
    }

    /// Executes the first blocks, one after the other, on the state as it was prepared.
    fn execute(&self, blocks: u64, compiler: &Compiler) -> eyre::Result<(Vec<Vec<Receipt>>, Elapsed)> {
        let mut state = Draft::begin(self.state.published());
        let (receipts, elapsed) = timed(|| -> eyre::Result<_> {
            let mut all = Vec::with_capacity(blocks as usize);
            for (number, transactions) in (1..=blocks).zip(&self.blocks) {
                let database = StateDb::new(state.clone(), NoBlockHashes);
                let spec = Arc::clone(&self.spec);
                let mut executor = BlockExecutor::new(spec, environment(number), database, compiler);
                let failed = |error| eyre!("block {number}: {error}");
                executor.begin().map_err(|error| failed(error.to_string()))?;
                let mut receipts = Vec::with_capacity(transactions.len());
                for transaction in transactions {
                    let executed = executor
                        .execute(transaction, CALLER)
                        .map_err(|error| failed(error.to_string()))?;
                    receipts.push(executed.receipt);
                }
                state = executor.into_state();
                all.push(receipts);
            }
            Ok(all)
        });
        Ok((receipts?, elapsed))
    }
}

fn environment(number: u64) -> BlockEnvironment {
    BlockEnvironment {
        number,
        timestamp: START_SECONDS + BLOCK_SECONDS * number,
        gas_limit: GAS_LIMIT,
        base_fee_per_gas: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::repeat_byte(0xbe)),
        ..BlockEnvironment::default()
    }
}

/// The executor is told who sent it, and does not look at the signature.
fn unsigned(call: &Call, nonce: u64) -> TransactionSigned {
    let transaction = TxLegacy {
        nonce,
        gas_limit: call.gas,
        to: call.to,
        value: call.value,
        input: call.data.clone(),
        ..TxLegacy::default()
    };
    transaction
        .into_signed(Signature::new(U256::ONE, U256::ONE, false))
        .into()
}

/// The node's state with these accounts.
fn state_of(db: &InMemoryDB) -> eyre::Result<State> {
    let state = State::new(StateConfig::default())?;
    let changes: Vec<_> = db
        .cache
        .accounts
        .iter()
        .map(|(&address, account)| AccountChange {
            nonce: Some(account.info.nonce),
            balance: Some(account.info.balance),
            code: db
                .cache
                .contracts
                .get(&account.info.code_hash)
                .filter(|code| !code.is_empty())
                .map(|code| CodeChange::new(code.original_bytes())),
            storage: account
                .storage
                .iter()
                .map(|(&slot, &value)| (slot, value))
                .collect(),
            ..AccountChange::new(address)
        })
        .collect();
    let version = state.commit(&ReadSet::default(), &changes)?;
    state.publish(version);
    Ok(state)
}

impl Tabular for MixedReport {
    fn title(&self) -> String {
        format!(
            "Mixed blocks, sequential executor, compiler started with them: median of {} rounds (lowest to highest)",
            self.rounds
        )
    }

    fn heads(&self) -> Vec<String> {
        let heads = [
            "blocks",
            "measured",
            "interpreted, Mgas/s",
            "with the compiler, Mgas/s",
            "ratio",
        ];
        heads.map(str::to_owned).to_vec()
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.counts.iter().flat_map(CountReport::rows).collect()
    }
}

impl CountReport {
    fn rows(&self) -> Vec<Vec<String>> {
        let mut rows: Vec<_> = [
            ("CPU of the executor", executor_cpu as fn(&Run) -> f64),
            ("CPU of all threads", process_cpu),
            ("wall", wall),
        ]
        .into_iter()
        .map(|(name, seconds)| self.rate_row(name, seconds))
        .collect();
        let Some(run) = self.compiled.last() else {
            return rows;
        };
        let compiled = format!(
            "{} by the fast and {} by the optimising tier in {:.0} ms; {} of {} frames",
            run.fast_compiled,
            run.optimising_compiled,
            run.compile_seconds * 1e3,
            run.hits,
            run.hits + run.misses
        );
        let blank = String::new();
        rows.push(vec![
            self.blocks.to_string(),
            "compiled".to_owned(),
            blank.clone(),
            compiled,
            blank,
        ]);
        rows
    }

    fn rate_row(&self, name: &str, seconds: fn(&Run) -> f64) -> Vec<String> {
        let rates = |runs: &[Run]| -> Vec<f64> {
            runs.iter()
                .map(|run| self.gas as f64 / 1e6 / seconds(run))
                .collect()
        };
        let (interpreted, compiled) = (rates(&self.interpreted), rates(&self.compiled));
        let ratios = compiled
            .iter()
            .zip(&interpreted)
            .map(|(compiled, interpreted)| compiled / interpreted);
        let (ratio, interpreted, compiled) = (
            Spread::of(ratios),
            Spread::of(interpreted.iter().copied()),
            Spread::of(compiled.iter().copied()),
        );
        let rate = |spread: Spread| format!("{:.0} ({:.0} to {:.0})", spread.median, spread.low, spread.high);
        vec![
            self.blocks.to_string(),
            name.to_owned(),
            rate(interpreted),
            rate(compiled),
            format!("{:.2} ({:.2} to {:.2})", ratio.median, ratio.low, ratio.high),
        ]
    }
}

const fn executor_cpu(run: &Run) -> f64 {
    run.executor_cpu_seconds
}

const fn process_cpu(run: &Run) -> f64 {
    run.process_cpu_seconds
}

const fn wall(run: &Run) -> f64 {
    run.wall_seconds
}
