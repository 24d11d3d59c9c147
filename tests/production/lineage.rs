//! The blocks of a test: which states they are on.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use alloy_primitives::B256;
use rapid_chainspec::EthereumHardforks;
use rapid_primitives::SealedBlock;

use crate::{
    Checked, Content, Fault, Hashes, Rules, Subject,
    check::{Expected, check_block},
};

/// Valid blocks, on one chain or on several that branch off, each with the state after it.
#[derive(Debug)]
pub struct Lineage {
    rules: Rules,
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
            known: HashMap::from([(hash, genesis)]),
        }
    }

    /// Makes a valid block in both ways and compares everything. One that was checked before is not made again.
    ///
    /// # Errors
    /// [`Fault`] with what is wrong.
    pub fn check(&mut self, block: &SealedBlock) -> Result<Checked, Fault> {
        if self.known.contains_key(&block.hash) {
            return Ok(Checked::default());
        }
        if self
            .rules
            .spec
            .is_amsterdam_active_at_timestamp(block.header.timestamp)
        {
            return Ok(Checked::amsterdam());
        }
        let parent = self
            .known
            .get(&block.header.parent_hash)
            .ok_or(Fault::UnknownParent)?
            .clone();
        let of_ancestors = Arc::clone(&parent.hashes);
        let hashes = Hashes::new(move |number| of_ancestors.get(&number).copied());
        let subject = Subject::of(&self.rules, block, hashes);
        let (checked, after) = check_block(&subject, &parent.after, &Expected::Header(&block.header))?;
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
