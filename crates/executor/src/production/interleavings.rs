//! All of production on a real state with the real EVM, under a model checker that chooses the order of steps.
//!
//! ```text
//! RUSTFLAGS="--cfg shuttle" cargo test -p rapid-executor --lib interleavings
//! ```
//!
//! Batches, lanes and what is handed out at a time are tiny in such a build, so that a few transactions make all of them. A
//! thread that nobody wakes is a deadlock, and one that never comes to an end has taken too many steps; both fail a test.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use alloy_consensus::Transaction;
use alloy_primitives::{Address, B256, Bytes, U256, bytes};
use rapid_chainspec::ChainSpec;
use rapid_evm::{BlockExecutor, Compiler, NoBlockHashes, StateDb};
use rapid_primitives::{AccountChange, BlockEnvironment, CodeChange, CommitSequence, ReadState, Receipt};
use rapid_state::{Newest, ReadSet, State, StateConfig};
use rapid_sync::{explore, now};

use super::{
    Class, Executed, Production, ProductionConfig, ProductionParts, StopReason,
    job::Job,
    model::{Claimed, sender_of},
};
use crate::Pinning;

const BENEFICIARY: Address = Address::repeat_byte(0xbe);

/// Counts its calls in slot 0.
const COUNTER: Address = Address::repeat_byte(0xc0);
/// Stores what the beneficiary has in slot 0.
const TELLER: Address = Address::repeat_byte(0xc1);

const SENDERS: u8 = 4;
/// A sender who can pay for one transaction.
const POOR: u8 = SENDERS - 1;

/// Transactions that may take long, as far as is known.
const LONG_GAS: u64 = 2_000_000;

fn environment() -> BlockEnvironment {
    BlockEnvironment {
        number: 1,
        timestamp: 12,
        gas_limit: 30_000_000,
        beneficiary: BENEFICIARY,
        base_fee_per_gas: Some(7),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::repeat_byte(0xbb)),
        ..BlockEnvironment::default()
    }
}

fn begin() -> State {
    let state = State::new(StateConfig::default()).expect("a small state");
    let sender = |number| AccountChange {
        balance: Some(U256::from(if number == POOR {
            300_000
        } else {
            1_000_000_000_u64
        })),
        ..AccountChange::new(sender_of(number))
    };
    let contract = |address, code: Bytes| AccountChange {
        nonce: Some(1),
        code: Some(CodeChange::new(code)),
        ..AccountChange::new(address)
    };
    let mut changes: Vec<_> = (0..SENDERS).map(sender).collect();
    changes.push(contract(COUNTER, bytes!("5f546001015f5500")));
    changes.push(contract(TELLER, bytes!("41315f5500")));
    state.commit(&ReadSet::new(), &changes).expect("nothing was read");
    state
}

fn in_order(state: &State) -> BlockExecutor<Newest, NoBlockHashes> {
    let database = StateDb::new(state.newest(), NoBlockHashes);
    let spec = Arc::new(ChainSpec::realtime());
    BlockExecutor::new(spec, environment(), database, &Compiler::none())
}

fn transfer(sender: u8, nonce: u64, to: u8) -> Claimed {
    Claimed::new(sender, nonce, sender_of(to), 1_000 + nonce)
}

fn count(sender: u8, nonce: u64, gas_limit: u64) -> Claimed {
    Claimed::call(sender, nonce, (COUNTER, 0, gas_limit), bytes!("01020304"))
}

fn tell(sender: u8, nonce: u64) -> Claimed {
    Claimed::call(sender, nonce, (TELLER, 0, 100_000), Bytes::new())
}

/// Does what a sequencer does.
struct Producer {
    state: State,
    production: Production<Claimed>,
    block: BlockExecutor<Newest, NoBlockHashes>,
    made: Vec<(Claimed, Receipt)>,
    refused: usize,
    alone: usize,
    /// The last version that was cut.
    version: CommitSequence,
}

impl Producer {
    fn new(workers: usize) -> Self {
        let state = begin();
        let parts = ProductionParts {
            spec: Arc::new(ChainSpec::realtime()),
            state: state.clone(),
            hashes: NoBlockHashes,
            compiler: Compiler::none(),
        };
        let config = ProductionConfig {
            workers,
            spin: true,
            pinning: Pinning::Free,
        };
        let mut production = Production::start(config, parts, || {}).expect("threads");
        production.enter_block(environment(), None);
        Self {
            block: in_order(&state),
            state,
            production,
            made: Vec::new(),
            refused: 0,
            alone: 0,
            version: CommitSequence(0),
        }
    }

    fn hand_out(&mut self, job: Claimed, class: usize) {
        let class = Class::new(class);
        while !self.production.has_room(class) {
            self.production.wait_for_room(now());
            self.serve();
            if self.production.is_quiet() {
                self.run_alone();
            }
        }
        self.production.hand_out(job, class);
    }

    /// Takes what was stopped; what is behind it may be tried again.
    fn serve(&mut self) {
        self.production.collect();
        while let Some(stopped) = self.production.next_stopped() {
            assert!(matches!(stopped.reason, StopReason::Refused(_)), "{stopped:?}");
            self.refused += 1 + stopped.successors.len();
        }
    }

    fn cut(&mut self) {
        let (version, executed) = self.production.cut();
        for Executed {
            job,
            sequence,
            result,
            ..
        } in executed
        {
            assert!(
                sequence > self.version && sequence <= version,
                "it is in this version"
            );
            let receipt = self.block.absorb(job.transaction(), result).expect("it fits");
            self.made.push((job, receipt));
        }
        self.version = version;
    }

