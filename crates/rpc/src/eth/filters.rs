//! Polling filters.
//!
//! Block and log filters remember a block number, pending-transaction filters a receiver of the pool's feed, so an idle
//! filter holds nothing that grows.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use alloy_rpc_types_eth::{Filter, FilterChanges, FilterId, Log, PendingTransactionFilterKind};
use jsonrpsee::{core::RpcResult as Answer, proc_macros::rpc, server::IdProvider, types::SubscriptionId};
use parking_lot::Mutex;
use rapid_pool::PooledTransaction;
use tokio::sync::broadcast::{self, error::TryRecvError};

use super::context::EthContext;
use crate::{
    convert::{self, RpcTransaction},
    error::{RpcError, RpcResult},
    gate::Deadline,
    server::HexIds,
};

/// What [`EthFilters`] answers a poll with.
pub(crate) type Changes = FilterChanges<RpcTransaction, Log>;

/// Filters.
#[rpc(server, namespace = "eth")]
pub trait EthFilters {
    /// Collects the logs of blocks sealed from now on.
    #[method(name = "newFilter")]
    fn new_filter(&self, filter: Filter) -> Answer<FilterId>;

    /// Collects the hashes of blocks sealed from now on.
    #[method(name = "newBlockFilter")]
    fn new_block_filter(&self) -> Answer<FilterId>;

    /// Collects transactions that become executable from now on.
    #[method(name = "newPendingTransactionFilter")]
    fn new_pending_transaction_filter(&self, kind: Option<PendingTransactionFilterKind>) -> Answer<FilterId>;

    /// What a filter collected since the last poll.
    #[method(name = "getFilterChanges")]
    async fn filter_changes(&self, id: FilterId) -> Answer<Changes>;

    /// All logs that a log filter matches.
    #[method(name = "getFilterLogs")]
    async fn filter_logs(&self, id: FilterId) -> Answer<Vec<Log>>;

    /// Ends a filter; whether there was one.
    #[method(name = "uninstallFilter")]
    fn uninstall_filter(&self, id: FilterId) -> Answer<bool>;
}

/// Answers [`EthFiltersServer`].
#[derive(Clone, Debug)]
pub(crate) struct FilterMethods {
    context: Arc<EthContext>,
    filters: Arc<Filters>,
}

#[derive(Debug)]
struct Filters {
    by_id: Mutex<HashMap<FilterId, ActiveFilter>>,
    max: usize,
    lifetime: Duration,
}

#[derive(Debug)]
struct ActiveFilter {
    polled: Instant,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Logs {
        filter: Arc<Filter>,
        next_block: u64,
    },
    Blocks {
        next_block: u64,
    },
    Pending {
        kind: PendingTransactionFilterKind,
        feed: broadcast::Receiver<Arc<PooledTransaction>>,
    },
}

/// What a poll has to look up once the filters are unlocked.
#[derive(Debug)]
enum Poll {
    Logs { filter: Arc<Filter>, next_block: u64 },
    Blocks { next_block: u64 },
    Done(Changes),
}

impl Filters {
    /// Adds a filter. Expired ones go; when it is full still, the one not polled longest goes too.
    fn add(&self, kind: Kind) -> FilterId {
        let SubscriptionId::Str(id) = HexIds.next_id() else {
            unreachable!("ids are strings")
        };
        let id = FilterId::Str(id.into_owned());
        let now = Instant::now();
        let mut by_id = self.by_id.lock();
        if by_id.len() >= self.max {
            by_id.retain(|_, filter| now.duration_since(filter.polled) < self.lifetime);
        }
        if by_id.len() >= self.max {
            let oldest = by_id
                .iter()
                .min_by_key(|(_, filter)| filter.polled)
                .map(|(id, _)| id.clone());
            if let Some(oldest) = oldest {
                by_id.remove(&oldest);
                metrics::counter!("rapid_reth_rpc_filters_evicted_total").increment(1);
            }
        }
        by_id.insert(id.clone(), ActiveFilter { polled: now, kind });
        metrics::gauge!("rapid_reth_rpc_filters_entries").set(by_id.len() as f64);
        id
    }

    /// Gives a living filter to `visit` and notes that it was polled.
    fn poll<T>(&self, id: &FilterId, visit: impl FnOnce(&mut Kind) -> T) -> RpcResult<T> {
        let mut by_id = self.by_id.lock();
        let now = Instant::now();
        let filter = by_id
            .get_mut(id)
            .filter(|filter| now.duration_since(filter.polled) < self.lifetime);
        match filter {
            Some(filter) => {
                filter.polled = now;
                Ok(visit(&mut filter.kind))
            }
            None => {
                by_id.remove(id);
                Err(RpcError::invalid_params("filter not found"))
            }
        }
    }

    /// Remembers up to which block a filter has answered. Two polls at a time may have answered the same.
    fn advance(&self, id: &FilterId, next: u64) {
        if let Some(ActiveFilter {
            kind: Kind::Logs { next_block, .. } | Kind::Blocks { next_block },
            ..
        }) = self.by_id.lock().get_mut(id)
        {
            *next_block = next.max(*next_block);
        }
    }

    fn remove(&self, id: &FilterId) -> bool {
        self.by_id.lock().remove(id).is_some()
    }
}

impl Kind {
    fn start_poll(&mut self) -> Poll {
        match self {
            Self::Logs { filter, next_block } => Poll::Logs {
                filter: filter.clone(),
                next_block: *next_block,
            },
            Self::Blocks { next_block } => Poll::Blocks {
                next_block: *next_block,
            },
            Self::Pending { kind, feed } => Poll::Done(drain(*kind, feed)),
        }
    }
}

