//! `eth_subscribe`: from chain and pool events to the clients that asked for them.

mod events;
mod hub;
mod request;

use std::{collections::HashMap, sync::Arc};

use alloy_primitives::{
    Address,
    map::{AddressHashSet, B256HashSet},
};
use alloy_rpc_types_eth::{Filter, Log};
use jsonrpsee::{
    PendingSubscriptionSink, RpcModule,
    core::RegisterMethodError,
    types::{ErrorObjectOwned, Extensions, Params},
};
use rapid_chain::{Chain, ChainEvent};
use rapid_pool::PooledTransaction;
use rapid_primitives::ReadState;
use tokio::sync::{
    Semaphore,
    broadcast::{self, error::RecvError},
};

use crate::{
    convert::{self, Place, TransactionDetail},
    error::RpcError,
    eth::{
        context::EthContext,
        logs::{LogAt, block_logs, mini_block_logs},
    },
    server::connection::ConnectionSwitch,
};
pub use events::{MiniBlockEvent, StateChangeEvent};
use hub::{Hub, Membership, Payload, QueueBounds, payload};
use request::Request;

/// One hub per kind of subscription.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    context: Arc<EthContext>,
    /// Subscriptions over all connections.
    permits: Arc<Semaphore>,
    heads: Arc<Hub<()>>,
    logs: Arc<Hub<Box<Filter>>>,
    pending_logs: Arc<Hub<Box<Filter>>>,
    mini_blocks: Arc<Hub<()>>,
    state_changes: Arc<Hub<AddressHashSet>>,
    transactions: Arc<Hub<TransactionDetail>>,
    receipts: Arc<Hub<Option<B256HashSet>>>,
}

/// Methods of [`Subscriptions`].
pub(crate) fn module(context: Arc<EthContext>) -> Result<RpcModule<Subscriptions>, RegisterMethodError> {
    let mut module = RpcModule::new(Subscriptions::new(context));
    module.register_subscription(
        "eth_subscribe",
        "eth_subscription",
        "eth_unsubscribe",
        |params, pending, subscriptions, extensions| async move {
            subscriptions.serve(&params, pending, &extensions).await;
        },
    )?;
    Ok(module)
}

impl Subscriptions {
    fn new(context: Arc<EthContext>) -> Self {
        let config = &context.config;
        let bounds = QueueBounds {
            messages: config.subscription_queue_max,
            bytes: config.subscription_queue_bytes_max,
        };
        Self {
            permits: Arc::new(Semaphore::new(config.subscriptions_max)),
            heads: Hub::new("newHeads", bounds),
            logs: Hub::new("logs", bounds),
            pending_logs: Hub::new("pendingLogs", bounds),
            mini_blocks: Hub::new("miniBlocks", bounds),
            state_changes: Hub::new("stateChanges", bounds),
            transactions: Hub::new("newPendingTransactions", bounds),
            receipts: Hub::new("transactionReceipts", bounds),
            context,
        }
    }

    async fn serve(&self, params: &Params<'_>, pending: PendingSubscriptionSink, extensions: &Extensions) {
        let request = match Request::parse(params) {
            Ok(request) => request,
            Err(error) => return pending.reject(ErrorObjectOwned::from(error)).await,
        };
        let Ok(_permit) = self.permits.try_acquire() else {
            return pending.reject(ErrorObjectOwned::from(RpcError::Busy)).await;
        };
        let switch = extensions.get::<ConnectionSwitch>().cloned();
        match request {
            Request::Syncing => answer_syncing(pending).await,
            Request::NewHeads => {
                forward(self.join_chain(&self.heads, (), switch, deliver_head), pending).await
            }
            Request::Logs(filter) => {
                forward(self.join_chain(&self.logs, filter, switch, deliver_logs), pending).await;
            }
            Request::PendingLogs(filter) => {
                let joined = self.join_chain(&self.pending_logs, filter, switch, deliver_pending_logs);
                forward(joined, pending).await;
            }
            Request::MiniBlocks => {
                forward(
                    self.join_chain(&self.mini_blocks, (), switch, deliver_mini_block),
                    pending,
                )
                .await;
            }
            Request::StateChanges(addresses) => {
                let joined = self.join_chain(&self.state_changes, addresses, switch, deliver_state_changes);
                forward(joined, pending).await;
            }
            Request::TransactionReceipts(hashes) => {
                forward(
                    self.join_chain(&self.receipts, hashes, switch, deliver_receipts),
                    pending,
                )
                .await;
            }
            Request::NewPendingTransactions(detail) => {
                forward(self.join_transactions(detail, switch), pending).await;
            }
        }
    }

