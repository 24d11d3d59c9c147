//! How long the lanes let a transaction wait while twice as many are sent as can be executed, and how long it waits where the
//! first to come is the first to be served.
//!
//! The whole sequencer is at work: pool, loop, committer, finaliser. Transactions are signed, decoded and recovered before the
//! clock runs. Latency counts from when one was given to the pool: until the mini-block that has it was cut, as that one's time
//! says, and until the listener has the mini-block. Beside them stands how late the sender was, which has to share the cores
//! with all of them.

use super::plan::ParallelPlan;
use crate::{
    measure::Percentiles,
    pipeline::{Pipeline, PipelinePlan, PipelineWorkload, chain_of, signed},
    report::percentile_cell,
    scenario::{Scenario, ScenarioKind},
    table::Tabular,
};
use alloy_primitives::{Address, B256, Bytes, map::AddressHashSet};
use eyre::{ensure, eyre};
use rapid_chain::{Chain, ChainConfig, ChainEvent, Precedence};
use rapid_chainspec::ChainSpec;
use rapid_executor::ExecutorConfig;
use rapid_log::Durability;
use rapid_pool::{HeadInfo, Lane, Origin, Pool, PoolConfig, PooledTransaction, SubPoolLimit};
use rapid_sequencer::{Sequencer, SequencerConfig, SystemHost};
use rayon::prelude::*;
use serde::Serialize;
use std::{
    collections::HashMap,
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Mini-block intervals.
const CUTS: [Duration; 3] = [Duration::from_millis(1), Duration::from_millis(5), LONGEST_CUT];
const LONGEST_CUT: Duration = Duration::from_millis(10);
/// How much of what was published a power loss may take.
const DURABILITY: Durability = Durability::Async(Duration::from_millis(10));
/// Times as many transactions as can be executed.
const OVERLOAD: f64 = 2.0;
/// For how long they are sent.
const DURATION: Duration = Duration::from_secs(2);
/// One in so many is critical, of those whose senders send nothing else.
const CRITICAL_ONE_IN: usize = 100;
/// How often the sender looks at what is due.
const SENDING_INTERVAL: Duration = Duration::from_micros(200);
/// How long after the last one critical transactions may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a critical transaction may wait beside the cut, in milliseconds.
const CRITICAL_WAIT_MS: f64 = 1.0;
/// What may lie between two normal transactions, in milliseconds.
const NORMAL_GAP_MS: f64 = 2_000.0;

/// Who goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Order {
    /// Those whose senders have the critical lane.
    Lanes,
    /// Who came first: all pay the same, and nobody has a lane.
    FirstCome,
}

impl Order {
    const fn name(self) -> &'static str {
        match self {
            Self::Lanes => "lanes",
            Self::FirstCome => "first come, first served",
        }
    }
}

/// All intervals.
#[derive(Debug, Serialize)]
pub(crate) struct Latencies {
    /// Transactions per second that are published while more are sent: who sends and who decides what gets in take their
    /// share of the cores.
    capacity: f64,
    rows: Vec<LatencyRow>,
}

/// One mini-block interval.
#[derive(Debug, Serialize)]
struct LatencyRow {
    cut_ms: f64,
    order: Order,
    offered_per_second: f64,
    /// Per second, while some were sent.
    published_while_sent: f64,
    /// Until the cut.
    critical_cut: Percentiles,
    /// Until the listener had it.
    critical: Percentiles,
    /// Of those that were published, until the listener had them.
    normal: Percentiles,
    /// How long after they were due critical ones were given to the pool.
    lateness: Percentiles,
    /// The longest time in which no normal transaction was published.
    normal_gap_ms: f64,
}

impl LatencyRow {
    fn target(&self) -> String {
        match self.order {
            Order::Lanes => format!(
                "critical p99 to the cut <= {} ms, any normal within {} s",
                CRITICAL_WAIT_MS + self.cut_ms,
                NORMAL_GAP_MS / 1e3
            ),
            Order::FirstCome => String::new(),
        }
    }

    fn met(&self) -> &'static str {
        match self.order {
            Order::Lanes if self.is_met() => "yes",
            Order::Lanes => "MISSED",
            Order::FirstCome => "",
        }
    }

    fn is_met(&self) -> bool {
        self.critical_cut.p99_ms <= CRITICAL_WAIT_MS + self.cut_ms && self.normal_gap_ms <= NORMAL_GAP_MS
    }
}