/// What arrived since the last poll; of a long time, the newest part.
fn drain(
    kind: PendingTransactionFilterKind,
    feed: &mut broadcast::Receiver<Arc<PooledTransaction>>,
) -> Changes {
    let mut arrived = Vec::new();
    loop {
        match feed.try_recv() {
            Ok(transaction) => arrived.push(transaction),
            Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => break,
        }
    }
    match kind {
        PendingTransactionFilterKind::Hashes => {
            FilterChanges::Hashes(arrived.iter().map(|transaction| transaction.hash()).collect())
        }
        PendingTransactionFilterKind::Full => FilterChanges::Transactions(
            arrived
                .iter()
                .map(|transaction| convert::pooled_transaction(transaction))
                .collect(),
        ),
    }
}

impl FilterMethods {
    pub(crate) fn new(context: Arc<EthContext>) -> Self {
        let filters = Filters {
            by_id: Mutex::default(),
            max: context.config.filters_max.max(1),
            lifetime: context.config.filter_lifetime,
        };
        Self {
            context,
            filters: Arc::new(filters),
        }
    }

    fn next_block(&self) -> u64 {
        self.context.chain.view().head.number() + 1
    }

    async fn changes(&self, id: FilterId) -> RpcResult<Changes> {
        match self.filters.poll(&id, Kind::start_poll)? {
            Poll::Done(changes) => Ok(changes),
            Poll::Logs { filter, next_block } => {
                let logs = self
                    .context
                    .heavy(move |context, deadline| context.logs_since(&filter, next_block, deadline));
                let (logs, next) = logs.await?;
                self.filters.advance(&id, next);
                Ok(FilterChanges::Logs(logs))
            }
            Poll::Blocks { next_block } => {
                let hashes = self
                    .context
                    .heavy(move |context, deadline| context.hashes_since(next_block, deadline));
                let hashes = hashes.await?;
                self.filters.advance(&id, next_block + hashes.len() as u64);
                Ok(FilterChanges::Hashes(hashes))
            }
        }
    }

    async fn all_logs(&self, id: FilterId) -> RpcResult<Vec<Log>> {
        let filter = self.filters.poll(&id, |kind| match kind {
            Kind::Logs { filter, .. } => Some(filter.clone()),
            _ => None,
        })?;
        let filter = filter.ok_or_else(|| RpcError::invalid_params("filter not found"))?;
        self.context
            .heavy(move |context, deadline| context.logs(&filter, deadline))
            .await
    }
}

impl EthContext {
    fn hashes_since(&self, from: u64, deadline: Deadline) -> RpcResult<Vec<B256>> {
        let head = self.chain.view().head.number();
        let mut hashes = Vec::new();
        for number in from..=head {
            deadline.check()?;
            let Some(hash) = self.chain.block_hash(number)? else {
                break;
            };
            hashes.push(hash);
        }
        Ok(hashes)
    }
}

#[jsonrpsee::core::async_trait]
impl EthFiltersServer for FilterMethods {
    fn new_filter(&self, filter: Filter) -> Answer<FilterId> {
        Ok(self.filters.add(Kind::Logs {
            filter: Arc::new(filter),
            next_block: self.next_block(),
        }))
    }

    fn new_block_filter(&self) -> Answer<FilterId> {
        Ok(self.filters.add(Kind::Blocks {
            next_block: self.next_block(),
        }))
    }

    fn new_pending_transaction_filter(&self, kind: Option<PendingTransactionFilterKind>) -> Answer<FilterId> {
        let feed = self.context.pool.subscribe_pending();
        Ok(self.filters.add(Kind::Pending {
            kind: kind.unwrap_or_default(),
            feed,
        }))
    }

    async fn filter_changes(&self, id: FilterId) -> Answer<Changes> {
        Ok(self.changes(id).await?)
    }

    async fn filter_logs(&self, id: FilterId) -> Answer<Vec<Log>> {
        Ok(self.all_logs(id).await?)
    }

    fn uninstall_filter(&self, id: FilterId) -> Answer<bool> {
        Ok(self.filters.remove(&id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(max: usize, lifetime: Duration) -> Filters {
        Filters {
            by_id: Mutex::default(),
            max,
            lifetime,
        }
    }

    #[test]
    fn a_full_set_forgets_the_filter_that_was_not_polled_longest() {
        let filters = filters(2, Duration::from_secs(3600));
        let first = filters.add(Kind::Blocks { next_block: 1 });
        let second = filters.add(Kind::Blocks { next_block: 1 });
        filters.poll(&first, |_| ()).unwrap();
        let third = filters.add(Kind::Blocks { next_block: 1 });
        assert!(filters.poll(&second, |_| ()).is_err());
        assert!(filters.poll(&first, |_| ()).is_ok() && filters.poll(&third, |_| ()).is_ok());
    }

    #[test]
    fn an_expired_filter_is_not_found() {
        let filters = filters(2, Duration::ZERO);
        let id = filters.add(Kind::Blocks { next_block: 1 });
        assert_eq!(filters.poll(&id, |_| ()).unwrap_err().code(), -32602);
        assert!(!filters.remove(&id));
    }

    #[test]
    fn polls_never_go_back() {
        let filters = filters(2, Duration::from_secs(3600));
        let id = filters.add(Kind::Blocks { next_block: 1 });
        filters.advance(&id, 7);
        filters.advance(&id, 5);
        assert!(matches!(
            filters.poll(&id, Kind::start_poll),
            Ok(Poll::Blocks { next_block: 7 })
        ));
    }
}
