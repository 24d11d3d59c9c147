//! A state, a block on it, and what executing it sequentially gives.

use std::{num::NonZeroUsize, sync::Arc};

use alloy_eip7928::{BlockAccessList, compute_block_access_list_hash, total_bal_items};
use alloy_eips::{eip4895::Withdrawal, eip7685::Requests};
use alloy_primitives::{Address, B256, U256};
use rapid_chainspec::{ChainSpec, EthereumHardforks};
use rapid_evm::{BlockExecutor, BlockHashes, Compiler, StateDb};
use rapid_executor::{
    BlockHint, HintVerdict, Pinning, Validated, ValidationError, ValidationInput, Workers, validate,
};
use rapid_primitives::{AccountChange, BlockEnvironment, DiffBuilder, Receipt, StateDiff, TransactionSigned};
use rapid_state::{Draft, ReadSet, State, StateConfig};

/// Who gets the fees.
pub(crate) const BENEFICIARY: Address = Address::repeat_byte(0xbe);

/// Forks that execution differs in, each with what precedes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fork {
    Byzantium,
    Istanbul,
    London,
    Cancun,
    Osaka,
    Amsterdam,
}

pub(crate) const FORKS: [Fork; 6] = [
    Fork::Byzantium,
    Fork::Istanbul,
    Fork::London,
    Fork::Cancun,
    Fork::Osaka,
    Fork::Amsterdam,
];

