//! Set-up transactions: sent in waves that no pool refuses, each wave awaited and checked.

use crate::{
    account::{Account, SignedTransaction},
    chain::{ChainTerms, Intent},
    rpc::{ReceiptSummary, RpcClient},
};
use alloy_primitives::{Address, B256};
use eyre::{bail, ensure};
use serde_json::json;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Transactions of one sender per wave: the number of pool slots a sender has by default on reth.
const PER_SENDER_AND_WAVE: usize = 16;

/// Transactions per wave: well inside the 10,000 pending transactions that reth's pool takes by default.
const WAVE_LEN_MAX: usize = 4_000;

/// How long a wave may take to be included before the set-up gives up.
const WAVE_PATIENCE: Duration = Duration::from_secs(60);

/// Pause between two looks at the chain.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Transactions waiting to be sent, by sender.
#[derive(Debug)]
pub(crate) struct Outbox {
    terms: ChainTerms,
    senders: Vec<Queue>,
}

#[derive(Debug)]
struct Queue {
    account: Account,
    nonce: u64,
    waiting: VecDeque<Intent>,
}

impl Outbox {
    /// An empty outbox for `accounts`, with their nonces read from the chain.
    ///
    /// # Errors
    /// If the nonces cannot be read.
    pub(crate) async fn open(
        rpc: &mut RpcClient,
        terms: ChainTerms,
        accounts: Vec<Account>,
    ) -> eyre::Result<Self> {
        let addresses: Vec<_> = accounts.iter().map(Account::address).collect();
        let nonces = rpc.nonces(&addresses).await?;
        let senders = accounts
            .into_iter()
            .zip(nonces)
            .map(|(account, nonce)| Queue {
                account,
                nonce,
                waiting: VecDeque::new(),
            })
            .collect();
        Ok(Self { terms, senders })
    }

    /// How many senders there are.
    pub(crate) const fn len(&self) -> usize {
        self.senders.len()
    }

    /// Address of sender `index`.
    pub(crate) fn address(&self, index: usize) -> Address {
        self.senders[index].account.address()
    }

    /// Queues `intent` for sender `index`.
    pub(crate) fn push(&mut self, index: usize, intent: Intent) {
        self.senders[index].waiting.push_back(intent);
    }

    /// Queues a creation for sender `index`; returns the address the contract will have.
    pub(crate) fn push_creation(&mut self, index: usize, intent: Intent) -> Address {
        let sender = &mut self.senders[index];
        let nonce = sender.nonce + sender.waiting.len() as u64;
        sender.waiting.push_back(intent);
        sender.account.address().create(nonce)
    }

    /// Sends everything that is queued and returns when it is included.
    ///
    /// # Errors
    /// If a transaction is refused, fails, or is not included in time.
    pub(crate) async fn deliver(&mut self, rpc: &mut RpcClient) -> eyre::Result<()> {
        loop {
            let wave = self.next_wave();
            if wave.is_empty() {
                return Ok(());
            }
            let params: Vec<_> = wave.iter().map(|signed| json!([signed.raw])).collect();
            for answer in rpc.call_each::<B256>("eth_sendRawTransaction", &params).await? {
                if let Err(error) = answer {
                    bail!("set-up transaction refused: {} ({})", error.message, error.code);
                }
            }
            self.await_inclusion(rpc).await?;
            check_success(rpc, &wave).await?;
        }
    }

    fn next_wave(&mut self) -> Vec<SignedTransaction> {
        let mut wave = Vec::new();
        for sender in &mut self.senders {
            for _ in 0..PER_SENDER_AND_WAVE.min(WAVE_LEN_MAX - wave.len()) {
                let Some(intent) = sender.waiting.pop_front() else {
                    break;
                };
                wave.push(sender.account.sign(self.terms.transaction(intent, sender.nonce)));
                sender.nonce += 1;
            }
        }
        wave
    }

    async fn await_inclusion(&self, rpc: &mut RpcClient) -> eyre::Result<()> {
        let deadline = Instant::now() + WAVE_PATIENCE;
        let addresses: Vec<_> = self
            .senders
            .iter()
            .map(|sender| sender.account.address())
            .collect();
        loop {
            let nonces = rpc.nonces(&addresses).await?;
            if nonces
                .iter()
                .zip(&self.senders)
                .all(|(nonce, sender)| *nonce >= sender.nonce)
            {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "set-up transactions not included within {WAVE_PATIENCE:?}"
            );
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

/// Waits for every receipt of `wave` and looks at its status. Some nodes show the new nonces a moment before the
/// receipts.
async fn check_success(rpc: &mut RpcClient, wave: &[SignedTransaction]) -> eyre::Result<()> {
    let deadline = Instant::now() + WAVE_PATIENCE;
    let mut open: Vec<_> = wave.iter().map(|signed| signed.hash).collect();
    loop {
        let params: Vec<_> = open.iter().map(|hash| json!([hash])).collect();
        let answers = rpc
            .call_each::<Option<ReceiptSummary>>("eth_getTransactionReceipt", &params)
            .await?;
        let mut missing = Vec::new();
        for (answer, hash) in answers.into_iter().zip(open) {
            match answer {
                Ok(Some(receipt)) => {
                    ensure!(
                        receipt.status.to::<u64>() == 1,
                        "set-up transaction {hash} failed"
                    );
                }
                Ok(None) => missing.push(hash),
                Err(error) => bail!("eth_getTransactionReceipt: {}", error.message),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "no receipt for {} included set-up transactions",
            missing.len()
        );
        open = missing;
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
