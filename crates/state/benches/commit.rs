//! What a worker pays for being one of several: reads that are remembered and a commit that validates them, next to
//! plain reads and an unconditional commit: `cargo bench -p rapid-state`.
//!
//! One thread, and its CPU time: nanoseconds of a transaction's reads and commit together, execution left out, as the
//! median of rounds that alternate. `RAPID_STATE_BENCH_KEYS` sets how many accounts and slots there are, in thousands:
//! few are in the caches, many are not.

use std::{hint::black_box, time::Duration};

use alloy_primitives::{Address, U256};
use rapid_primitives::{AccountChange, ReadState};
use rapid_state::{Commit, Credit, Newest, ReadSet, Recording, State, StateConfig, StateKey, Writer};
use rustix::time::{ClockId, clock_gettime};

/// Rounds of which the median counts.
const ROUNDS: usize = 31;

/// Transactions of a mini-block, at whose end there is a cut.
const MINI_BLOCK: usize = 500;

/// Transactions whose keys are asked for at a time.
const PREFETCHED: usize = 10;

/// Mini-blocks of a round.
const MINI_BLOCKS: usize = 20;

/// The contract that has all slots.
const TOKEN: Address = Address::repeat_byte(0xcc);

/// How transactions read and commit.
#[derive(Clone, Copy, Debug)]
enum Path {
    /// Alone: nothing is remembered.
    Unlogged,
    /// Remembered, and committed as others do.
    Logged,
    /// Remembered, and committed by a handle.
    Writer,
    /// As that, and what is only added to is not read.
    Credit,
    /// As [`Writer`](Self::Writer), and what the next transactions read is asked for.
    Prefetched,
}

/// What a transaction does.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Two accounts.
    Transfer,
    /// Two accounts, of which one is written, and two slots.
    Token,
}

fn account(index: u64) -> Address {
    let mut address = Address::ZERO;
    // Spread as addresses are.
    address[..8].copy_from_slice(&index.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    address[12..].copy_from_slice(&index.to_be_bytes());
    address
}

fn slot(index: u64) -> U256 {
    U256::from_limbs([index, index.wrapping_mul(0x9e37_79b9_7f4a_7c15), 1, 2])
}

struct Worker {
    state: State,
    newest: Newest,
    recording: Recording,
    writer: Writer,
    keys: u64,
    seed: u64,
    changes: Vec<AccountChange>,
    keys_ahead: Vec<StateKey>,
}

impl Worker {
    fn new(keys: u64) -> Self {
        let state = State::new(StateConfig {
            retained_bytes: 64 << 20,
            ..StateConfig::default()
        })
        .expect("address space");
        for first in (0..keys).step_by(10_000) {
            let indices = first..(first + 10_000).min(keys);
            let mut changes: Vec<_> = indices
                .clone()
                .map(|index| AccountChange {
                    balance: Some(U256::from(1_000_000)),
                    nonce: Some(1),
                    ..AccountChange::new(account(index))
                })
                .collect();
            changes.push(AccountChange {
                nonce: Some(1),
                code: Some(rapid_primitives::CodeChange::new(vec![0x60, 0x00].into())),
                storage: indices
                    .map(|index| (slot(index), U256::from(1_000_000)))
                    .collect(),
                ..AccountChange::new(TOKEN)
            });
            state.commit(&ReadSet::new(), &changes).expect("nothing was read");
        }
        state.publish(state.cut());
        Self {
            newest: state.newest(),
            recording: state.recording(),
            writer: state.writer(),
            state,
            keys,
            seed: 7,
            changes: Vec::new(),
            keys_ahead: Vec::new(),
        }
    }

    fn random(&mut self) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed % self.keys
    }

    /// Asks for what the next transactions read.
    fn prefetch(&mut self, kind: Kind) {
        let seed = self.seed;
        self.keys_ahead.clear();
        for _ in 0..PREFETCHED {
            let (from, to) = (self.random(), self.random());
            self.keys_ahead.push(StateKey::Account(account(from)));
            match kind {
                Kind::Transfer => self.keys_ahead.push(StateKey::Account(account(to))),
                Kind::Token => self
                    .keys_ahead
                    .extend([from, to].map(|index| StateKey::Slot(TOKEN, slot(index)))),
            }
        }
        self.seed = seed;
        self.recording.prefetch(&self.keys_ahead);
    }

    /// One transaction.
    fn run(&mut self, kind: Kind, path: Path) {
        let (from, to) = (self.random(), self.random());
        let credit = Credit {
            address: account(to),
            wei: U256::from(1),
        };
        let credited = matches!((kind, path), (Kind::Transfer, Path::Credit));
        let mut changes = std::mem::take(&mut self.changes);
        changes.clear();
        match path {
            Path::Unlogged => read(&self.newest, kind, from, to, credited, &mut changes),
            _ => read(&self.recording, kind, from, to, credited, &mut changes),
        }
        let reads = match path {
            Path::Unlogged => ReadSet::new(),
            _ => self.recording.take_reads(),
        };
        match path {
            Path::Unlogged | Path::Logged => {
                let _ = black_box(self.state.commit(&reads, &changes));
            }
            Path::Writer | Path::Credit | Path::Prefetched => {
                let committed = self.writer.commit(&Commit {
                    reads: &reads,
                    changes: &changes,
                    credits: if credited {
                        std::slice::from_ref(&credit)
                    } else {
                        &[]
                    },
                    withheld: U256::ZERO,
                });
                let _ = black_box(committed);
            }
        }
        self.recording.reuse(reads);
        self.changes = changes;
    }

    /// Nanoseconds of CPU of a transaction, without what makes versions.
    fn round(&mut self, kind: Kind, path: Path) -> f64 {
        let mut taken = Duration::ZERO;
        for _ in 0..MINI_BLOCKS {
            let begin = cpu();
            for nth in 0..MINI_BLOCK {
                if matches!(path, Path::Prefetched) && nth % PREFETCHED == 0 {
                    self.prefetch(kind);
                }
                self.run(kind, path);
            }
            taken += cpu() - begin;
            self.state.publish(self.state.cut());
        }
        taken.as_nanos() as f64 / (MINI_BLOCK * MINI_BLOCKS) as f64
    }
}

