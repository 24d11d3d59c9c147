//! What is right passes, and what is wrong is noticed: without the second, the first says nothing.

use std::sync::Arc;

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, hex, keccak256};
use rapid_chainspec::ChainSpec;
use rapid_consensus::{PostExecutionError, ReceiptsDigest};
use rapid_evm::Compiler;
use rapid_primitives::{
    AccountChange, Block, BlockBody, CodeChange, Fate, Header, SealedBlock, TransactionSigned,
};

use crate::{
    Checked, Content, Expected, Fault, Hashes, Lineage, Rules, Subject,
    check::{check_block, same_as_replay},
    gate::Gate,
    opened::Opened,
    outcome::Outcome,
    producer::{Given, produce},
    replay::replay,
};

const CANCUN: &str = r#"{"config":{"chainId":9,"homesteadBlock":0,"eip150Block":0,"eip155Block":0,"eip158Block":0,"byzantiumBlock":0,
    "constantinopleBlock":0,"petersburgBlock":0,"istanbulBlock":0,"berlinBlock":0,"londonBlock":0,"terminalTotalDifficulty":0,
    "shanghaiTime":0,"cancunTime":0},"gasLimit":"0x1c9c380"}"#;
const AMSTERDAM: &str = r#"{"config":{"chainId":9,"homesteadBlock":0,"eip150Block":0,"eip155Block":0,"eip158Block":0,"byzantiumBlock":0,
    "constantinopleBlock":0,"petersburgBlock":0,"istanbulBlock":0,"berlinBlock":0,"londonBlock":0,"terminalTotalDifficulty":0,
    "shanghaiTime":0,"cancunTime":0,"pragueTime":0,"osakaTime":0,"amsterdamTime":0},"gasLimit":"0x1c9c380"}"#;
const LONDON: &str = r#"{"config":{"chainId":9,"homesteadBlock":0,"eip150Block":0,"eip155Block":0,"eip158Block":0,"byzantiumBlock":0,
    "constantinopleBlock":0,"petersburgBlock":0,"istanbulBlock":0,"berlinBlock":0,"londonBlock":0},"gasLimit":"0x1c9c380"}"#;

const BENEFICIARY: Address = Address::repeat_byte(0xbe);
/// Reads its slot 0, asks for a block's hash, which takes until another transaction asks too, logs what it read and writes one
/// more. So receipts depend on the order, and transactions do get in each other's way.
const COUNTER: Address = Address::repeat_byte(0xc0);
const COUNTER_CODE: &[u8] = &hex!("6000546000405060005260206000a0600160005101600055");
/// Stores the balance of the beneficiary in its slot 0.
const CURIOUS: Address = Address::repeat_byte(0xc1);
const CURIOUS_CODE: &[u8] = &hex!("4131600055");
/// No transaction touches it.
const BYSTANDER: Address = Address::repeat_byte(0xb5);
/// Has nothing until somebody sends it something.
const POOR: Address = Address::repeat_byte(0x70);

const GAS_LIMIT: u64 = 200_000;
const ETHER: u128 = 1_000_000_000_000_000_000;

fn sender(number: u8) -> Address {
    Address::with_last_byte(0x10 + number)
}

fn funded(address: Address, wei: u128) -> AccountChange {
    AccountChange {
        nonce: Some(0),
        balance: Some(U256::from(wei)),
        ..AccountChange::new(address)
    }
}

fn contract(address: Address, code: &'static [u8]) -> AccountChange {
    AccountChange {
        nonce: Some(1),
        code: Some(CodeChange::new(Bytes::from_static(code))),
        storage: vec![(U256::ZERO, U256::from(7))],
        ..funded(address, 0)
    }
}

fn accounts() -> Vec<AccountChange> {
    let mut accounts = vec![
        contract(COUNTER, COUNTER_CODE),
        contract(CURIOUS, CURIOUS_CODE),
        funded(BYSTANDER, 5),
    ];
    accounts.extend((0..8).map(|number| funded(sender(number), 10 * ETHER)));
    accounts
}

