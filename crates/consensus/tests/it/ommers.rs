//! Ommers: which header may be one, of which block, how often.

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, U256};
use rapid_chainspec::ChainSpec;
use rapid_consensus::{
    Ancestor, HeaderError, MAX_OMMERS, OmmerError, OmmersError, next_difficulty, verify_ommers,
};

use crate::chains::{chain, with_config};

/// A chain of ten blocks, with siblings for all but the first.
struct Chain {
    spec: ChainSpec,
    blocks: Vec<Header>,
}

impl Chain {
    /// On the rules of Homestead.
    fn new() -> Self {
        let spec = chain(1);
        let mut blocks = vec![spec.genesis_header().inner().clone()];
        for _ in 0..9 {
            let next = child(&spec, &blocks[blocks.len() - 1], "canonical");
            blocks.push(next);
        }
        Self { spec, blocks }
    }

    /// A header beside block `number`.
    fn sibling(&self, number: usize) -> Header {
        child(&self.spec, &self.blocks[number - 1], "sibling")
    }

    /// The ancestors of a new block 10, newest first.
    fn ancestry(&self) -> Vec<Ancestor> {
        self.blocks.iter().rev().map(ancestor).collect()
    }

    fn verify_with(&self, ommers: &[Header], ancestry: &[Ancestor]) -> Result<(), OmmersError> {
        let block = child(&self.spec, &self.blocks[9], "block");
        verify_ommers(&self.spec, &block, ommers, ancestry)
    }

    fn verify(&self, ommers: &[Header]) -> Result<(), OmmersError> {
        self.verify_with(ommers, &self.ancestry())
    }

    /// What is wrong with the only ommer.
    fn refuse(&self, ommer: Header) -> OmmerError {
        match self.verify(&[ommer]) {
            Err(OmmersError::Ommer { index: 0, error }) => error,
            other => panic!("{other:?}"),
        }
    }
}

/// One change of a header.
type Change = fn(&mut Header);

fn child(spec: &ChainSpec, parent: &Header, extra_data: &'static str) -> Header {
    let timestamp = parent.timestamp + 10;
    Header {
        parent_hash: parent.hash_slow(),
        number: parent.number + 1,
        timestamp,
        gas_limit: parent.gas_limit,
        difficulty: next_difficulty(spec, parent, timestamp),
        extra_data: Bytes::from_static(extra_data.as_bytes()),
        ..Header::default()
    }
}

fn ancestor(header: &Header) -> Ancestor {
    Ancestor {
        hash: header.hash_slow(),
        header: header.clone(),
        ommers: Vec::new(),
    }
}

#[test]
fn one_to_six_generations_back() {
    let chain = Chain::new();
    for number in 4..=9 {
        assert_eq!(
            chain.verify(&[chain.sibling(number)]),
            Ok(()),
            "sibling of {number}"
        );
    }
    let (min, max) = (4, 9);
    assert_eq!(
        chain.refuse(chain.sibling(3)),
        OmmerError::Depth { found: 3, min, max }
    );
    assert_eq!(
        chain.refuse(chain.sibling(10)),
        OmmerError::Depth { found: 10, min, max }
    );
}

#[test]
fn at_most_two_and_distinct() {
    let chain = Chain::new();
    let siblings = [chain.sibling(7), chain.sibling(8), chain.sibling(9)];
    assert_eq!(chain.verify(&siblings[..2]), Ok(()));
    let (found, max) = (3, MAX_OMMERS);
    assert_eq!(chain.verify(&siblings), Err(OmmersError::Count { found, max }));
    let hash = siblings[0].hash_slow();
    let twice = [siblings[0].clone(), siblings[0].clone()];
    let (first, second) = (0, 1);
    assert_eq!(
        chain.verify(&twice),
        Err(OmmersError::Duplicate { first, second, hash })
    );
}

#[test]
fn none_after_the_merge() {
    let merged = with_config(
        r#""homesteadBlock":0,"byzantiumBlock":0,"londonBlock":0,"mergeNetsplitBlock":10,"terminalTotalDifficulty":1"#,
    );
    let chain = Chain::new();
    let block = child(&merged, &chain.blocks[9], "block");
    let (found, max) = (1, 0);
    assert_eq!(
        verify_ommers(&merged, &block, &[chain.sibling(9)], &chain.ancestry()),
        Err(OmmersError::Count { found, max })
    );
}

#[test]
fn neither_an_ancestor_nor_included_before() {
    let chain = Chain::new();
    let canonical = chain.blocks[8].clone();
    let hash = canonical.hash_slow();
    assert_eq!(chain.refuse(canonical), OmmerError::Ancestor { hash, number: 8 });
    let ommer = chain.sibling(6);
    let hash = ommer.hash_slow();
    let mut ancestry = chain.ancestry();
    ancestry[1].ommers.push(hash);
    let error = OmmerError::Included { hash, by: 8 };
    assert_eq!(
        chain.verify_with(&[ommer], &ancestry),
        Err(OmmersError::Ommer { index: 0, error })
    );
}

#[test]
fn the_parent_is_an_ancestor_but_not_the_blocks_parent() {
    let chain = Chain::new();
    let parent = chain.blocks[9].hash_slow();
    let sibling = Header {
        number: 9,
        ..chain.sibling(10)
    };
    assert_eq!(chain.refuse(sibling), OmmerError::Sibling { parent });
    let parent = B256::repeat_byte(1);
    let orphan = Header {
        parent_hash: parent,
        ..chain.sibling(9)
    };
    assert_eq!(chain.refuse(orphan), OmmerError::UnknownParent { parent });
    let cousin = child(&chain.spec, &chain.sibling(8), "cousin");
    let parent = cousin.parent_hash;
    assert_eq!(chain.refuse(cousin), OmmerError::UnknownParent { parent });
}

/// An ommer obeys every rule of a header, except for what only its own body or execution could show.
#[test]
fn an_ommer_is_a_valid_header() {
    let chain = Chain::new();
    let determined: [(&str, Change); 7] = [
        ("number", |header| header.number -= 1),
        ("timestamp", |header| header.timestamp -= 10),
        ("difficulty", |header| header.difficulty += U256::ONE),
        ("gas limit", |header| header.gas_limit *= 2),
        ("gas used", |header| header.gas_used = header.gas_limit + 1),
        ("extra data", |header| {
            header.extra_data = Bytes::from(vec![0; 33])
        }),
        ("base fee", |header| header.base_fee_per_gas = Some(1)),
    ];
    for (name, change) in determined {
        let mut ommer = chain.sibling(8);
        change(&mut ommer);
        let error = chain.refuse(ommer);
        assert!(matches!(error, OmmerError::Header(_)), "{name}: {error}");
    }
    let free: [Change; 4] = [
        |header| header.state_root = B256::repeat_byte(1),
        |header| header.receipts_root = B256::repeat_byte(1),
        |header| header.ommers_hash = B256::repeat_byte(1),
        |header| header.gas_used = 1,
    ];
    for change in free {
        let mut ommer = chain.sibling(8);
        change(&mut ommer);
        assert_eq!(chain.verify(&[ommer]), Ok(()));
    }
    let error = chain.refuse(Header {
        gas_used: u64::MAX,
        ..chain.sibling(8)
    });
    let gas_limit = chain.blocks[8].gas_limit;
    let gas_used = u64::MAX;
    assert_eq!(
        error,
        OmmerError::Header(HeaderError::GasUsed { gas_used, gas_limit })
    );
}