    fn run_alone(&mut self) {
        self.production.quiet();
        self.cut();
        self.serve();
        while let Some(job) = self.production.next_alone() {
            self.alone += 1;
            let behind = self.production.ran_alone(job.sender());
            let executed = self
                .block
                .execute(job.transaction(), job.sender())
                .expect("it is valid");
            self.made.push((job, executed.receipt));
            for (job, class) in behind {
                self.production.hand_out(job, class);
            }
            self.production.quiet();
            self.cut();
            self.serve();
        }
    }

    /// Runs until nothing is left; executing what was made again in its order gives the same. Returns how many ran alone, and how
    /// many lanes there were at the end.
    fn finish(mut self, made: usize, refused: usize) -> (usize, usize) {
        while !self.production.is_quiet() || self.production.alone_len() > 0 {
            self.run_alone();
        }
        self.cut();
        assert_eq!(
            (self.made.len(), self.refused),
            (made, refused),
            "each comes back once"
        );
        let (again, mut nonces) = (begin(), BTreeMap::new());
        let mut block = in_order(&again);
        for (index, (job, receipt)) in self.made.iter().enumerate() {
            let next: &mut u64 = nonces.entry(job.sender).or_default();
            assert_eq!(job.transaction().nonce(), *next, "those of a sender are in order");
            *next += 1;
            let executed = block
                .execute(job.transaction(), job.sender)
                .expect("it was valid");
            assert_eq!(executed.receipt, *receipt, "receipt {index}");
        }
        let (found, expected) = (self.state.newest(), again.newest());
        let senders = (0..SENDERS).map(sender_of);
        for address in senders.chain([COUNTER, TELLER, BENEFICIARY]) {
            assert_eq!(found.account(&address), expected.account(&address), "{address}");
            let slot = |state: &Newest| state.storage(&address, &U256::ZERO);
            assert_eq!(slot(&found), slot(&expected), "slot of {address}");
        }
        (self.alone, self.production.router.lanes())
    }
}

#[test]
fn the_order_of_the_commits_gives_the_same_one_after_the_other() {
    explore(|| {
        let mut producer = Producer::new(3);
        producer.hand_out(count(0, 0, 100_000), 1);
        producer.hand_out(count(1, 0, 100_000), 1);
        producer.hand_out(transfer(2, 0, 0), 1);
        producer.hand_out(transfer(0, 1, 1), 2);
        producer.cut();
        producer.hand_out(count(2, 1, 100_000), 0);
        producer.hand_out(transfer(1, 1, 2), 1);
        let _ = producer.finish(6, 0);
    });
}

/// Calls that always meet: they lose races, get a lane, and go through it.
#[test]
fn what_meets_goes_through_a_lane_and_nothing_is_lost() {
    /// Of all schedules.
    static WITH_LANE: AtomicUsize = AtomicUsize::new(0);
    explore(|| {
        let mut producer = Producer::new(2);
        for nonce in 0..3 {
            for sender in 0..3 {
                producer.hand_out(count(sender, nonce, 100_000), usize::from(sender));
            }
        }
        let (_, lanes) = producer.finish(9, 0);
        WITH_LANE.fetch_add(lanes, Relaxed);
    });
    assert!(WITH_LANE.load(Relaxed) > 0, "now and then they meet");
}

#[test]
fn what_runs_alone_is_in_the_order_too() {
    explore(|| {
        let mut producer = Producer::new(2);
        producer.hand_out(transfer(0, 0, 1), 1);
        producer.hand_out(tell(1, 0), 1);
        producer.hand_out(transfer(1, 1, 2), 1);
        producer.hand_out(count(2, 0, 100_000), 1);
        producer.hand_out(tell(0, 1), 1);
        producer.hand_out(count(1, 2, 100_000), 1);
        let (alone, _) = producer.finish(6, 0);
        assert!(alone >= 2, "what looks at the beneficiary does");
    });
}

/// What is refused gives back what waits behind it, and nobody else is kept waiting.
#[test]
fn what_is_refused_comes_back_with_what_is_behind_it() {
    explore(|| {
        let mut producer = Producer::new(2);
        producer.hand_out(transfer(POOR, 0, 0), 1);
        producer.hand_out(count(0, 0, 100_000), 1);
        producer.hand_out(transfer(POOR, 1, 0), 1);
        producer.hand_out(transfer(POOR, 2, 0), 2);
        producer.hand_out(transfer(1, 0, 2), 1);
        let _ = producer.finish(3, 2);
    });
}

/// Long ones, which one of the workers does not take, beside short ones of better and of worse classes.
#[test]
fn neither_long_ones_nor_the_last_class_wait_for_ever() {
    explore(|| {
        let mut producer = Producer::new(2);
        producer.hand_out(count(0, 0, LONG_GAS), 4);
        producer.hand_out(transfer(1, 0, 2), 0);
        producer.hand_out(count(1, 1, LONG_GAS), 0);
        producer.hand_out(transfer(0, 1, 2), 4);
        producer.hand_out(transfer(2, 0, 1), 0);
        producer.hand_out(transfer(2, 1, 1), 2);
        let _ = producer.finish(6, 0);
    });
}

/// One who stops in the middle of it waits for nobody but those who are at something.
#[test]
fn workers_stop_whatever_is_left() {
    explore(|| {
        let mut producer = Producer::new(3);
        for sender in 0..3 {
            producer.hand_out(count(sender, 0, 100_000), 1);
        }
        producer.production.help();
        let Producer {
            state, production, ..
        } = producer;
        drop(production);
        let counted = state.newest().storage(&COUNTER, &U256::ZERO);
        assert!(counted.is_ok_and(|counted| counted <= U256::from(3)));
    });
}