/// The accounts with another one in place of one of them, or one more.
fn with(account: AccountChange) -> Content {
    let others = accounts()
        .into_iter()
        .filter(|other| other.address != account.address);
    Content::new(others.chain([account.clone()]))
}

/// A block and the state before it.
struct Bed {
    rules: Rules,
    before: Content,
    header: Header,
    transactions: Vec<TransactionSigned>,
    senders: Vec<Address>,
}

impl Bed {
    fn new(chain: &str) -> Self {
        let spec = Arc::new(ChainSpec::parse(chain).unwrap());
        let header = Header {
            number: 1,
            timestamp: 12,
            parent_hash: spec.genesis_hash(),
            beneficiary: BENEFICIARY,
            gas_limit: 30_000_000,
            base_fee_per_gas: Some(7),
            ..Header::default()
        };
        let header = if chain == CANCUN {
            Header {
                excess_blob_gas: Some(0),
                blob_gas_used: Some(0),
                parent_beacon_block_root: Some(B256::repeat_byte(9)),
                ..header
            }
        } else {
            header
        };
        Self {
            rules: Rules {
                spec,
                compiler: Compiler::none(),
            },
            before: Content::new(accounts()),
            header,
            transactions: Vec::new(),
            senders: Vec::new(),
        }
    }

    /// Every sender counts, some look at the beneficiary, all send a bit to others.
    fn busy(rounds: u64) -> Self {
        let mut bed = Self::new(CANCUN);
        for nonce in 0..rounds {
            for number in 0..8 {
                let to = match (u64::from(number) + nonce) % 4 {
                    0 => sender((number + 1) % 8),
                    1 if nonce % 3 == 0 => CURIOUS,
                    _ => COUNTER,
                };
                bed.push(sender(number), nonce, to, 1);
            }
        }
        bed
    }

    fn push(&mut self, from: Address, nonce: u64, to: Address, wei: u128) {
        let value = if to == COUNTER || to == CURIOUS { 0 } else { wei };
        let unsigned = TxEip1559 {
            chain_id: 9,
            nonce,
            gas_limit: GAS_LIMIT,
            max_fee_per_gas: 1_000,
            max_priority_fee_per_gas: 10,
            to: TxKind::Call(to),
            value: U256::from(value),
            ..TxEip1559::default()
        };
        let signature = Signature::new(U256::ONE, U256::ONE, false);
        self.transactions.push(unsigned.into_signed(signature).into());
        self.senders.push(from);
    }

