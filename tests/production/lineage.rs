//! The blocks of a test: which states they are on.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use alloy_primitives::B256;
use rapid_primitives::SealedBlock;

use crate::{
    Checked, Content, Fault, Hashes, Rules, Subject,
    check::{Expected, check, check_block},
};

/// Valid blocks, on one chain or on several that branch off, each with the state after it.
#[derive(Debug)]
pub struct Lineage {
    rules: Rules,
    /// Other rules by which blocks are made a second time.
    others: Option<Rules>,
    known: HashMap<B256, Known>,
}

/// A block that was checked.
#[derive(Clone, Debug)]
struct Known {
    after: Arc<Content>,
    /// Hashes of its ancestors and its own.
    hashes: Arc<BTreeMap<u64, B256>>,
}

impl Lineage {
    /// A chain that has its genesis block and the state after that.
    #[must_use]
    pub fn new(rules: Rules, after: Content) -> Self {
        let hash = rules.spec.genesis_hash();
        let genesis = Known {
            after: Arc::new(after),
            hashes: Arc::new(BTreeMap::from([(rules.spec.genesis_header().number, hash)])),
        };
        Self {
            rules,
            others: None,
            known: HashMap::from([(hash, genesis)]),
        }
    }

    /// Makes each block a second time by other rules, whatever comes of that: all that is asked is that production and one
    /// after the other agree.
    #[must_use]
    pub fn also_by(mut self, rules: Rules) -> Self {
        self.others = Some(rules);
        self
    }

    /// Makes a valid block in both ways and compares everything. One that was checked before is not made again.
    ///
    /// # Errors
    /// [`Fault`] with what is wrong.
    pub fn check(&mut self, block: &SealedBlock) -> Result<Checked, Fault> {
        if self.known.contains_key(&block.hash) {
            return Ok(Checked::default());
        }
        let parent = self
            .known
            .get(&block.header.parent_hash)
            .ok_or(Fault::UnknownParent)?
            .clone();
        let of_ancestors = Arc::clone(&parent.hashes);
        let hashes = Hashes::new(move |number| of_ancestors.get(&number).copied());
        let subject = Subject::of(&self.rules, block, hashes);
        let (mut checked, after) = check_block(&subject, &parent.after, &Expected::Header(&block.header))?;
        if let Some(others) = &self.others {
            checked += check(&subject.by(others), &parent.after, &Expected::Agreement)?;
        }
        let mut hashes = BTreeMap::clone(&parent.hashes);
        hashes.insert(block.number(), block.hash);
        let known = Known {
            after: Arc::new(after),
            hashes: Arc::new(hashes),
        };
        self.known.insert(block.hash, known);
        Ok(checked)
    }
}
