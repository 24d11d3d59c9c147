//! Fan-out: one serialised payload, however many subscribers.
//!
//! A hub has one feed task, which lives only while there are subscribers: nothing is serialised, and nobody is woken,
//! when no one listens. The task never waits for a subscriber. Each has a queue bounded in messages and in bytes; one
//! that does not keep up loses its connection, so that no subscriber ever sees a gap.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use jsonrpsee::{SubscriptionMessage, SubscriptionSink};
use metrics::{Counter, Gauge};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::server::connection::ConnectionSwitch;

/// A notification's result, serialised once and shared.
pub(crate) type Payload = Arc<RawValue>;

/// Serialises a payload.
pub(crate) fn payload(value: &impl Serialize) -> Payload {
    serde_json::value::to_raw_value(value)
        .expect("answers have string keys and serialise")
        .into()
}

/// Bounds of one subscriber's queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueBounds {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

/// The subscribers of one kind; `F` is what each of them wants of it.
#[derive(Debug)]
pub(crate) struct Hub<F> {
    state: Mutex<HubState<F>>,
    bounds: QueueBounds,
    subscribers: Gauge,
    dropped: Counter,
}

#[derive(Debug)]
struct HubState<F> {
    subscribers: Vec<Subscriber<F>>,
    next_id: u64,
    feed_runs: bool,
}

#[derive(Debug)]
struct Subscriber<F> {
    id: u64,
    filter: F,
    queue: mpsc::Sender<Payload>,
    queued_bytes: Arc<AtomicUsize>,
    switch: Option<ConnectionSwitch>,
}

/// One subscriber's end of its queue. Dropping it ends the subscription.
#[derive(Debug)]
pub(crate) struct Membership<F> {
    hub: Arc<Hub<F>>,
    id: u64,
    queue: mpsc::Receiver<Payload>,
    queued_bytes: Arc<AtomicUsize>,
}

impl<F> Hub<F> {
    pub(crate) fn new(kind: &'static str, bounds: QueueBounds) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(HubState {
                subscribers: Vec::new(),
                next_id: 0,
                feed_runs: false,
            }),
            bounds,
            subscribers: metrics::gauge!("rapid_reth_rpc_subscriptions_entries", "kind" => kind),
            dropped: metrics::counter!("rapid_reth_rpc_slow_subscribers_dropped_total", "kind" => kind),
        })
    }

    /// Adds a subscriber. `start_feed` is called if no feed runs; it has to listen to the source before it returns, so
    /// that the subscriber misses nothing from here on.
    pub(crate) fn join(
        self: &Arc<Self>,
        filter: F,
        switch: Option<ConnectionSwitch>,
        start_feed: impl FnOnce(),
    ) -> Membership<F> {
        let (sender, queue) = mpsc::channel(self.bounds.messages);
        let queued_bytes = Arc::new(AtomicUsize::new(0));
        let mut state = self.state.lock();
        let id = state.next_id;
        state.next_id += 1;
        let subscriber = Subscriber {
            id,
            filter,
            queue: sender,
            queued_bytes: queued_bytes.clone(),
            switch,
        };
        state.subscribers.push(subscriber);
        self.subscribers.set(state.subscribers.len() as f64);
        if !std::mem::replace(&mut state.feed_runs, true) {
            start_feed();
        }
        Membership {
            hub: self.clone(),
            id,
            queue,
            queued_bytes,
        }
    }

    /// Gives every subscriber's filter to `visit`, which queues what the subscriber wants.
    pub(crate) fn deliver(&self, mut visit: impl FnMut(&F, &mut dyn FnMut(&Payload))) {
        let mut state = self.state.lock();
        state.subscribers.retain(|subscriber| {
            let mut kept_up = true;
            visit(&subscriber.filter, &mut |payload| {
                kept_up = kept_up && self.queue(subscriber, payload)
            });
            kept_up
        });
        self.subscribers.set(state.subscribers.len() as f64);
    }

    /// Ends all subscriptions: the source was lost or has a gap.
    pub(crate) fn drop_all(&self) {
        let subscribers = std::mem::take(&mut self.state.lock().subscribers);
        for subscriber in &subscribers {
            self.give_up(subscriber);
        }
        self.subscribers.set(0.0);
    }

    /// Whether the feed may end: there is no subscriber, and the next one will start it again.
    pub(crate) fn feed_may_end(&self) -> bool {
        let mut state = self.state.lock();
        if state.subscribers.is_empty() {
            state.feed_runs = false;
        }
        !state.feed_runs
    }

    fn queue(&self, subscriber: &Subscriber<F>, payload: &Payload) -> bool {
        let bytes = payload.get().len();
        let before = subscriber.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        // A single payload may be larger than the bound; it passes when nothing waits.
        let fits = before == 0 || before + bytes <= self.bounds.bytes;
        let result = if fits {
            subscriber.queue.try_send(payload.clone())
        } else {
            Err(TrySendError::Full(payload.clone()))
        };
        match result {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.give_up(subscriber);
                false
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }

    fn give_up(&self, subscriber: &Subscriber<F>) {
        self.dropped.increment(1);
        if let Some(switch) = &subscriber.switch {
            switch.close();
        }
    }

    fn leave(&self, id: u64) {
        let mut state = self.state.lock();
        state.subscribers.retain(|subscriber| subscriber.id != id);
        self.subscribers.set(state.subscribers.len() as f64);
    }
}