/// Measures all intervals.
///
/// # Errors
/// If a part of the pipeline fails, or a critical transaction is not published.
pub(super) fn measure(plan: &ParallelPlan) -> eyre::Result<Latencies> {
    let full = Pipeline::prepare(PipelinePlan {
        workload: PipelineWorkload::MixedShort,
        count: plan.count,
        senders: plan.count,
        interval: LONGEST_CUT,
        durability: DURABILITY,
        seed: plan.seed,
        jit: plan.jit,
        executor: ExecutorConfig::default(),
    })?
    .run()?
    .published_per_second;
    let flood = full * OVERLOAD;
    let capacity = Load::of_rate(flood, plan.seed)?
        .run(LONGEST_CUT, Order::FirstCome, flood)?
        .published_while_sent;
    let offered = capacity * OVERLOAD;
    let load = Load::of_rate(offered, plan.seed)?;
    let rows = CUTS
        .into_iter()
        .flat_map(|cut| [Order::Lanes, Order::FirstCome].map(|order| load.run(cut, order, offered)))
        .collect::<eyre::Result<_>>()?;
    Ok(Latencies { capacity, rows })
}

/// Transactions to send, and who of their senders is critical.
struct Load {
    spec: Arc<ChainSpec>,
    raw: Vec<Bytes>,
    numbers: HashMap<B256, usize>,
    is_critical: Vec<bool>,
    critical: AddressHashSet,
}

impl Load {
    /// So many transactions per second, for [`DURATION`].
    fn of_rate(per_second: f64, seed: u64) -> eyre::Result<Self> {
        let count = (per_second * DURATION.as_secs_f64()) as usize;
        ensure!(
            count >= CRITICAL_ONE_IN,
            "too slow a machine to measure latencies"
        );
        Self::prepare(ScenarioKind::MixedShort, count, seed)
    }

    fn prepare(kind: ScenarioKind, count: usize, seed: u64) -> eyre::Result<Self> {
        let scenario = Scenario::draw(kind, count, seed)?;
        let spec = Arc::new(chain_of(&scenario)?);
        let signed = signed(&scenario, &spec);
        let mut sent_by = vec![0; scenario.senders.len()];
        for planned in &scenario.transactions {
            sent_by[planned.sender] += 1;
        }
        let mut singles = 0;
        let is_critical: Vec<_> = scenario
            .transactions
            .iter()
            .map(|planned| {
                let is_single = sent_by[planned.sender] == 1;
                singles += usize::from(is_single);
                is_single && singles % CRITICAL_ONE_IN == 0
            })
            .collect();
        let senders = scenario.transactions.iter().zip(&is_critical);
        Ok(Self {
            critical: senders
                .filter(|(_, is_critical)| **is_critical)
                .map(|(planned, _)| scenario.senders[planned.sender].address())
                .collect(),
            numbers: signed
                .iter()
                .enumerate()
                .map(|(index, signed)| (signed.hash, index))
                .collect(),
            raw: signed.into_iter().map(|signed| signed.raw).collect(),
            spec,
            is_critical,
        })
    }

    fn pool(&self, chain: &Chain, order: Order) -> eyre::Result<(Pool, HeadInfo)> {
        let count = self.raw.len();
        let mut config = PoolConfig::new(self.spec.chain_id());
        config.pending = SubPoolLimit {
            count_max: count,
            bytes_max: usize::MAX,
        };
        config.account_slots_max = count;
        if order == Order::Lanes {
            let lane = |address: &Address| (*address, Lane::Critical);
            config.lanes.senders = self.critical.iter().map(lane).collect();
        }
        let head = HeadInfo::of(chain.spec(), &chain.simulation_environment(&chain.view(), 0)?);
        Ok((Pool::new(config, &head), head))
    }

