//! Random histories: whatever is submitted, replaced, popped, put back, held, discarded and published, each sender's
//! transactions come out by nonce, none twice, and none is lost.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use alloy_primitives::{Address, B256, TxKind, U256};
use proptest::prelude::*;
use rapid_pool::{DiscardReason, HeadInfo, Lane, LaneConfig, Origin, PoolConfig, PooledTransaction};

use crate::support::{Accounts, Bench, GWEI, Spec, address, config, head, mini_block};

const SENDERS: usize = 4;
const TARGETS: [(Address, Lane); 3] = [
    (Address::repeat_byte(0xc1), Lane::Critical),
    (Address::repeat_byte(0xd1), Lane::Normal),
    (Address::repeat_byte(0xb1), Lane::Bulk),
];

#[derive(Clone, Debug)]
enum Step {
    Submit {
        sender: usize,
        ahead: u64,
        target: usize,
        bid: u32,
    },
    Pop {
        count: usize,
    },
    PutBack,
    Hold,
    Release,
    Discard {
        invalid: bool,
    },
    Publish {
        count: usize,
    },
    BaseFee {
        gwei: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..SENDERS, 0u64..6, 0..TARGETS.len(), 0u32..4)
            .prop_map(|(sender, ahead, target, bid)| Step::Submit { sender, ahead, target, bid }),
        4 => (1usize..5).prop_map(|count| Step::Pop { count }),
        1 => Just(Step::PutBack),
        1 => Just(Step::Hold),
        1 => Just(Step::Release),
        1 => any::<bool>().prop_map(|invalid| Step::Discard { invalid }),
        3 => (1usize..6).prop_map(|count| Step::Publish { count }),
        1 => prop_oneof![Just(0u64), Just(15), Just(45)].prop_map(|gwei| Step::BaseFee { gwei }),
    ]
}

/// What must be true, kept beside the pool.
struct Model {
    bench: Bench,
    /// Next nonce of each sender in the published state.
    published: [u64; SENDERS],
    /// Next nonce of each sender after what was popped and kept.
    executed: [u64; SENDERS],
    /// Popped and kept, not yet published, in order.
    executed_order: Vec<Arc<PooledTransaction>>,
    /// The transaction that should be in the pool for each nonce.
    pooled: [BTreeMap<u64, B256>; SENDERS],
    /// Signing is what costs; the same transaction is asked for often.
    signed: HashMap<(usize, u64, usize, u32), alloy_primitives::Bytes>,
    out: HashSet<B256>,
}

impl Model {
    fn new() -> Self {
        let mut lanes = LaneConfig {
            paid_tip_min: Some(3 * GWEI),
            passed_over_max: [0, 2, 2, 3, 3],
            ..LaneConfig::default()
        };
        lanes.targets.extend(TARGETS);
        let config = PoolConfig {
            lanes,
            ready_queue_len: 4,
            ..config()
        };
        Self {
            bench: Bench::new(config),
            published: [0; SENDERS],
            executed: [0; SENDERS],
            executed_order: Vec::new(),
            pooled: Default::default(),
            signed: HashMap::new(),
            out: HashSet::new(),
        }
    }

    fn accounts(&self) -> Accounts {
        let mut accounts = Accounts::default();
        for (sender, nonce) in self.published.iter().enumerate() {
            accounts.set(sender, *nonce, 1_000 * crate::support::ETHER);
        }
        accounts
    }

    fn submit(&mut self, sender: usize, ahead: u64, target: usize, bid: u32) {
        let nonce = self.published[sender] + ahead;
        let raw = self
            .signed
            .entry((sender, nonce, target, bid))
            .or_insert_with(|| {
                let fee = 10u128 * 2u128.pow(bid) * GWEI;
                let spec = Spec {
                    fee_cap: fee,
                    tip: u128::from(bid + 1) * GWEI,
                    ..Spec::nonce(nonce)
                };
                Spec {
                    to: TxKind::Call(TARGETS[target].0),
                    ..spec
                }
                .sign(crate::support::key(sender))
            });
        let transaction = crate::support::decode(raw);
        let accounts = self.accounts();
        let result = self
            .bench
            .pool
            .submit(Origin::External, transaction, &accounts, &head());
        if let Ok(hash) = result {
            assert!(
                nonce >= self.executed[sender],
                "a dispatched transaction was replaced"
            );
            self.pooled[sender].insert(nonce, hash);
        }
    }