    fn subject(&self) -> Subject<'_> {
        let gate = Gate::new(2);
        Subject {
            rules: &self.rules,
            environment: rapid_evm::environment_of_header(&self.header),
            parent_hash: Some(self.header.parent_hash),
            transactions: &self.transactions,
            senders: &self.senders,
            withdrawals: Some(&[]),
            ommers: &[],
            hashes: Hashes::new(move |_| {
                gate.pass();
                None
            }),
        }
    }

    fn replayed(&self, order: impl Iterator<Item = usize>) -> Outcome {
        replay(&self.subject(), &self.before, order, 0..0).unwrap()
    }

    /// The header completed by executing one after the other.
    fn sealed(&self) -> Header {
        let outcome = self.replayed(0..self.transactions.len());
        let receipts: Vec<_> = outcome.steps.iter().map(|step| step.receipt.clone()).collect();
        let receipts = ReceiptsDigest::of(&receipts);
        Header {
            gas_used: outcome.gas_used,
            receipts_root: receipts.root,
            logs_bloom: receipts.logs_bloom,
            state_root: outcome.root().unwrap(),
            ..self.header.clone()
        }
    }

    fn check(&self, header: &Header) -> Result<Checked, Fault> {
        let (checked, _) = check_block(&self.subject(), &self.before, &Expected::Header(header))?;
        Ok(checked)
    }

    fn produced(&self, given: Given) -> Outcome {
        let subject = self.subject();
        let block = Opened::new(&subject, &self.before).unwrap();
        produce(block, given, 3).unwrap().outcome
    }

    /// What differs if this outcome is compared with executing one after the other on another state.
    fn difference_on(&self, before: &Content, outcome: &Outcome) -> String {
        match same_as_replay(&self.subject(), before, outcome) {
            Err(Fault::Differs { what, .. }) => what,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_block_is_made_in_both_ways() {
    let bed = Bed::busy(9);
    let checked = bed.check(&bed.sealed()).unwrap();
    assert_eq!(checked.produced, 1);
    assert_eq!(checked.several_senders, 1);
    // In its own order, and by two, three and four workers.
    assert_eq!(checked.on_workers + checked.alone, 4 * 72);
    assert!(checked.alone >= 4 && checked.on_workers > 4 * 36, "{checked}");
    assert!(checked.reordered > 0, "{checked}");
    assert_eq!(checked.refused, 0);
}

#[test]
fn all_are_made_although_the_block_has_no_room_for_what_they_might_take() {
    let bed = Bed::busy(40);
    let might_take = bed.transactions.len() as u64 * GAS_LIMIT;
    assert!(might_take > 2 * bed.header.gas_limit);
    let checked = bed.check(&bed.sealed()).unwrap();
    assert_eq!(checked.on_workers + checked.alone, 4 * 320);
}

#[test]
fn a_header_that_says_something_else_is_noticed() {
    let bed = Bed::busy(2);
    let header = bed.sealed();
    let fault = |change: fn(&mut Header)| {
        let mut wrong = header.clone();
        change(&mut wrong);
        match bed.check(&wrong) {
            Err(Fault::Header(fault)) => fault,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(
        fault(|header| header.gas_used += 1),
        PostExecutionError::GasUsed(_)
    ));
    assert!(matches!(
        fault(|header| header.receipts_root = B256::ZERO),
        PostExecutionError::ReceiptsRoot(_)
    ));
    assert!(matches!(
        fault(|header| header.logs_bloom = alloy_primitives::Bloom::repeat_byte(1)),
        PostExecutionError::LogsBloom(_)
    ));
    assert!(matches!(
        fault(|header| header.state_root = B256::ZERO),
        PostExecutionError::StateRoot(_)
    ));
}

#[test]
fn another_state_below_production_is_noticed_wherever_it_shows() {
    let bed = Bed::busy(3);
    for given in [Given::OneByOne, Given::AllAtOnce] {
        let outcome = bed.produced(given);
        same_as_replay(&bed.subject(), &bed.before, &outcome).unwrap();
        let difference = |account| bed.difference_on(&with(account), &outcome);
        let counter = AccountChange {
            storage: vec![(U256::ZERO, U256::from(8))],
            ..contract(COUNTER, COUNTER_CODE)
        };
        assert!(difference(counter).starts_with("receipt of transaction"));
        let richer = funded(sender(3), 11 * ETHER);
        assert!(difference(richer).starts_with("changes of transaction"));
        let paid = funded(BENEFICIARY, 1);
        assert!(difference(paid).starts_with("changes of transaction"));
        let bystander = funded(BYSTANDER, 6);
        assert_eq!(difference(bystander), "account after the block");
        let more = funded(Address::repeat_byte(0xaa), 1);
        assert_eq!(difference(more), "account after the block");
        // One that can pay nothing makes all of its own missing.
        bed.difference_on(&with(funded(sender(5), 0)), &outcome);
    }
}

#[test]
fn another_order_and_a_missing_transaction_are_noticed() {
    let bed = Bed::busy(3);
    let right = || bed.produced(Given::OneByOne);
    let last = right().steps.len() - 1;
    let mut swapped = right();
    // Two that count, of two senders.
    swapped.steps.swap(2, 3);
    assert!(
        bed.difference_on(&bed.before, &swapped)
            .starts_with("receipt of transaction")
    );
    let mut short = right();
    short.steps.truncate(last);
    assert_eq!(bed.difference_on(&bed.before, &short), "gas used");
    let mut twice = right();
    twice.steps.push(twice.steps[last].clone());
    assert_eq!(bed.difference_on(&bed.before, &twice), "number of transactions");
    let mut refused = right();
    refused.steps.truncate(last);
    refused.refused.insert(last, "because".to_owned());
    assert_eq!(bed.difference_on(&bed.before, &refused), "number of transactions");
}

#[test]
fn an_end_that_differs_is_noticed() {
    let bed = Bed::busy(1);
    let mut outcome = bed.produced(Given::AllAtOnce);
    outcome.end.as_mut().unwrap().changes.push(funded(BYSTANDER, 6));
    assert_eq!(bed.difference_on(&bed.before, &outcome), "end of the block");
}

#[test]
fn what_is_refused_at_first_is_made_once_it_can_be() {
    let mut bed = Bed::new(CANCUN);
    // Those before it in the order of the block are long in coming.
    bed.push(POOR, 0, sender(1), 1);
    bed.push(POOR, 1, COUNTER, 0);
    for nonce in 0..5 {
        bed.push(sender(0), nonce, COUNTER, 0);
    }
    bed.push(sender(0), 5, POOR, ETHER);
    for given in [Given::OneByOne, Given::AllAtOnce] {
        let outcome = bed.produced(given);
        assert_eq!(outcome.steps.len(), 8, "{:?}", outcome.refused);
        same_as_replay(&bed.subject(), &bed.before, &outcome).unwrap();
    }
}

#[test]
fn what_can_never_be_made_is_refused_for_the_same_reason() {
    let mut bed = Bed::busy(1);
    bed.push(POOR, 0, COUNTER, 0);
    bed.push(sender(2), 5, COUNTER, 0);
    for given in [Given::OneByOne, Given::AllAtOnce] {
        let mut outcome = bed.produced(given);
        assert_eq!(outcome.steps.len(), 8);
        assert!(outcome.refused.keys().eq(&[8, 9]), "{:?}", outcome.refused);
        same_as_replay(&bed.subject(), &bed.before, &outcome).unwrap();
        // One after the other it is not refused where it can pay.
        let can_pay = with(funded(POOR, ETHER));
        assert_eq!(bed.difference_on(&can_pay, &outcome), "number of transactions");
        outcome.refused.insert(9, "something else".to_owned());
        assert_eq!(bed.difference_on(&bed.before, &outcome), "refused transactions");
    }
    let fault = bed.check(&bed.header).unwrap_err();
    assert!(
        matches!(
            fault,
            Fault::Unexpected {
                what: "transactions",
                ..
            }
        ),
        "{fault}"
    );
}

#[test]
fn a_transaction_without_a_block_is_compared_with_what_the_test_says() {
    let mut bed = Bed::new(CANCUN);
    bed.push(sender(0), 0, COUNTER, 0);
    let subject = Subject {
        parent_hash: None,
        ..bed.subject()
    };
    let outcome = replay(&subject, &bed.before, 0..1, 0..0).unwrap();
    let (state, logs) = (
        outcome.root().unwrap(),
        keccak256(alloy_rlp::encode(outcome.logs())),
    );
    let check = |expected| crate::check(&subject, &bed.before, &expected);
    assert_eq!(check(Expected::Roots { state, logs }).unwrap().on_workers, 2);
    for wrong in [
        Expected::Roots {
            state: B256::ZERO,
            logs,
        },
        Expected::Roots {
            state,
            logs: B256::ZERO,
        },
        Expected::Refused,
    ] {
        let fault = check(wrong).unwrap_err();
        assert!(matches!(fault, Fault::Unexpected { .. }), "{fault}");
    }
    bed.senders[0] = POOR;
    let subject = bed.subject();
    let checked = crate::check(&subject, &bed.before, &Expected::Refused).unwrap();
    assert_eq!((checked.on_workers, checked.refused), (0, 1));
}

#[test]
fn blocks_with_access_lists_are_made_and_their_lists_compared() {
    let bed = Bed::busy(5);
    let rules = Rules {
        spec: Arc::new(ChainSpec::parse(AMSTERDAM).unwrap()),
        compiler: Compiler::none(),
    };
    let (subject, before) = (bed.subject(), &bed.before);
    let subject = subject.by(&rules);
    let checked = crate::check(&subject, before, &Expected::Agreement).unwrap();
    assert_eq!((checked.produced, checked.listed), (1, 1));
    assert_eq!(checked.on_workers + checked.alone, 4 * 40, "{checked}");
    let produced = |given| {
        let block = Opened::new(&subject, before).unwrap();
        produce(block, given, 3).unwrap().outcome
    };
    let mut outcome = produced(Given::AllAtOnce);
    let list = outcome.access_list.as_mut().unwrap();
    let touched = list.iter().map(|account| account.address);
    assert!(touched.clone().any(|address| address == BENEFICIARY));
    assert!(touched.clone().is_sorted());
    let counter = list
        .iter_mut()
        .find(|account| account.address == COUNTER)
        .unwrap();
    counter.storage_reads.push(U256::from(5));
    match same_as_replay(&subject, before, &outcome) {
        Err(Fault::Differs { what, .. }) => assert_eq!(what, "access list"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn blocks_that_the_sequencer_spares_the_workers_are_counted() {
    let mut bed = Bed::new(CANCUN);
    bed.push(sender(0), 0, COUNTER, 0);
    bed.before = with(AccountChange {
        fate: Fate::CreatedEmpty,
        ..funded(BENEFICIARY, 0)
    });
    let checked = bed.check(&bed.sealed()).unwrap();
    assert_eq!((checked.empty_beneficiary, checked.produced), (1, 0));
    let mut bed = Bed::new(LONDON);
    bed.push(sender(0), 0, COUNTER, 0);
    let header = bed.sealed();
    assert_eq!(bed.check(&header).unwrap().before_shanghai, 1);
    // They are compared with their headers all the same.
    let wrong = Header {
        state_root: B256::ZERO,
        ..header
    };
    assert!(bed.check(&wrong).is_err());
}

#[test]
fn blocks_are_made_on_their_parents() {
    let mut first = Bed::busy(1);
    first.header = first.sealed();
    let seal = |bed: &Bed| {
        let body = BlockBody {
            transactions: bed.transactions.clone(),
            ommers: Vec::new(),
            withdrawals: None,
        };
        let header = bed.header.clone();
        let receipts = bed.replayed(0..bed.transactions.len()).steps;
        let receipts = receipts.into_iter().map(|step| step.receipt).collect();
        SealedBlock::seal(Block { header, body }, bed.senders.clone(), receipts)
    };
    let block = seal(&first);
    let after = first.replayed(0..first.transactions.len()).after;
    let second = |number: u8| {
        let mut bed = Bed::new(CANCUN);
        bed.before = after.clone();
        bed.header.number = 2;
        bed.header.parent_hash = block.hash;
        bed.push(sender(number), 1, COUNTER, 0);
        bed.header = bed.sealed();
        seal(&bed)
    };
    let mut lineage = Lineage::new(first.rules.clone(), first.before.clone());
    assert!(matches!(lineage.check(&second(0)), Err(Fault::UnknownParent)));
    assert_eq!(lineage.check(&block).unwrap().produced, 1);
    assert_eq!(lineage.check(&block).unwrap(), Checked::default(), "made before");
    // Two branches.
    assert_eq!(lineage.check(&second(0)).unwrap().produced, 1);
    assert_eq!(lineage.check(&second(1)).unwrap().produced, 1);
    let mut elsewhere = Lineage::new(first.rules, with(funded(BYSTANDER, 6)));
    assert!(matches!(elsewhere.check(&block), Err(Fault::Header(_))));
}