    fn run(&self, cut: Duration, order: Order, offered: f64) -> eyre::Result<LatencyRow> {
        let scratch = tempfile::tempdir()?;
        let mut config = ChainConfig::new(scratch.path().to_owned());
        config.log.durability = DURABILITY;
        let opened = Chain::open(Arc::clone(&self.spec), &config)?;
        let chain = opened.chain.clone();
        let (pool, head) = self.pool(&chain, order)?;
        let decoded = self
            .raw
            .par_iter()
            .map(|raw| pool.decode_bytes_and_recover(raw.clone()))
            .collect::<Result<Vec<_>, _>>()?;
        let events = chain.subscribe();
        let sequencer_config = SequencerConfig {
            mini_block_interval: cut,
            ..SequencerConfig::default()
        };
        let sequencer = Sequencer::start(sequencer_config, SystemHost, opened, pool.clone())?;
        let started = Start::now()?;
        let critical = self.critical.len();
        let (sent, published) = thread::scope(|scope| {
            let listener = scope.spawn(|| self.listen(events, started, critical));
            let sender = scope.spawn(|| {
                // It stands for the outside, which waits for no core of the node.
                Precedence::Publish.take();
                send(&pool, &chain, &head, decoded, started.instant, offered)
            });
            let sent = sender.join().map_err(|_| eyre!("the sender panicked"))??;
            let published = listener.join().map_err(|_| eyre!("the listener panicked"))??;
            eyre::Ok((sent, published))
        })?;
        sequencer.stop()?;
        Ok(LatencyRow {
            order,
            ..self.row(cut, offered, &Observed { sent, published })
        })
    }

    /// What became of each transaction, until all critical ones are published and nothing more is sent.
    fn listen(
        &self,
        mut events: tokio::sync::broadcast::Receiver<ChainEvent>,
        started: Start,
        critical: usize,
    ) -> eyre::Result<Vec<Option<Published>>> {
        let mut published = vec![None; self.raw.len()];
        let (mut critical_left, deadline) = (critical, started.instant + DURATION + PATIENCE);
        while critical_left > 0 || started.instant.elapsed() < DURATION {
            ensure!(
                Instant::now() < deadline,
                "{critical_left} critical transactions were not published"
            );
            let ChainEvent::MiniBlock(mini_block) = events.blocking_recv()? else {
                continue;
            };
            let published_now = Published {
                cut: Duration::from_micros(mini_block.header().time_us).saturating_sub(started.wall),
                heard: started.instant.elapsed(),
            };
            for transaction in &mini_block.body().transactions {
                let Some(&index) = self.numbers.get(transaction.tx_hash()) else {
                    continue;
                };
                published[index] = Some(published_now);
                critical_left -= usize::from(self.is_critical[index]);
            }
        }
        Ok(published)
    }

    fn row(&self, cut: Duration, offered: f64, observed: &Observed) -> LatencyRow {
        let Observed { sent, published } = observed;
        let latencies = |wanted: bool, until: fn(Published) -> Duration| {
            let samples = published.iter().enumerate().filter_map(|(index, published)| {
                let latency = until((*published)?).saturating_sub(sent[index]);
                (self.is_critical[index] == wanted).then_some(latency)
            });
            Percentiles::of(samples.collect())
        };
        let late = sent.iter().enumerate().filter_map(|(index, at)| {
            let late = at.saturating_sub(due(index, offered));
            self.is_critical[index].then_some(late)
        });
        let mut normal: Vec<_> = published
            .iter()
            .zip(&self.is_critical)
            .filter_map(|(published, is_critical)| published.filter(|_| !is_critical))
            .map(|published| published.heard)
            .chain([Duration::ZERO])
            .collect();
        normal.sort_unstable();
        let heard_while_sent = published
            .iter()
            .flatten()
            .filter(|published| published.heard <= DURATION)
            .count();
        let gaps = normal.windows(2).map(|pair| pair[1] - pair[0]);
        LatencyRow {
            cut_ms: cut.as_secs_f64() * 1e3,
            order: Order::Lanes,
            offered_per_second: offered,
            published_while_sent: heard_while_sent as f64 / DURATION.as_secs_f64(),
            critical_cut: latencies(true, |published| published.cut),
            critical: latencies(true, |published| published.heard),
            normal: latencies(false, |published| published.heard),
            lateness: Percentiles::of(late.collect()),
            normal_gap_ms: gaps.max().unwrap_or_default().as_secs_f64() * 1e3,
        }
    }
}

