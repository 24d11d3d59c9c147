//! Scenarios: the accounts that a block begins with, and what its transactions do.
//!
//! In: a kind, a number of transactions, a seed. Out: a genesis allocation, senders, and planned calls in the order in
//! which they were drawn; each sender's nonces count from 0. The same three always give the same scenario.
//!
//! What always holds: every transaction succeeds, in any order that keeps each sender's nonces.
//!
//! Contracts are the compiled ones of `contracts/`, placed in the allocation without being deployed there, because some
//! scenarios have thousands of them.

mod computing;
mod draws;
mod kind;
mod mixed;
mod plain;
mod pools;
mod tokens;
mod world;

pub(crate) use computing::Computing;
pub(crate) use kind::ScenarioKind;

use crate::{account::Account, chain::Intent};
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, U256};
use eyre::ensure;
use rayon::prelude::*;
use std::collections::BTreeMap;
use world::World;

/// Balance of each sender, in wei: a few times all the ether there is, so that no workload runs out of it.
const SENDER_BALANCE: U256 = U256::from_limbs([0, 1 << 24, 0, 0]);

/// A transaction to be made.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    /// Its sender's number.
    pub(crate) sender: usize,
    /// Its sender's nonce.
    pub(crate) nonce: u64,
    /// What it does.
    pub(crate) intent: Intent,
}

/// The accounts that a block begins with, and its transactions.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// Senders by number.
    pub(crate) senders: Vec<Account>,
    /// All accounts that are not the chain's own.
    pub(crate) allocation: BTreeMap<Address, GenesisAccount>,
    /// The transactions, in order.
    pub(crate) transactions: Vec<Planned>,
}

impl Scenario {
    /// Draws a scenario.
    ///
    /// # Errors
    /// If a committed contract is not what its compiler writes.
    pub(crate) fn draw(kind: ScenarioKind, count: usize, seed: u64) -> eyre::Result<Self> {
        Self::draw_with_senders(kind, count, kind.senders(count), seed)
    }

    /// Draws a scenario with another number of senders than its kind has.
    ///
    /// # Errors
    /// If there are no senders, or a committed contract is not what its compiler writes.
    pub(crate) fn draw_with_senders(
        kind: ScenarioKind,
        count: usize,
        senders: usize,
        seed: u64,
    ) -> eyre::Result<Self> {
        ensure!(senders > 0, "somebody must send");
        let senders: Vec<_> = (0..senders as u64)
            .into_par_iter()
            .map(|index| Account::seeded(seed, index))
            .collect();
        let mut world = World::new()?;
        for sender in &senders {
            world.fund(sender.address(), SENDER_BALANCE);
        }
        let mut draft = Draft::new(senders, world, count);
        match kind {
            ScenarioKind::Transfers => plain::transfers(&mut draft),
            ScenarioKind::Circle => plain::circle(&mut draft),
            ScenarioKind::Counter => plain::counter(&mut draft)?,
            ScenarioKind::Erc20 | ScenarioKind::Chain1 | ScenarioKind::Chains100 => {
                tokens::independent(&mut draft);
            }
            ScenarioKind::Erc20Hot256 => tokens::hot(&mut draft, 256),
            ScenarioKind::Erc20Hot16 => tokens::hot(&mut draft, 16),
            ScenarioKind::Erc20Hot1 => tokens::hot(&mut draft, 1),
            ScenarioKind::AmmHot => pools::hot(&mut draft),
            ScenarioKind::Amm => pools::independent(&mut draft),
            ScenarioKind::Mixed => mixed::mainnet_like(&mut draft, Computing::Product, seed)?,
            ScenarioKind::Hashing => computing::hashing(&mut draft)?,
            ScenarioKind::MixedShort => mixed::mainnet_like(&mut draft, Computing::SmallProduct, seed)?,
        }
        Ok(draft.finish())
    }
}

/// A scenario in the making.
#[derive(Debug)]
struct Draft {
    senders: Vec<Account>,
    nonces: Vec<u64>,
    world: World,
    count: usize,
    transactions: Vec<Planned>,
}

impl Draft {
    fn new(senders: Vec<Account>, world: World, count: usize) -> Self {
        Self {
            nonces: vec![0; senders.len()],
            senders,
            world,
            count,
            transactions: Vec::with_capacity(count),
        }
    }

    fn sender(&self, number: usize) -> Address {
        self.senders[number].address()
    }

    /// The sender whose turn it is if all take turns.
    fn sender_in_turn(&self) -> usize {
        self.transactions.len() % self.senders.len()
    }

    fn push(&mut self, sender: usize, intent: Intent) {
        let nonce = self.nonces[sender];
        self.nonces[sender] += 1;
        self.transactions.push(Planned {
            sender,
            nonce,
            intent,
        });
    }

    fn finish(self) -> Scenario {
        Scenario {
            senders: self.senders,
            allocation: self.world.into_allocation(),
            transactions: self.transactions,
        }
    }
}
