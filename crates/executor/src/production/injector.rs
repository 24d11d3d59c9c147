//! What is ready to run, by class, and the workers that sleep until there is something.

use std::{sync::Arc, time::Instant};

use rapid_sync::{
    ArrayQueue, Mutex, Parker, Unparker,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use super::{
    batch::Batch,
    job::{CLASSES, Class, Length},
    lane::Lane,
};

/// Something a worker can go on with.
#[derive(Debug)]
pub(crate) enum Runnable<J> {
    /// Transactions that nothing is known of.
    Batch(Batch<J>),
    /// Those that wait for one contended key, from the queue of this class.
    Lane(Arc<Lane<J>>, Class),
}

/// Queues of what is ready, one per class, and one per class for what may take long.
///
/// Bounded by what is handed out: a batch is in one queue, and a lane in each at most once.
#[derive(Debug)]
pub(crate) struct Injector<J> {
    short: [ArrayQueue<Runnable<J>>; CLASSES],
    long: [ArrayQueue<Runnable<J>>; CLASSES],
    sleepers: AtomicUsize,
    asleep: Mutex<Vec<Sleeper>>,
    stopping: AtomicBool,
}

/// A worker that sleeps.
#[derive(Debug)]
struct Sleeper {
    worker: usize,
    appetite: Appetite,
    unparker: Unparker,
}

/// What a worker takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Appetite {
    /// Short transactions only.
    Short,
    /// Everything; of one class the short ones first.
    Any,
    /// Everything; of one class the long ones first. Every other time, so that neither kind waits for ever.
    AnyLongFirst,
}

impl<J> Injector<J> {
    /// Room for this many batches and lanes in each class.
    pub(crate) fn new(capacity: usize) -> Self {
        let queues = || std::array::from_fn(|_| ArrayQueue::new(capacity));
        Self {
            short: queues(),
            long: queues(),
            sleepers: AtomicUsize::new(0),
            asleep: Mutex::default(),
            stopping: AtomicBool::new(false),
        }
    }

    /// Makes something ready, and wakes a worker for it.
    pub(crate) fn push(&self, runnable: Runnable<J>, class: Class, length: Length) {
        let queues = match length {
            Length::Short => &self.short,
            Length::Long => &self.long,
        };
        assert!(
            queues[class.index()].push(runnable).is_ok(),
            "as many places as there can be batches and lanes"
        );
        if self.sleepers.load(SeqCst) > 0 {
            self.wake_for(length);
        }
    }

    /// Takes the most urgent that is ready.
    pub(crate) fn pop(&self, appetite: Appetite) -> Option<Runnable<J>> {
        for class in 0..CLASSES {
            let (short, long) = (&self.short[class], &self.long[class]);
            let popped = match appetite {
                Appetite::Short => short.pop(),
                Appetite::Any => short.pop().or_else(|| long.pop()),
                Appetite::AnyLongFirst => long.pop().or_else(|| short.pop()),
            };
            if popped.is_some() {
                return popped;
            }
        }
        None
    }

    /// Whether something more urgent than `class` is ready.
    pub(crate) fn has_above(&self, class: Class) -> bool {
        self.short[..class.index()].iter().any(|queue| !queue.is_empty())
    }

    /// Sleeps until there may be something to take, the deadline is there, or the workers are stopped. Whoever has the
    /// parker's other end ends the sleep too.
    pub(crate) fn sleep(
        &self,
        worker: usize,
        appetite: Appetite,
        parker: &Parker,
        deadline: Option<Instant>,
    ) {
        self.asleep.lock().push(Sleeper {
            worker,
            appetite,
            unparker: parker.unparker().clone(),
        });
        self.sleepers.fetch_add(1, SeqCst);
        // Whoever pushes looks at the sleepers after it pushed, so one of both sees the other.
        if self.has_any(appetite) || self.is_stopping() {
            self.rise(worker);
            return;
        }
        match deadline {
            None => parker.park(),
            Some(deadline) => parker.park_deadline(deadline),
        }
        self.rise(worker);
    }

    /// Stops all workers for ever.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, SeqCst);
        for sleeper in self.asleep.lock().iter() {
            sleeper.unparker.unpark();
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(SeqCst)
    }

    fn has_any(&self, appetite: Appetite) -> bool {
        let any = |queues: &[ArrayQueue<Runnable<J>>]| queues.iter().any(|queue| !queue.is_empty());
        any(&self.short) || (appetite != Appetite::Short && any(&self.long))
    }

    /// Takes a worker off the list of sleepers, if nobody did.
    fn rise(&self, worker: usize) {
        let mut asleep = self.asleep.lock();
        if let Some(position) = asleep.iter().position(|sleeper| sleeper.worker == worker) {
            asleep.swap_remove(position);
            self.sleepers.fetch_sub(1, SeqCst);
        }
    }

    /// Wakes one worker that takes what was pushed.
    fn wake_for(&self, length: Length) {
        let mut asleep = self.asleep.lock();
        let fits = |sleeper: &Sleeper| length == Length::Short || sleeper.appetite != Appetite::Short;
        if let Some(position) = asleep.iter().rposition(fits) {
            let sleeper = asleep.swap_remove(position);
            self.sleepers.fetch_sub(1, SeqCst);
            sleeper.unparker.unpark();
        }
    }
}

/// The worker of the thread that hands out. It takes no long transactions: so a short one waits for at most one other
/// short one, and so does what is due.
pub(crate) const OWN: usize = 0;

impl Appetite {
    /// What a worker of so many takes.
    pub(crate) const fn of(worker: usize, workers: usize) -> Self {
        if worker == OWN && workers > 1 {
            Self::Short
        } else {
            Self::Any
        }
    }

    /// What it takes the next time.
    pub(crate) const fn next(self) -> Self {
        match self {
            Self::Short => Self::Short,
            Self::Any => Self::AnyLongFirst,
            Self::AnyLongFirst => Self::Any,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Which were taken: long or short, by the class.
    fn popped(injector: &Injector<()>, appetite: &mut Appetite) -> Option<(usize, Length)> {
        let runnable = injector.pop(*appetite);
        *appetite = appetite.next();
        let Runnable::Batch(batch) = runnable? else {
            return None;
        };
        Some((batch.class.index(), batch.length))
    }

    #[test]
    fn long_ones_wait_neither_for_ever_nor_keep_others_waiting() {
        let injector = Injector::new(16);
        let (high, low) = (Class::new(0), Class::new(2));
        for (class, length) in [(low, Length::Long), (low, Length::Short)].repeat(3) {
            let batch = Batch {
                tasks: VecDeque::new(),
                class,
                length,
            };
            injector.push(Runnable::Batch(batch), class, length);
        }
        let urgent = Batch {
            tasks: VecDeque::new(),
            class: high,
            length: Length::Long,
        };
        injector.push(Runnable::Batch(urgent), high, Length::Long);
        let (mut short, mut any) = (Appetite::of(OWN, 2), Appetite::of(1, 2));
        assert_eq!(popped(&injector, &mut short), Some((2, Length::Short)));
        assert_eq!(
            popped(&injector, &mut any),
            Some((0, Length::Long)),
            "the most urgent"
        );
        let mut taken = Vec::new();
        while let Some((_, length)) = popped(&injector, &mut any) {
            taken.push(length);
        }
        use Length::{Long, Short};
        assert_eq!(taken, [Long, Short, Long, Short, Long]);
        assert_eq!(popped(&injector, &mut short), None);
    }
}
