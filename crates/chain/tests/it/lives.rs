//! Contracts that live more than once: created with storage, destroyed, created again at the same address, on branches
//! that the chain goes back and forth between.

use std::{path::Path, sync::Arc};

use alloy_consensus::{SignableTransaction, TxLegacy};
use alloy_primitives::{
    Address, B256, Bytes, Signature, TxKind, U256, address, bytes, keccak256, map::B256Map,
};
use rapid_chain::{ChainConfig, Importer};
use rapid_chainspec::ChainSpec;
use rapid_consensus::next_difficulty;
use rapid_primitives::{Account, Block, Header, ReadState, TransactionSigned};
use rapid_state::StateConfig;
use rapid_trie::{Forest, StateTrie};

use crate::by_hand::{block, config, insert, open_with};

/// Creates what it is given with `CREATE2` and always the same salt.
const FACTORY: Address = address!("0x00000000000000000000000000000000000fac70");

/// `storage[0] = COINBASE; storage[NUMBER] = NUMBER; storage[255] = 1; storage[5] = NUMBER`, then becomes a contract that
/// destroys itself when it is called without data; else `storage[NUMBER] = COINBASE; storage[255] = 0`.
const INIT: Bytes =
    bytes!("41600055434355600160ff55436005556f3660065733ff5b414355600060ff550060005260106010f3");

/// No version but the published one is kept for anybody who has not pinned it.
pub(crate) const NO_WINDOW: StateConfig = StateConfig {
    retained_bytes: 0,
    leased_bytes: 0,
};

/// Istanbul and nothing after it, with the factory.
pub(crate) fn spec() -> Arc<ChainSpec> {
    let spec = ChainSpec::parse(&format!(
        r#"{{"config":{{"chainId":9,"homesteadBlock":0,"eip150Block":0,"eip155Block":0,"eip158Block":0,
        "byzantiumBlock":0,"constantinopleBlock":0,"petersburgBlock":0,"istanbulBlock":0}},
        "gasLimit":"0x1c9c380","difficulty":"0x40000","alloc":{{
        "{FACTORY}":{{"balance":"0x0","code":"0x36600060003760003660006000f500"}}}}}}"#
    ));
    Arc::new(spec.expect("a well-formed test chain"))
}

/// The contract that the factory makes of [`INIT`].
pub(crate) fn phoenix() -> Address {
    FACTORY.create2(B256::ZERO, keccak256(&INIT))
}

/// Numbers that look random and are the same each time.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % limit
    }
}

/// A transaction for nothing. Its signature is made up, so each has a sender of its own.
fn transaction(to: TxKind, input: Bytes, salt: u64) -> TransactionSigned {
    let transaction = TxLegacy {
        gas_limit: 200_000 + salt,
        to,
        input,
        ..TxLegacy::default()
    };
    let signature = Signature::new(U256::ONE, U256::from(7), false);
    transaction.into_signed(signature).into()
}

/// Some of: the contract is created, written to, destroyed; another one is created that stays.
fn acts(branch: u8, number: u64) -> Vec<TransactionSigned> {
    let seed = u64::from(branch) << 32 | number;
    let mut dice = Dice::new(seed);
    let salt = (u64::from(branch) * 1_000 + number) * 8;
    (salt..salt + 1 + dice.below(4))
        .map(|salt| match dice.below(8) {
            0..=2 => transaction(FACTORY.into(), INIT, salt),
            3..=4 => transaction(phoenix().into(), bytes!("01"), salt),
            5..=6 => transaction(phoenix().into(), Bytes::new(), salt),
            _ => transaction(TxKind::Create, INIT, salt),
        })
        .collect()
}

/// Inserts `length` blocks of a branch on top of `parent`.
pub(crate) fn grow(importer: &mut Importer, branch: u8, parent: &Header, length: u64) -> Vec<Block> {
    let mut parent = parent.clone();
    let mut blocks = Vec::new();
    for _ in 0..length {
        let mut next = block(&parent, acts(branch, parent.number + 1), Vec::new());
        next.header.difficulty = next_difficulty(&spec(), &parent, next.header.timestamp);
        next.header.beneficiary = Address::repeat_byte(branch);
        let inserted = insert(importer, next);
        parent = inserted.header.clone();
        blocks.push(inserted);
    }
    blocks
}

/// What a reader sees of the contract after each block.
pub(crate) type Lives = Vec<(B256, Option<Account>, Vec<U256>)>;