fn read(
    view: &impl ReadState,
    kind: Kind,
    from: u64,
    to: u64,
    credited: bool,
    changes: &mut Vec<AccountChange>,
) {
    let sender = view.account(&account(from)).ok().flatten().unwrap_or_default();
    changes.push(AccountChange {
        nonce: Some(sender.nonce + 1),
        balance: Some(sender.balance.saturating_sub(U256::from(1))),
        ..AccountChange::new(account(from))
    });
    match kind {
        Kind::Transfer if credited => {}
        Kind::Transfer => {
            let recipient = view.account(&account(to)).ok().flatten().unwrap_or_default();
            changes.push(AccountChange {
                balance: Some(recipient.balance + U256::from(1)),
                ..AccountChange::new(account(to))
            });
        }
        Kind::Token => {
            let token = view.account(&TOKEN).ok().flatten().unwrap_or_default();
            black_box(token);
            let storage = [from, to].map(|index| {
                let value = view.storage(&TOKEN, &slot(index)).unwrap_or_default();
                (slot(index), value + U256::from(1))
            });
            changes.push(AccountChange {
                storage: storage.into(),
                ..AccountChange::new(TOKEN)
            });
        }
    }
}

/// CPU time of this thread.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let thousands = std::env::var("RAPID_STATE_BENCH_KEYS").map_or(vec![4, 2_000], |sizes| {
        sizes
            .split(',')
            .map(|size| size.parse().expect("thousands, separated by commas"))
            .collect()
    });
    println!("ns of thread CPU per transaction, median of {ROUNDS}; and how much more than unlogged\n");
    println!("| keys | transaction | unlogged | logged | writer | credit | prefetched |");
    println!("|---|---|---|---|---|---|---|");
    for thousands in thousands {
        let mut worker = Worker::new(thousands * 1_000);
        for kind in [Kind::Transfer, Kind::Token] {
            let paths = [
                Path::Unlogged,
                Path::Logged,
                Path::Writer,
                Path::Credit,
                Path::Prefetched,
            ];
            let rounds: Vec<_> = (0..ROUNDS)
                .map(|_| paths.map(|path| worker.round(kind, path)))
                .collect();
            let of = |path: usize| median(rounds.iter().map(|round| round[path]));
            let more = |path: usize| median(rounds.iter().map(|round| round[path] - round[0]));
            print!("| {thousands} k | {kind:?} | {:.0} |", of(0));
            for path in 1..paths.len() {
                print!(" {:.0} ({:+.0}) |", of(path), more(path));
            }
            println!();
        }
    }
}