    fn index(transaction: &PooledTransaction) -> usize {
        (0..SENDERS)
            .find(|index| address(*index) == transaction.sender())
            .expect("a sender of the model")
    }

    fn pop(&mut self) -> Option<Arc<PooledTransaction>> {
        let transaction = self.bench.ready.pop()?;
        let sender = Self::index(&transaction);
        assert_eq!(transaction.nonce(), self.executed[sender], "out of order");
        assert_eq!(
            self.pooled[sender].get(&transaction.nonce()),
            Some(&transaction.hash()),
            "not what is pooled"
        );
        assert!(self.out.insert(transaction.hash()), "handed out twice");
        Some(transaction)
    }

    fn keep(&mut self, transaction: Arc<PooledTransaction>) {
        self.executed[Self::index(&transaction)] += 1;
        self.executed_order.push(transaction);
    }

    fn publish(&mut self, count: usize) {
        let count = count.min(self.executed_order.len());
        let block: Vec<_> = self.executed_order.drain(..count).collect();
        for transaction in &block {
            let sender = Self::index(transaction);
            self.published[sender] = transaction.nonce() + 1;
            self.pooled[sender].remove(&transaction.nonce());
        }
        self.bench.pool.on_mini_block(&mini_block(&block, |_| {
            Some(U256::from(1_000 * crate::support::ETHER))
        }));
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Submit {
                sender,
                ahead,
                target,
                bid,
            } => self.submit(sender, ahead, target, bid),
            Step::Pop { count } => {
                for _ in 0..count {
                    if let Some(transaction) = self.pop() {
                        self.keep(transaction);
                    }
                }
            }
            Step::PutBack => {
                if let Some(transaction) = self.pop() {
                    self.out.remove(&transaction.hash());
                    self.bench.ready.requeue_front(transaction);
                }
            }
            Step::Hold => {
                if let Some(transaction) = self.pop() {
                    self.out.remove(&transaction.hash());
                    self.bench.ready.hold(transaction);
                }
            }
            Step::Release => {
                self.bench.ready.release_held();
            }
            Step::Discard { invalid } => {
                if let Some(transaction) = self.pop() {
                    self.out.remove(&transaction.hash());
                    let sender = Self::index(&transaction);
                    if invalid {
                        self.pooled[sender].remove(&transaction.nonce());
                        self.bench.ready.discard(transaction, DiscardReason::Invalid);
                    } else {
                        self.bench
                            .ready
                            .discard(transaction, DiscardReason::FeeCapBelowBaseFee);
                    }
                }
            }
            Step::Publish { count } => self.publish(count),
            Step::BaseFee { gwei } => {
                self.bench.pool.on_head(&HeadInfo {
                    base_fee: gwei * 1_000_000_000,
                    ..head()
                });
            }
        }
    }

    /// With everything published, nothing held and the base fee low, every gapless transaction comes out.
    fn finish(&mut self) {
        self.bench.ready.release_held();
        self.bench.pool.on_head(&HeadInfo {
            base_fee: 0,
            ..head()
        });
        while let Some(transaction) = self.pop() {
            self.keep(transaction);
        }
        self.publish(usize::MAX);
        let mut left = 0;
        for sender in 0..SENDERS {
            assert_eq!(self.published[sender], self.executed[sender]);
            assert!(
                !self.pooled[sender].contains_key(&self.published[sender]),
                "lost: {sender}"
            );
            left += self.pooled[sender].len();
            for hash in self.pooled[sender].values() {
                assert!(self.bench.pool.contains(hash), "lost behind a gap");
            }
        }
        let status = self.bench.pool.status();
        assert_eq!((status.pending, status.queued), (0, left), "the counts drifted");
        assert!(self.bench.ready.is_idle());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn by_nonce_once_and_never_lost(steps in proptest::collection::vec(step(), 1..120)) {
        let mut model = Model::new();
        for step in &steps {
            model.apply(step);
        }
        model.finish();
    }
}
