//! Runs expensive calls beside the runtime, a bounded number at a time.
//!
//! Calls that execute code or walk history would hold up the tasks of other clients and, on a small machine, the hot
//! loop. They run on blocking threads behind two bounds: how many run, and how many wait.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

use crate::error::{RpcError, RpcResult};

/// Admits expensive calls.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    running: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    waiting_max: usize,
    time_max: Duration,
}

/// When a call has to be done. Loops ask it between their steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Instant,
    time_max: Duration,
}

impl Deadline {
    /// # Errors
    /// [`RpcError::Timeout`] once the time is over.
    pub(crate) fn check(&self) -> RpcResult<()> {
        if Instant::now() >= self.at {
            Err(RpcError::Timeout(self.time_max))
        } else {
            Ok(())
        }
    }
}

impl Gate {
    /// A gate for `running_max` calls at a time, `waiting_max` more in the queue, each answered within `time_max`.
    pub(crate) fn new(running_max: usize, waiting_max: usize, time_max: Duration) -> Self {
        Self {
            running: Arc::new(Semaphore::new(running_max.max(1))),
            waiting: Arc::default(),
            waiting_max,
            time_max,
        }
    }

    /// Runs `call` on a blocking thread.
    ///
    /// A call that is still running when its time is over is answered, and keeps its place until it really ends; its
    /// gas and its deadline bound that.
    ///
    /// # Errors
    /// [`RpcError::Busy`] if too many wait, [`RpcError::Timeout`], or what the call answers.
    pub(crate) async fn run<T, F>(&self, call: F) -> RpcResult<T>
    where
        F: FnOnce(Deadline) -> RpcResult<T> + Send + 'static,
        T: Send + 'static,
    {
        let deadline = Deadline {
            at: Instant::now() + self.time_max,
            time_max: self.time_max,
        };
        let Some(place) = Waiting::enter(&self.waiting, self.waiting_max) else {
            metrics::counter!("rapid_reth_rpc_busy_calls_total").increment(1);
            return Err(RpcError::Busy);
        };
        let work = async {
            let permit = self
                .running
                .clone()
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            drop(place);
            let done = tokio::task::spawn_blocking(move || {
                let result = deadline.check().and_then(|()| call(deadline));
                drop(permit);
                result
            });
            done.await.map_err(RpcError::internal)?
        };
        match tokio::time::timeout(self.time_max, work).await {
            Ok(result) => result,
            Err(_) => {
                metrics::counter!("rapid_reth_rpc_timed_out_calls_total").increment(1);
                Err(RpcError::Timeout(self.time_max))
            }
        }
    }
}

/// A place in the queue, given back when dropped.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn enter(waiting: &Arc<AtomicUsize>, max: usize) -> Option<Self> {
        let place = Self(waiting.clone());
        (waiting.fetch_add(1, Ordering::Relaxed) < max).then_some(place)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn calls_beyond_the_bounds_are_refused_at_once() {
        let gate = Gate::new(1, 1, Duration::from_secs(60));
        let (release, released) = mpsc::channel::<()>();
        let (entered, has_entered) = tokio::sync::oneshot::channel();
        let running = tokio::spawn({
            let gate = gate.clone();
            async move {
                gate.run(move |_| {
                    entered.send(()).unwrap();
                    released.recv().unwrap();
                    Ok(1)
                })
                .await
            }
        });
        has_entered.await.unwrap();
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.run(|_| Ok(2)).await }
        });
        while gate.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(gate.run(|_| Ok(3)).await, Err(RpcError::Busy)));
        release.send(()).unwrap();
        assert_eq!(running.await.unwrap().unwrap(), 1);
        assert_eq!(waiting.await.unwrap().unwrap(), 2);
        assert_eq!(gate.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn an_endless_call_is_answered_and_can_see_its_deadline() {
        let gate = Gate::new(1, 1, Duration::from_millis(5));
        let result: RpcResult<()> = gate
            .run(|deadline| {
                loop {
                    deadline.check()?;
                }
            })
            .await;
        assert!(matches!(result, Err(RpcError::Timeout(_))));
    }
}