impl<F> Membership<F> {
    /// The next payload; `None` once the hub has given up on the subscriber.
    pub(crate) async fn next(&mut self) -> Option<Payload> {
        let payload = self.queue.recv().await?;
        self.queued_bytes
            .fetch_sub(payload.get().len(), Ordering::Relaxed);
        Some(payload)
    }

    /// Sends everything that comes to a client, until either side ends.
    pub(crate) async fn forward(mut self, sink: SubscriptionSink) {
        let (method, id) = (sink.method_name().to_owned(), sink.subscription_id());
        loop {
            let payload = tokio::select! {
                payload = self.next() => payload,
                () = sink.closed() => return,
            };
            let Some(payload) = payload else { return };
            let message = SubscriptionMessage::new(&method, id.clone(), &&*payload)
                .expect("a serialised payload serialises again");
            if sink.send(message).await.is_err() {
                return;
            }
        }
    }
}

impl<F> Drop for Membership<F> {
    fn drop(&mut self) {
        self.hub.leave(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: QueueBounds = QueueBounds {
        messages: 2,
        bytes: 64,
    };

    fn send(hub: &Hub<u64>, value: u64, payload: &Payload) {
        hub.deliver(|wanted, push| {
            if *wanted == value {
                push(payload);
            }
        });
    }

    #[tokio::test]
    async fn all_subscribers_share_one_payload_and_get_what_they_want() {
        let hub = Hub::new("test", BOUNDS);
        let mut one = hub.join(1, None, || ());
        let mut other = hub.join(1, None, || ());
        let mut third = hub.join(3, None, || ());
        let (first, second) = (payload(&"first"), payload(&"second"));
        send(&hub, 1, &first);
        send(&hub, 3, &second);
        let (a, b) = (one.next().await.unwrap(), other.next().await.unwrap());
        assert!(Arc::ptr_eq(&a, &first) && Arc::ptr_eq(&b, &first));
        assert!(Arc::ptr_eq(&third.next().await.unwrap(), &second));
    }

    #[tokio::test]
    async fn a_slow_subscriber_loses_its_connection_and_the_others_lose_nothing() {
        let hub = Hub::new("test", BOUNDS);
        let switch = ConnectionSwitch::default();
        let mut slow = hub.join(1, Some(switch.clone()), || ());
        let mut fast = hub.join(1, None, || ());
        for number in 0..3 {
            send(&hub, 1, &payload(&number));
            assert_eq!(fast.next().await.unwrap().get(), number.to_string());
        }
        assert!(switch.is_closed());
        // What was queued before is still there, then it ends: no gap.
        assert_eq!(slow.next().await.unwrap().get(), "0");
        assert_eq!(slow.next().await.unwrap().get(), "1");
        assert!(slow.next().await.is_none());
    }

    #[test]
    fn bytes_are_bounded_but_one_large_payload_passes() {
        let hub = Hub::new("test", BOUNDS);
        let switch = ConnectionSwitch::default();
        let _slow = hub.join(1, Some(switch.clone()), || ());
        let large = payload(&"x".repeat(1000));
        send(&hub, 1, &large);
        assert!(!switch.is_closed());
        send(&hub, 1, &large);
        assert!(switch.is_closed());
    }

    #[test]
    fn the_feed_runs_while_there_are_subscribers() {
        let hub = Hub::new("test", BOUNDS);
        let mut starts = 0;
        let first = hub.join(1, None, || starts += 1);
        let second = hub.join(1, None, || starts += 1);
        assert_eq!(starts, 1);
        drop(first);
        assert!(!hub.feed_may_end());
        drop(second);
        assert!(hub.feed_may_end());
        let _third = hub.join(1, None, || starts += 1);
        assert_eq!(starts, 2);
    }
}
