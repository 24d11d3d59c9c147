//! What is sent: signed transactions, sorted into lanes.
//!
//! A lane is one connection's share. Every sender belongs to exactly one lane and a lane sends its requests one after
//! the other, so nonces arrive in order however the lanes interleave.

use crate::{
    account::{Account, SignedTransaction},
    chain::{ChainTerms, Intent},
    contracts::{self, Sell},
    jit::catalog::numbers_creation,
    outbox::Outbox,
    rpc::RpcClient,
    scenario::Computing,
};
use alloy_primitives::{Address, U256};
use clap::ValueEnum;
use eyre::ensure;
use rayon::prelude::*;
use serde::Serialize;

/// Dev accounts that pay for the set-up. Every local node funds at least this many if told so.
pub(crate) const FUNDERS: u32 = 20;

/// Gas limits, above what each call can use (a cold slot that becomes non-zero costs 22,100).
const TOKEN_TRANSFER_GAS: u64 = 70_000;
const APPROVE_GAS: u64 = 60_000;
const SWAP_GAS: u64 = 180_000;
const SYNC_GAS: u64 = 100_000;
const CREATION_GAS: u64 = 2_000_000;

/// Tokens that each sender gets of each kind, in the smallest unit.
const TOKENS_PER_SENDER: u128 = 1_000_000_000_000_000_000_000_000;
/// Tokens that each funder gets of each kind; the supply covers all of them and the pair.
const TOKENS_PER_FUNDER: u128 = contracts::TOKEN_SUPPLY / (FUNDERS as u128 + 2);
/// What a swap sells, in the smallest unit.
const SWAP_AMOUNT: u128 = 1_000_000_000_000_000;

/// What the transactions do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Workload {
    /// Payments of one wei between the senders.
    Transfers,
    /// ERC-20 transfers between the senders, one token.
    Erc20,
    /// Swaps against one constant-product pair, in both directions.
    Swaps,
    /// 60 % payments, 25 % ERC-20 transfers, 15 % swaps.
    Mixed,
    /// Two thousand hashes each: executing one costs more than receiving it and recovering its signature does.
    Hashing,
}

impl Workload {
    const fn gas_limit_max(self) -> u64 {
        match self {
            Self::Transfers => Intent::PAYMENT_GAS,
            Self::Erc20 => TOKEN_TRANSFER_GAS,
            Self::Swaps | Self::Mixed => SWAP_GAS,
            Self::Hashing => Computing::Hashes.gas(),
        }
    }

    /// The kind of the `index`-th transaction of a run.
    const fn kind_of(self, seed: u64, index: u64) -> Self {
        match self {
            Self::Mixed => match mix(seed ^ index) % 100 {
                0..60 => Self::Transfers,
                60..85 => Self::Erc20,
                _ => Self::Swaps,
            },
            fixed => fixed,
        }
    }
}

/// A 64-bit finaliser: spreads consecutive numbers evenly (the SplitMix64 step).
const fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// How much of what is sent, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WorkloadPlan {
    /// What the transactions do.
    pub(crate) workload: Workload,
    /// How many transactions.
    pub(crate) count: usize,
    /// How many accounts send them.
    pub(crate) senders: usize,
    /// How many connections share them.
    pub(crate) lanes: usize,
    /// Decides the senders' keys and the mix.
    pub(crate) seed: u64,
}

/// A workload whose senders are funded: it can be signed any number of times.
#[derive(Debug)]
pub(crate) struct PreparedWorkload {
    plan: WorkloadPlan,
    terms: ChainTerms,
    senders: Vec<Account>,
    nonces: Vec<u64>,
    contracts: Contracts,
}

/// What the transactions call.
#[derive(Clone, Copy, Debug)]
enum Contracts {
    /// Nothing: they are payments.
    None,
    /// Two tokens and their pair.
    Exchange(Exchange),
    /// One that hashes.
    Computer(Address),
}

#[derive(Clone, Copy, Debug)]
struct Exchange {
    token: Address,
    other: Address,
    pair: Address,
}

impl Exchange {
    const fn tokens(&self) -> [Address; 2] {
        [self.token, self.other]
    }
}