/// When the clock began to run, on both clocks: mini-blocks tell the time of day.
#[derive(Clone, Copy)]
struct Start {
    instant: Instant,
    wall: Duration,
}

impl Start {
    fn now() -> eyre::Result<Self> {
        Ok(Self {
            instant: Instant::now(),
            wall: SystemTime::now().duration_since(UNIX_EPOCH)?,
        })
    }
}

/// What became of a transaction, counted from the start.
#[derive(Clone, Copy, Debug)]
struct Published {
    /// The mini-block that has it was cut.
    cut: Duration,
    /// The listener had that mini-block.
    heard: Duration,
}

/// When each transaction was given to the pool, and what became of it if it was published.
struct Observed {
    sent: Vec<Duration>,
    published: Vec<Option<Published>>,
}

/// When a transaction should be submitted.
fn due(index: usize, offered: f64) -> Duration {
    Duration::from_secs_f64(index as f64 / offered)
}

/// Submits each transaction when it is due; tells when that was.
fn send(
    pool: &Pool,
    chain: &Chain,
    head: &HeadInfo,
    decoded: Vec<PooledTransaction>,
    started: Instant,
    offered: f64,
) -> eyre::Result<Vec<Duration>> {
    let mut sent = Vec::with_capacity(decoded.len());
    let mut decoded = decoded.into_iter();
    while decoded.len() > 0 {
        let now = started.elapsed();
        let due = ((now.as_secs_f64() * offered) as usize + 1).saturating_sub(sent.len());
        let view = chain.view();
        for transaction in decoded.by_ref().take(due) {
            sent.push(started.elapsed());
            pool.submit(Origin::External, transaction, &view.state, head)?;
        }
        thread::sleep(SENDING_INTERVAL);
    }
    Ok(sent)
}

impl Tabular for Latencies {
    fn title(&self) -> String {
        format!(
            "Latency under {OVERLOAD} times the load that is executed ({:.0} transactions/s, mixed, none longer than 400 us), one in {CRITICAL_ONE_IN} \
             of those by senders of one critical, over {} s",
            self.capacity,
            DURATION.as_secs()
        )
    }

    fn heads(&self) -> Vec<String> {
        [
            "cut",
            "order",
            "published per second, meanwhile",
            "critical to the cut p50 / p99 / p99.9 / max",
            "critical to the listener",
            "normal to the listener",
            "longest wait for any normal",
            "sender late p50 / p99 / p99.9 / max",
            "target",
            "met",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.rows
            .iter()
            .map(|row| {
                vec![
                    format!("{} ms", row.cut_ms),
                    row.order.name().to_owned(),
                    format!("{:.0}", row.published_while_sent),
                    percentile_cell(&row.critical_cut),
                    percentile_cell(&row.critical),
                    percentile_cell(&row.normal),
                    format!("{:.1} ms", row.normal_gap_ms),
                    percentile_cell(&row.lateness),
                    row.target(),
                    row.met().to_owned(),
                ]
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_a_hundred_is_critical_and_sends_once() {
        let load = Load::prepare(ScenarioKind::Mixed, 1_000, 3).unwrap();
        let critical = load.is_critical.iter().filter(|is| **is).count();
        assert!((6..=8).contains(&critical), "{critical} of 1000");
        assert_eq!(load.critical.len(), critical);
    }

    #[test]
    fn latency_counts_from_when_it_was_sent() {
        let load = Load::prepare(ScenarioKind::Transfers, 4, 3).unwrap();
        let load = Load {
            is_critical: vec![false, true, false, false],
            ..load
        };
        let at = |ms| {
            Some(Published {
                cut: Duration::from_millis(ms - 1),
                heard: Duration::from_millis(ms),
            })
        };
        let observed = Observed {
            sent: [0, 1, 4, 5].map(Duration::from_millis).to_vec(),
            published: vec![at(5), at(3), at(27), None],
        };
        let row = load.row(Duration::from_millis(1), 1_000.0, &observed);
        assert_eq!((row.critical_cut.max_ms, row.critical.max_ms), (1.0, 2.0));
        assert_eq!(row.lateness.max_ms, 0.0);
        assert_eq!((row.normal.count, row.normal.max_ms), (2, 23.0));
        assert_eq!(row.normal_gap_ms, 22.0);
        assert!(row.is_met());
    }
}
