//! Fees that commits leave with their writers instead of adding them to the beneficiary's balance: otherwise no two
//! commits of a block would be independent of each other.
//!
//! A commit adds its fee under its writer's lock. Whoever makes a version holds all of those, so what is withheld then
//! is the fees of all commits up to there, of each the whole, and of no other. They become part of the state as a
//! commit of its own, the last before the version.

use alloy_primitives::{Address, U256};

use crate::{ReadSet, State, state::Shared, sync::atomic::Ordering::Relaxed, writers::AllWriters};

/// What one writer withholds.
#[derive(Debug, Default)]
pub(crate) struct Withheld {
    wei: U256,
    /// Whose it is: the same for all writers.
    beneficiary: Option<Address>,
}

impl Withheld {
    /// Withholds more.
    ///
    /// # Panics
    /// If nobody said for whom.
    pub(crate) fn add(&mut self, wei: U256) {
        if wei.is_zero() {
            return;
        }
        assert!(
            self.beneficiary.is_some(),
            "fees are withheld for somebody, who is named before"
        );
        // A sum of balances that exist: there are not 2^256 wei.
        self.wei = self.wei.saturating_add(wei);
    }
}

impl State {
    /// Names whose the fees are that commits [withhold](crate::Commit::withheld) from now on. What is withheld for another
    /// beneficiary is added to that one's balance before, in a commit of its own.
    ///
    /// Waits for the commits in flight and holds up new ones for that moment.
    pub fn withhold_for(&self, beneficiary: Address) {
        let mut all = self.0.writers.all();
        if all.first().withheld.beneficiary == Some(beneficiary) {
            return;
        }
        self.0.pay_withheld(&mut all);
        for workspace in all.iter_mut() {
            workspace.withheld.beneficiary = Some(beneficiary);
        }
    }
}

impl Shared {
    /// Adds what is withheld to the beneficiary's balance.
    pub(crate) fn pay_withheld(&self, all: &mut AllWriters<'_>) {
        let wei = all
            .iter_mut()
            .map(|workspace| std::mem::take(&mut workspace.withheld.wei))
            .fold(U256::ZERO, U256::saturating_add);
        if wei.is_zero() {
            return;
        }
        let workspace = all.first();
        let beneficiary = workspace.withheld.beneficiary;
        let beneficiary = beneficiary.expect("it was named before anything was withheld");
        self.commit_with(workspace, &ReadSet::new(), &[], |batch| {
            batch.pay(beneficiary, wei)
        })
        .expect("nothing was read, and anybody can be paid");
    }

    /// Adds what the writers kept of old values to the total.
    pub(crate) fn tell_bytes(&self, all: &mut AllWriters<'_>) {
        let untold = all
            .iter_mut()
            .map(|workspace| std::mem::take(&mut workspace.ring.untold_bytes));
        self.retained_bytes.fetch_add(untold.sum(), Relaxed);
    }
}