impl PreparedWorkload {
    /// Funds the senders of `plan`, deploys the contracts that it needs, and reads the senders' nonces.
    ///
    /// # Errors
    /// If the plan cannot work or a set-up transaction fails.
    pub(crate) async fn prepare(rpc: &mut RpcClient, plan: WorkloadPlan) -> eyre::Result<Self> {
        ensure!(plan.lanes > 0, "at least one request must be in flight");
        ensure!(
            plan.senders >= plan.lanes,
            "{} senders cannot keep {} lanes in nonce order",
            plan.senders,
            plan.lanes
        );
        let terms = ChainTerms::read(rpc).await?;
        let senders: Vec<_> = (0..plan.senders as u64)
            .into_par_iter()
            .map(|index| Account::seeded(plan.seed, index))
            .collect();
        let funders = (0..FUNDERS).map(Account::dev).collect::<eyre::Result<Vec<_>>>()?;
        let mut outbox = Outbox::open(rpc, terms, funders).await?;

        let contracts = Contracts::deploy(rpc, &mut outbox, plan.workload).await?;
        let per_sender = plan.count.div_ceil(plan.senders) as u64;
        // Two approvals come out of the same purse.
        let purse = terms.cost_max(per_sender + 2, plan.workload.gas_limit_max()) + U256::from(per_sender);
        for (index, sender) in senders.iter().enumerate() {
            let funder = index % outbox.len();
            outbox.push(funder, Intent::payment(sender.address(), purse));
            for token in contracts.tokens() {
                outbox.push(funder, token_transfer(token, sender.address(), TOKENS_PER_SENDER));
            }
        }
        outbox.deliver(rpc).await?;
        if let Contracts::Exchange(exchange) = contracts {
            approve_pair(rpc, terms, &senders, exchange).await?;
        }

        let addresses: Vec<_> = senders.iter().map(Account::address).collect();
        let nonces = rpc.nonces(&addresses).await?;
        Ok(Self {
            plan,
            terms,
            senders,
            nonces,
            contracts,
        })
    }

    /// Chain id and fees that the transactions carry.
    pub(crate) const fn terms(&self) -> ChainTerms {
        self.terms
    }

    /// Whether no sender has sent anything before, so that the transactions follow from plan and terms alone.
    pub(crate) fn is_fresh(&self) -> bool {
        matches!(self.contracts, Contracts::None) && self.nonces.iter().all(|nonce| *nonce == 0)
    }

    /// Signs the whole workload, on all cores; one list per lane, in sending order.
    pub(crate) fn sign(&self) -> Vec<Vec<SignedTransaction>> {
        let WorkloadPlan { count, lanes, .. } = self.plan;
        (0..lanes)
            .into_par_iter()
            .map(|lane| {
                // Lanes differ by at most one transaction and one sender.
                let share = count / lanes + usize::from(lane < count % lanes);
                let members: Vec<_> = (lane..self.senders.len()).step_by(lanes).collect();
                (0..share)
                    .into_par_iter()
                    .map(|turn| {
                        let sender = members[turn % members.len()];
                        let round = (turn / members.len()) as u64;
                        let index = (turn * lanes + lane) as u64;
                        self.senders[sender].sign(
                            self.terms
                                .transaction(self.intent(sender, index), self.nonces[sender] + round),
                        )
                    })
                    .collect()
            })
            .collect()
    }

    fn intent(&self, sender: usize, index: u64) -> Intent {
        let next = self.senders[(sender + 1) % self.senders.len()].address();
        let kind = self.plan.workload.kind_of(self.plan.seed, index);
        match (kind, self.contracts) {
            (Workload::Erc20, Contracts::Exchange(exchange)) => token_transfer(exchange.token, next, 1),
            (Workload::Swaps | Workload::Mixed, Contracts::Exchange(exchange)) => {
                let sell = if index.is_multiple_of(2) {
                    Sell::Token0
                } else {
                    Sell::Token1
                };
                Intent::call(exchange.pair, SWAP_GAS, contracts::swap(sell, SWAP_AMOUNT))
            }
            (_, Contracts::Computer(computer)) => Computing::Hashes.call(computer),
            (_, Contracts::None | Contracts::Exchange(_)) => Intent::payment(next, U256::from(1)),
        }
    }
}

impl Contracts {
    /// Deploys what the transactions of `workload` call.
    async fn deploy(rpc: &mut RpcClient, outbox: &mut Outbox, workload: Workload) -> eyre::Result<Self> {
        Ok(match workload {
            Workload::Transfers => Self::None,
            Workload::Erc20 | Workload::Swaps | Workload::Mixed => {
                Self::Exchange(deploy_exchange(rpc, outbox).await?)
            }
            Workload::Hashing => {
                let creation = Intent::creation(CREATION_GAS, numbers_creation()?);
                let computer = outbox.push_creation(0, creation);
                outbox.deliver(rpc).await?;
                Self::Computer(computer)
            }
        })
    }

    /// The tokens that senders need some of.
    fn tokens(&self) -> Vec<Address> {
        match self {
            Self::None | Self::Computer(_) => Vec::new(),
            Self::Exchange(exchange) => exchange.tokens().to_vec(),
        }
    }
}