/// Looks at the contract after every block, and checks that state, proofs and headers fit together, and that the newest
/// state has the root that a trie made of nothing else has.
pub(crate) fn lives(importer: &Importer) -> Lives {
    let chain = importer.chain();
    let head = Arc::clone(&chain.view().head);
    let slots: Vec<_> = (0..=head.number() + 1).chain([255]).map(U256::from).collect();
    let words: Vec<B256> = slots.iter().map(|slot| (*slot).into()).collect();
    let mut lives = Vec::new();
    for number in 0..=head.number() {
        let block = chain.block_by_number(number).unwrap().expect("no gap");
        let state = chain.state_at(number).unwrap();
        let account = state.account(&phoenix()).unwrap();
        let value = |slot| state.storage(&phoenix(), slot).unwrap();
        let values: Vec<U256> = slots.iter().map(value).collect();
        let proof = chain.proof(number, phoenix(), &words).unwrap();
        let root = proof.account_proof.first().map(keccak256);
        assert_eq!(root, Some(block.header.state_root), "proof of block {number}");
        assert_eq!(proof.account, account, "account of block {number}");
        let proved: Vec<U256> = proof.storage.iter().map(|slot| slot.value).collect();
        assert_eq!(proved, values, "storage of block {number}");
        lives.push((block.hash, account, values));
    }
    assert_eq!(root_made_anew(importer), head.header.state_root);
    lives
}

/// The root of a trie that is made of the published state.
fn root_made_anew(importer: &Importer) -> B256 {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let forest = Forest::new(1 << 30).unwrap();
    let trie = StateTrie::of_snapshot(&pool, &forest, &importer.chain().view().state).unwrap();
    trie.root().unwrap()
}

/// Blocks of several branches, and what was seen of the contract when each was the head.
struct Forks {
    blocks: Vec<Block>,
    seen: B256Map<Lives>,
}

impl Forks {
    fn go_to(&mut self, importer: &mut Importer, block: &Block) {
        let hash = block.header.hash_slow();
        importer.set_head(hash).unwrap();
        assert_eq!(importer.chain().view().head.hash, hash);
        self.look(importer);
    }

    fn look(&mut self, importer: &Importer) {
        let seen = lives(importer);
        let before = self.seen.entry(importer.chain().view().head.hash);
        assert_eq!(before.or_insert_with(|| seen.clone()), &seen);
    }
}

/// A trunk, one branch of it, and a branch of that, of which the chain has gone over to the trunk.
fn forks(importer: &mut Importer) -> Forks {
    let genesis = importer.chain().view().head.header.clone();
    let mut blocks = grow(importer, 1, &genesis, 16);
    let mut forks = Forks {
        blocks: Vec::new(),
        seen: B256Map::default(),
    };
    for at in [0, 3, 4, 15] {
        forks.go_to(importer, &blocks[at]);
    }
    let branch = grow(importer, 2, &blocks[5].header, 9);
    let twig = grow(importer, 3, &branch[2].header, 12);
    blocks.extend(branch);
    blocks.extend(twig);
    forks.blocks = blocks;
    forks
}

fn config_of(dir: &Path, state: StateConfig, checkpoint_log_bytes: u64) -> ChainConfig {
    ChainConfig {
        state,
        checkpoint_log_bytes,
        ..config(dir)
    }
}

/// Goes over to blocks of all branches, to their tips and to others, and opens the directory again now and then.
fn back_and_forth(state: StateConfig, checkpoint_log_bytes: u64) {
    let dir = tempfile::tempdir().unwrap();
    let config = config_of(dir.path(), state, checkpoint_log_bytes);
    let mut importer = open_with(spec(), &config);
    let mut forks = forks(&mut importer);
    let alive = |lives: &Lives| lives.iter().map(|life| life.1.is_some()).collect::<Vec<_>>();
    let trunk = &forks.seen[&forks.blocks[15].header.hash_slow()];
    let changes = alive(trunk).windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(
        changes >= 4,
        "the contract lives at least twice: {:?}",
        alive(trunk)
    );
    let mut dice = Dice::new(7);
    for round in 1..=48 {
        let to = dice.below(forks.blocks.len() as u64) as usize;
        let to = forks.blocks[to].clone();
        forks.go_to(&mut importer, &to);
        if round % 12 == 0 {
            importer.finish().unwrap();
            importer = open_with(spec(), &config);
            forks.look(&importer);
            for block in forks.blocks.clone() {
                importer.insert(block).unwrap();
            }
        }
    }
    importer.finish().unwrap();
    let checkpoints = std::fs::read_dir(dir.path().join("checkpoints")).unwrap().count();
    assert_eq!(checkpoints > 0, checkpoint_log_bytes < u64::MAX);
    forks.look(&open_with(spec(), &config));
}

#[test]
fn contracts_come_and_go_on_branches_and_the_log_is_replayed() {
    back_and_forth(StateConfig::default(), u64::MAX);
}

#[test]
fn contracts_come_and_go_on_branches_without_a_window_and_the_log_is_replayed() {
    back_and_forth(NO_WINDOW, u64::MAX);
}

#[test]
fn contracts_come_and_go_on_branches_and_a_checkpoint_is_loaded() {
    back_and_forth(StateConfig::default(), 1);
}

#[test]
fn contracts_come_and_go_on_branches_without_a_window_and_a_checkpoint_is_loaded() {
    back_and_forth(NO_WINDOW, 1);
}
