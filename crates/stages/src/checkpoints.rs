//! How far each stage is, as history remembers it.

use std::collections::BTreeMap;

use rapid_history::History;

use crate::{StageError, StageId};

/// Checkpoints of all stages: the last block each has done.
///
/// A stored checkpoint says what need not be done again, so it is never above what history has: after a power failure
/// that took blocks, or blocks taken back by a node, it is read as the head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoints(BTreeMap<StageId, u64>);

impl Checkpoints {
    /// Reads them.
    ///
    /// # Errors
    /// [`StageError::History`].
    pub fn load(history: &History) -> Result<Self, StageError> {
        let head = history.head()?.map_or(0, |head| head.number);
        let mut checkpoints = BTreeMap::new();
        for id in StageId::ALL {
            let stored = history.stage_checkpoint(id.name())?;
            checkpoints.insert(id, stored.unwrap_or(0).min(head));
        }
        Ok(Self(checkpoints))
    }

    /// The last block a stage has done.
    #[must_use]
    pub fn get(&self, id: StageId) -> u64 {
        self.0.get(&id).copied().unwrap_or(0)
    }

    /// Notes the last block that some stages have done.
    pub(crate) fn set(&mut self, ids: &[StageId], number: u64) {
        for id in ids {
            self.0.insert(*id, number);
        }
    }

    /// No stage is beyond a block that is the last to stay.
    pub(crate) fn lower_to(&mut self, number: u64) {
        self.0
            .values_mut()
            .for_each(|checkpoint| *checkpoint = number.min(*checkpoint));
    }

    /// Writes them, all or none; as durable as the blocks.
    pub(crate) fn save(&self, history: &History) -> Result<(), StageError> {
        for (id, number) in &self.0 {
            metrics::gauge!("rapid_reth_stages_checkpoint_block", "stage" => id.name()).set(*number as f64);
        }
        let named = self.0.iter().map(|(id, number)| (id.name(), *number));
        Ok(history.set_stage_checkpoints(named)?)
    }
}