/// Deploys two tokens and a pair with liquidity, and spreads the tokens over the funders.
async fn deploy_exchange(rpc: &mut RpcClient, outbox: &mut Outbox) -> eyre::Result<Exchange> {
    let token = outbox.push_creation(
        0,
        Intent::creation(CREATION_GAS, contracts::token_creation("Bench A", "BA")?),
    );
    let other = outbox.push_creation(
        0,
        Intent::creation(CREATION_GAS, contracts::token_creation("Bench B", "BB")?),
    );
    let pair = outbox.push_creation(
        0,
        Intent::creation(CREATION_GAS, contracts::pair_creation(token, other)?),
    );
    for token in [token, other] {
        for funder in 1..outbox.len() {
            let to = outbox.address(funder);
            outbox.push(0, token_transfer(token, to, TOKENS_PER_FUNDER));
        }
        outbox.push(0, token_transfer(token, pair, TOKENS_PER_FUNDER));
    }
    outbox.push(0, Intent::call(pair, SYNC_GAS, contracts::sync()));
    outbox.deliver(rpc).await?;
    Ok(Exchange { token, other, pair })
}

async fn approve_pair(
    rpc: &mut RpcClient,
    terms: ChainTerms,
    senders: &[Account],
    exchange: Exchange,
) -> eyre::Result<()> {
    let mut outbox = Outbox::open(rpc, terms, senders.to_vec()).await?;
    for index in 0..outbox.len() {
        for token in exchange.tokens() {
            outbox.push(
                index,
                Intent::call(token, APPROVE_GAS, contracts::approve_all(exchange.pair)),
            );
        }
    }
    outbox.deliver(rpc).await
}

fn token_transfer(token: Address, to: Address, value: u128) -> Intent {
    Intent::call(token, TOKEN_TRANSFER_GAS, contracts::transfer(to, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{Transaction, TxEnvelope, transaction::SignerRecoverable};
    use alloy_eips::eip2718::Decodable2718;
    use std::collections::HashMap;

    fn prepared(plan: WorkloadPlan) -> PreparedWorkload {
        PreparedWorkload {
            plan,
            terms: ChainTerms {
                chain_id: 1337,
                max_fee_per_gas: 10,
                max_priority_fee_per_gas: 1,
            },
            senders: (0..plan.senders as u64)
                .map(|index| Account::seeded(plan.seed, index))
                .collect(),
            nonces: (0..plan.senders as u64).collect(),
            contracts: Contracts::Exchange(Exchange {
                token: Address::with_last_byte(1),
                other: Address::with_last_byte(2),
                pair: Address::with_last_byte(3),
            }),
        }
    }

    /// Each sender appears in one lane only, with consecutive nonces from the one the chain has.
    #[test]
    fn nonces_are_consecutive_within_a_lane() {
        let plan = WorkloadPlan {
            workload: Workload::Mixed,
            count: 101,
            senders: 7,
            lanes: 3,
            seed: 9,
        };
        let prepared = prepared(plan);
        let lanes = prepared.sign();
        assert_eq!(lanes.iter().map(Vec::len).sum::<usize>(), plan.count);

        let start: HashMap<_, _> = prepared
            .senders
            .iter()
            .map(Account::address)
            .zip(prepared.nonces.iter().copied())
            .collect();
        let mut seen: HashMap<Address, (usize, u64)> = HashMap::new();
        for (lane, transactions) in lanes.iter().enumerate() {
            for signed in transactions {
                let transaction = TxEnvelope::decode_2718(&mut signed.raw.as_ref()).unwrap();
                let sender = transaction.recover_signer().unwrap();
                let (home, next) = seen.entry(sender).or_insert((lane, start[&sender]));
                assert_eq!(*home, lane);
                assert_eq!(*next, transaction.nonce());
                *next += 1;
            }
        }
        assert_eq!(seen.len(), plan.senders);
    }

    #[test]
    fn hashing_calls_the_contract_that_hashes() {
        let plan = WorkloadPlan {
            workload: Workload::Hashing,
            count: 3,
            senders: 2,
            lanes: 1,
            seed: 1,
        };
        let computer = Address::with_last_byte(9);
        let prepared = PreparedWorkload {
            contracts: Contracts::Computer(computer),
            ..prepared(plan)
        };
        assert!(!prepared.is_fresh(), "something was deployed");
        for signed in prepared.sign().concat() {
            let transaction = TxEnvelope::decode_2718(&mut signed.raw.as_ref()).unwrap();
            assert_eq!(transaction.to(), Some(computer));
            assert_eq!(transaction.gas_limit(), Workload::Hashing.gas_limit_max());
        }
    }

    #[test]
    fn mixed_has_the_stated_shares() {
        let mut shares = [0usize; 3];
        for index in 0..10_000 {
            match Workload::Mixed.kind_of(42, index) {
                Workload::Transfers => shares[0] += 1,
                Workload::Erc20 => shares[1] += 1,
                Workload::Swaps => shares[2] += 1,
                other @ (Workload::Mixed | Workload::Hashing) => panic!("{other:?}"),
            }
        }
        assert!((5_800..6_200).contains(&shares[0]), "{shares:?}");
        assert!((2_300..2_700).contains(&shares[1]), "{shares:?}");
        assert!((1_300..1_700).contains(&shares[2]), "{shares:?}");
    }
}
