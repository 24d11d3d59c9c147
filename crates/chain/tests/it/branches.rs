//! Chains with branches to go back and forth between, and everything that can be seen of a chain.

use std::{collections::BTreeMap, sync::Arc};

use alloy_consensus::{SignableTransaction, TxLegacy};
use alloy_primitives::{Address, B256, Bytes, Signature, U256, address};
use rapid_chain::Importer;
use rapid_chainspec::ChainSpec;
use rapid_primitives::{Account, Block, Header, ReadState, TransactionSigned};

use crate::by_hand::{block, insert};

/// Stores its caller's block: `storage[NUMBER] = NUMBER; storage[0] = COINBASE`.
pub(crate) const DIARY: Address = address!("0x00000000000000000000000000000000000d1a27");
/// Destroys itself, with two slots, when it is called.
pub(crate) const MAYFLY: Address = address!("0x0000000000000000000000000000000000000f17");

/// Homestead and nothing after it, with both contracts.
pub(crate) fn spec() -> Arc<ChainSpec> {
    let spec = ChainSpec::parse(&format!(
        r#"{{"config":{{"chainId":9,"homesteadBlock":0}},"gasLimit":"0x1c9c380","difficulty":"0x40000","alloc":{{
        "{DIARY}":{{"balance":"0x0","code":"0x4343554160005500"}},
        "{MAYFLY}":{{"balance":"0x7","code":"0x33ff","storage":{{"0x01":"0x05","0x02":"0x06"}}}}}}}}"#
    ));
    Arc::new(spec.expect("a well-formed test chain"))
}

/// A call for nothing. Its signature is made up, so each has a sender of its own.
pub(crate) fn call(to: Address, salt: u64) -> TransactionSigned {
    let transaction = TxLegacy {
        gas_limit: 100_000,
        to: to.into(),
        input: Bytes::from(salt.to_be_bytes().to_vec()),
        ..TxLegacy::default()
    };
    let signature = Signature::new(U256::ONE, U256::from(7), false);
    transaction.into_signed(signature).into()
}

/// A block of a branch: its miner and its caller are those of no other branch.
pub(crate) fn block_of(branch: u8, parent: &Header, to: Address) -> Block {
    let salt = u64::from(branch) << 32 | (parent.number + 1);
    let mut block = block(parent, vec![call(to, salt)], Vec::new());
    block.header.beneficiary = Address::repeat_byte(branch);
    block
}

/// Inserts `length` blocks of a branch on top of `parent`; its second block calls [`MAYFLY`], the others [`DIARY`].
pub(crate) fn grow(importer: &mut Importer, branch: u8, parent: &Header, length: u64) -> Vec<Block> {
    let mut parent = parent.clone();
    let mut blocks = Vec::new();
    for index in 0..length {
        let to = if index == 1 { MAYFLY } else { DIARY };
        let inserted = insert(importer, block_of(branch, &parent, to));
        parent = inserted.header.clone();
        blocks.push(inserted);
    }
    blocks
}

/// An account with some slots.
type Seen = (Option<Account>, Vec<U256>);

/// What a reader sees of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) head: B256,
    hashes: Vec<B256>,
    /// After each block: the accounts that blocks touch.
    states: Vec<BTreeMap<Address, Seen>>,
}

/// Looks at everything, and checks that it fits together: every state of every block proves the root in its header.
pub(crate) fn picture(importer: &Importer, branches: u8) -> Picture {
    let chain = importer.chain();
    let head = Arc::clone(&chain.view().head);
    let mut picture = Picture {
        head: head.hash,
        hashes: Vec::new(),
        states: Vec::new(),
    };
    for number in 0..=head.number() {
        let block = chain.block_by_number(number).unwrap().expect("no gap");
        assert_eq!(block.header.hash_slow(), block.hash);
        assert_eq!(chain.block_by_hash(block.hash).unwrap().as_ref(), Some(&block));
        for (index, transaction) in block.body.transactions.iter().enumerate() {
            let at = chain
                .transaction(*transaction.tx_hash())
                .unwrap()
                .expect("included");
            assert_eq!((at.block_hash, at.index), (block.hash, index as u64));
        }
        let accounts = [DIARY, MAYFLY]
            .into_iter()
            .chain((0..branches).map(|branch| Address::repeat_byte(branch + 1)));
        let state = chain.state_at(number).unwrap();
        let seen = accounts.map(|address| {
            let slots = (0..=number + 2).map(|slot| state.storage(&address, &U256::from(slot)).unwrap());
            (address, (state.account(&address).unwrap(), slots.collect()))
        });
        picture.states.push(seen.collect());
        let proof = chain.proof(number, DIARY, &[B256::ZERO]).unwrap();
        let root = proof.account_proof.first().map(alloy_primitives::keccak256);
        assert_eq!(root, Some(block.header.state_root), "proof of block {number}");
        assert_eq!(proof.account, picture.states[number as usize][&DIARY].0);
        picture.hashes.push(block.hash);
    }
    assert!(chain.block_by_number(head.number() + 1).unwrap().is_none());
    picture
}