    /// Joins a hub that is fed by chain events.
    fn join_chain<F: Send + 'static>(
        &self,
        hub: &Arc<Hub<F>>,
        filter: F,
        switch: Option<ConnectionSwitch>,
        deliver: fn(&Hub<F>, &Chain, &ChainEvent),
    ) -> Membership<F> {
        hub.join(filter, switch, || {
            let (hub, chain) = (hub.clone(), self.context.chain.clone());
            let events = chain.subscribe();
            tokio::spawn(async move { feed(&hub, events, |event| deliver(&hub, &chain, &event)).await });
        })
    }

    fn join_transactions(
        &self,
        detail: TransactionDetail,
        switch: Option<ConnectionSwitch>,
    ) -> Membership<TransactionDetail> {
        let hub = &self.transactions;
        hub.join(detail, switch, || {
            let hub = hub.clone();
            let events = self.context.pool.subscribe_pending();
            tokio::spawn(async move {
                feed(&hub, events, |transaction| {
                    deliver_transaction(&hub, &transaction)
                })
                .await;
            });
        })
    }
}

/// Feeds a hub from a source until nobody listens any more. A gap in the source ends all subscriptions: clients start
/// over rather than miss something unknowingly.
async fn feed<F, E: Clone>(hub: &Hub<F>, mut events: broadcast::Receiver<E>, mut deliver: impl FnMut(E)) {
    while !hub.feed_may_end() {
        match events.recv().await {
            Ok(event) => deliver(event),
            Err(RecvError::Lagged(missed)) => {
                tracing::debug!(missed, "subscription feed fell behind");
                metrics::counter!("rapid_reth_rpc_subscription_feed_gaps_total").increment(1);
                hub.drop_all();
            }
            Err(RecvError::Closed) => hub.drop_all(),
        }
    }
}

async fn forward<F>(joined: Membership<F>, pending: PendingSubscriptionSink) {
    // Joined before it is accepted: the client may act on the answer at once.
    if let Ok(sink) = pending.accept().await {
        joined.forward(sink).await;
    }
}

/// The node serves only what it has executed, so it is never catching up while it serves.
async fn answer_syncing(pending: PendingSubscriptionSink) {
    if let Ok(sink) = pending.accept().await {
        let status = serde_json::value::to_raw_value(&false).expect("a boolean serialises");
        if sink.send(status).await.is_ok() {
            sink.closed().await;
        }
    }
}

/// A payload that is made when the first subscriber wants it.
struct Lazy<T> {
    value: T,
    payload: Option<Payload>,
}

impl<T> Lazy<T> {
    const fn new(value: T) -> Self {
        Self { value, payload: None }
    }

    fn get<R: serde::Serialize>(&mut self, make: impl FnOnce(&T) -> R) -> &Payload {
        self.payload.get_or_insert_with(|| payload(&make(&self.value)))
    }
}

fn deliver_head(hub: &Hub<()>, _: &Chain, event: &ChainEvent) {
    let ChainEvent::Block(block) = event else { return };
    let mut header = Lazy::new(block);
    hub.deliver(|(), push| push(header.get(|block| convert::header(block))));
}