impl Fork {
    pub(crate) fn spec(self) -> Arc<ChainSpec> {
        let mut config =
            r#""homesteadBlock":0,"eip150Block":0,"eip155Block":0,"eip158Block":0,"byzantiumBlock":0"#
                .to_owned();
        let later = [
            (
                Self::Istanbul,
                r#","constantinopleBlock":0,"petersburgBlock":0,"istanbulBlock":0"#,
            ),
            (Self::London, r#","berlinBlock":0,"londonBlock":0"#),
            (
                Self::Cancun,
                r#","terminalTotalDifficulty":0,"shanghaiTime":0,"cancunTime":0"#,
            ),
            (Self::Osaka, r#","pragueTime":0,"osakaTime":0"#),
            (Self::Amsterdam, r#","amsterdamTime":0"#),
        ];
        for (fork, names) in later {
            if self as u8 >= fork as u8 {
                config.push_str(names);
            }
        }
        let text = format!(r#"{{"config":{{"chainId":9,{config}}},"gasLimit":"0x1c9c380"}}"#);
        Arc::new(ChainSpec::parse(&text).expect("a well-formed test chain"))
    }
}

/// Hashes that depend on the number only.
#[derive(Debug)]
pub(crate) struct Hashes;

impl BlockHashes for Hashes {
    fn block_hash(&self, number: u64) -> Option<B256> {
        Some(B256::from(U256::from(number) << 128))
    }
}

/// A block and the state before it.
#[derive(Debug)]
pub(crate) struct Bed {
    pub(crate) spec: Arc<ChainSpec>,
    pub(crate) environment: BlockEnvironment,
    pub(crate) transactions: Vec<TransactionSigned>,
    pub(crate) senders: Vec<Address>,
    pub(crate) withdrawals: Option<Vec<Withdrawal>>,
    pub(crate) state: State,
    /// A draft below the block's own, with part of the state; the rest is committed.
    pub(crate) parent: Draft,
}

/// What executing a block gives, in a form that can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Result_ {
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) diff: StateDiff,
    pub(crate) requests: Option<Requests>,
    pub(crate) access_list: Option<(B256, u64)>,
    pub(crate) gas_used: u64,
    pub(crate) blob_gas_used: u64,
    pub(crate) net: Vec<AccountChange>,
}

/// Why a block was refused: the transaction, if it is one, and the reason.
pub(crate) type Refusal = (Option<usize>, String);

/// The draft's own changes in one order: slots have none of their own.
fn net(draft: &Draft) -> Vec<AccountChange> {
    let mut changes = draft.changes();
    changes
        .iter_mut()
        .for_each(|change| change.storage.sort_unstable());
    changes
}

impl Bed {
    /// A block on a state of which one half was committed and the other is a draft on it.
    pub(crate) fn new(fork: Fork, accounts: &[AccountChange]) -> Self {
        let spec = fork.spec();
        let state = State::new(StateConfig::default()).unwrap();
        let (committed, drafted) = accounts.split_at(accounts.len() / 2);
        state.publish(state.commit(&ReadSet::new(), committed).unwrap());
        let mut parent = Draft::begin(state.published());
        parent.apply(drafted).unwrap();
        let cancun = spec.is_cancun_active_at_timestamp(12);
        let environment = BlockEnvironment {
            number: 1,
            timestamp: 12,
            gas_limit: 30_000_000,
            beneficiary: BENEFICIARY,
            base_fee_per_gas: spec.is_london_active_at_block(1).then_some(7),
            difficulty: U256::from(0x20000),
            excess_blob_gas: cancun.then_some(0),
            parent_beacon_block_root: cancun.then_some(B256::repeat_byte(0xbb)),
            slot_number: spec.is_amsterdam_active_at_timestamp(12).then_some(77),
            ..BlockEnvironment::default()
        };
        Self {
            spec,
            environment,
            transactions: Vec::new(),
            senders: Vec::new(),
            withdrawals: cancun.then(Vec::new),
            state,
            parent,
        }
    }

    pub(crate) fn push(&mut self, transaction: impl Into<TransactionSigned>, sender: Address) {
        self.transactions.push(transaction.into());
        self.senders.push(sender);
    }

    pub(crate) fn draft(&self) -> Draft {
        Draft::begin_on(&self.parent)
    }

    /// One transaction after the other, with the diff and, from Amsterdam on, the list as far as it came.
    pub(crate) fn sequential(&self) -> (Result<Result_, Refusal>, StateDiff, Option<BlockAccessList>) {
        let database = StateDb::new(self.draft(), Hashes);
        let mut executor = BlockExecutor::new(
            Arc::clone(&self.spec),
            self.environment.clone(),
            database,
            &Compiler::none(),
        );
        let mut diff = DiffBuilder::new();
        let mut before = executor.begin().unwrap();
        before.extend(executor.store_parent_hash(B256::repeat_byte(9)).unwrap());
        diff.push(0, &before);
        let mut receipts = Vec::new();
        let mut refusal = None;
        for (index, (transaction, sender)) in self.transactions.iter().zip(&self.senders).enumerate() {
            match executor.execute(transaction, *sender) {
                Ok(executed) => {
                    diff.push(index as u32 + 1, &executed.changes);
                    receipts.push(executed.receipt);
                }
                Err(error) => {
                    refusal = Some((Some(index), error.to_string()));
                    break;
                }
            }
        }
        let end = executor.finish(self.withdrawals.as_deref(), &[]);
        let end = match end {
            Ok(end) => end,
            Err(error) => {
                let refusal = refusal.unwrap_or((None, error.to_string()));
                return (Err(refusal), diff.finish(), None);
            }
        };
        if let Some(refusal) = refusal {
            return (Err(refusal), diff.finish(), end.access_list);
        }
        diff.push(receipts.len() as u32 + 1, &end.changes);
        let diff = diff.finish();
        let list = end.access_list.as_ref();
        let result = Result_ {
            receipts,
            diff: diff.clone(),
            requests: end.requests,
            access_list: list.map(|list| (compute_block_access_list_hash(list), total_bal_items(list))),
            gas_used: executor.gas_used(),
            blob_gas_used: executor.blob_gas_used(),
            net: net(executor.state()),
        };
        (Ok(result), diff, end.access_list)
    }

    /// The hint that is true, as far as the block is valid.
    pub(crate) fn hint(&self) -> BlockHint {
        let (_, diff, list) = self.sequential();
        list.map_or(BlockHint::Advisory(diff), BlockHint::Declared)
    }

    pub(crate) fn input(&self) -> ValidationInput<'_, Hashes> {
        self.input_with(&Hashes)
    }

    pub(crate) fn input_with<'a, H>(&'a self, block_hashes: &'a H) -> ValidationInput<'a, H> {
        ValidationInput {
            spec: &self.spec,
            environment: &self.environment,
            parent_hash: B256::repeat_byte(9),
            transactions: &self.transactions,
            senders: &self.senders,
            withdrawals: self.withdrawals.as_deref(),
            ommers: &[],
            block_hashes,
            compiler: const { &Compiler::none() },
        }
    }

    /// All at once.
    pub(crate) fn parallel(
        &self,
        workers: &Workers,
        hint: BlockHint,
    ) -> Result<(Result_, HintVerdict), ValidationError> {
        let validated = validate(workers, self.input(), self.draft(), hint)?;
        let Validated {
            draft,
            receipts,
            diff,
            requests,
            access_list,
            gas_used,
            blob_gas_used,
            hint,
        } = validated;
        let result = Result_ {
            receipts,
            diff,
            requests,
            access_list: access_list.map(|digest| (digest.hash, digest.items)),
            gas_used,
            blob_gas_used,
            net: net(&draft),
        };
        Ok((result, hint))
    }

    /// Fails unless all at once gives what one after the other gives. Returns whether the hint was proven.
    pub(crate) fn assert_equal(&self, workers: &Workers, hint: BlockHint, what: &str) -> Option<HintVerdict> {
        let (expected, ..) = self.sequential();
        match (expected, self.parallel(workers, hint)) {
            (Ok(expected), Ok((found, verdict))) => {
                assert_eq!(found.receipts, expected.receipts, "receipts of {what}");
                assert_eq!(found.diff, expected.diff, "diff of {what}");
                assert_eq!(found.net, expected.net, "net changes of {what}");
                assert_eq!(found.access_list, expected.access_list, "access list of {what}");
                assert_eq!(found.requests, expected.requests, "requests of {what}");
                assert_eq!(found, expected, "{what}");
                Some(verdict)
            }
            (Err(expected), Err(found)) => {
                let found = match found {
                    ValidationError::Block(error) => (None, error.to_string()),
                    ValidationError::Transaction { index, error } => (Some(index), error.to_string()),
                    unusable => panic!("{what}: {unusable}"),
                };
                assert_eq!(found, expected, "{what}");
                None
            }
            (expected, found) => panic!("{what}: {expected:?} and {found:?}"),
        }
    }
}

pub(crate) fn workers(count: usize) -> Workers {
    Workers::start(NonZeroUsize::new(count).unwrap(), &Pinning::Free).unwrap()
}