fn deliver_mini_block(hub: &Hub<()>, chain: &Chain, event: &ChainEvent) {
    let ChainEvent::MiniBlock(mini_block) = event else {
        return;
    };
    let mut lazy = Lazy::new(mini_block);
    hub.deliver(|(), push| push(lazy.get(|mini_block| MiniBlockEvent::new(mini_block, chain.spec()))));
}

fn deliver_logs(hub: &Hub<Box<Filter>>, _: &Chain, event: &ChainEvent) {
    match event {
        ChainEvent::Block(block) => push_logs(hub, block_logs(block), LogAt::to_rpc),
        ChainEvent::TakenBack { removed, .. } => {
            for block in removed.iter().rev() {
                push_logs(hub, block_logs(block), LogAt::to_removed_rpc);
            }
        }
        ChainEvent::MiniBlock(_) => {}
    }
}

fn deliver_pending_logs(hub: &Hub<Box<Filter>>, _: &Chain, event: &ChainEvent) {
    if let ChainEvent::MiniBlock(mini_block) = event {
        push_logs(hub, mini_block_logs(mini_block), LogAt::to_rpc);
    }
}

/// Each log is serialised once, and only if somebody's filter matches it.
fn push_logs<'a>(
    hub: &Hub<Box<Filter>>,
    logs: impl Iterator<Item = LogAt<'a>>,
    to_rpc: impl Fn(LogAt<'a>) -> Log,
) {
    let mut logs: Vec<Lazy<LogAt<'_>>> = logs.map(Lazy::new).collect();
    if logs.is_empty() {
        return;
    }
    hub.deliver(|filter, push| {
        for log in logs.iter_mut().filter(|log| filter.matches(log.value.log)) {
            push(log.get(|at| to_rpc(*at)));
        }
    });
}

/// All receipts of a sealed block, or those of the transactions that were asked for.
fn deliver_receipts(hub: &Hub<Option<B256HashSet>>, chain: &Chain, event: &ChainEvent) {
    let ChainEvent::Block(block) = event else { return };
    let mut all = Lazy::new(None);
    hub.deliver(|wanted, push| {
        let receipts: &Vec<_> = all.value.get_or_insert_with(|| {
            let start = (Place::first_of_block(block), 0);
            convert::receipts(
                &block.body.transactions,
                &block.senders,
                &block.receipts,
                start,
                chain.spec(),
            )
        });
        match wanted {
            None if receipts.is_empty() => {}
            None => push(all.payload.get_or_insert_with(|| payload(receipts))),
            Some(hashes) => {
                let chosen: Vec<_> = receipts
                    .iter()
                    .filter(|r| hashes.contains(&r.transaction_hash))
                    .collect();
                if !chosen.is_empty() {
                    push(&payload(&chosen));
                }
            }
        }
    });
}

fn deliver_state_changes(hub: &Hub<AddressHashSet>, chain: &Chain, event: &ChainEvent) {
    let ChainEvent::MiniBlock(mini_block) = event else {
        return;
    };
    let changes = mini_block.body().diff.collapse();
    let state = chain.view().state.clone();
    let mut payloads: HashMap<Address, Payload> = HashMap::new();
    hub.deliver(|addresses, push| {
        for change in changes
            .iter()
            .filter(|change| addresses.contains(&change.address))
        {
            let payload = payloads.entry(change.address).or_insert_with(|| {
                // A version that is gone by now had no other values for what the change says itself.
                let newest = state.account(&change.address).ok().flatten().unwrap_or_default();
                payload(&StateChangeEvent::new(change, newest))
            });
            push(payload);
        }
    });
}

fn deliver_transaction(hub: &Hub<TransactionDetail>, transaction: &PooledTransaction) {
    let (mut hash, mut full) = (Lazy::new(transaction), Lazy::new(transaction));
    hub.deliver(|detail, push| match detail {
        TransactionDetail::Hashes => push(hash.get(|transaction| transaction.hash())),
        TransactionDetail::Full => push(full.get(|transaction| convert::pooled_transaction(transaction))),
    });
}
