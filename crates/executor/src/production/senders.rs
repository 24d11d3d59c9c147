//! Who has something at the workers: the next transaction of a sender waits until those before it are done.

use std::collections::{VecDeque, hash_map::Entry};

use alloy_primitives::{Address, map::AddressMap};

use super::job::Task;

/// Senders of whom something is handed out. Owned by the thread that hands out.
#[derive(Debug)]
pub(crate) struct Senders<J> {
    map: AddressMap<Sender<J>>,
    waiting: usize,
}

#[derive(Debug)]
struct Sender<J> {
    /// Transactions that workers have.
    out: usize,
    /// The batch that all of them are in, if others may join.
    batch: Option<u64>,
    /// Later ones, by nonce.
    waiting: VecDeque<Task<J>>,
}

impl<J> Default for Senders<J> {
    fn default() -> Self {
        Self {
            map: AddressMap::default(),
            waiting: 0,
        }
    }
}

impl<J> Senders<J> {
    /// Transactions that wait for others of their senders.
    pub(crate) const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Gives a transaction back that may go to the workers now, in the `open` batch unless it goes by itself; or keeps it until
    /// those before it are done.
    pub(crate) fn admit(&mut self, sender: Address, task: Task<J>, open: Option<u64>) -> Option<Task<J>> {
        match self.map.entry(sender) {
            Entry::Vacant(entry) => {
                entry.insert(Sender {
                    out: 1,
                    batch: open,
                    waiting: VecDeque::new(),
                });
                Some(task)
            }
            Entry::Occupied(entry) => {
                let sender = entry.into_mut();
                if open.is_some() && sender.batch == open && sender.waiting.is_empty() {
                    sender.out += 1;
                    return Some(task);
                }
                self.waiting += 1;
                sender.waiting.push_back(task);
                None
            }
        }
    }

    /// A worker is done with one of a sender's; the first of those that wait, if it has no more of them.
    pub(crate) fn done(&mut self, address: &Address) -> Option<Task<J>> {
        let sender = self.map.get_mut(address)?;
        sender.out -= 1;
        if sender.out > 0 {
            return None;
        }
        let next = self.take_next(address);
        if next.is_none() {
            self.map.remove(address);
        }
        next
    }

    /// The first of a sender's that wait.
    pub(crate) fn next(&self, address: &Address) -> Option<&Task<J>> {
        self.map.get(address)?.waiting.front()
    }

    /// Takes the first of a sender's that wait, for a worker that has those before it.
    pub(crate) fn take_next(&mut self, address: &Address) -> Option<Task<J>> {
        let sender = self.map.get_mut(address)?;
        let next = sender.waiting.pop_front()?;
        sender.out += 1;
        sender.batch = None;
        self.waiting -= 1;
        Some(next)
    }

    /// Forgets a sender, of whom the workers have nothing more; tells what waited.
    pub(crate) fn forget(&mut self, sender: &Address) -> VecDeque<Task<J>> {
        let waiting = self
            .map
            .remove(sender)
            .map_or_else(VecDeque::new, |sender| sender.waiting);
        self.waiting -= waiting.len();
        waiting
    }
}

#[cfg(test)]
mod tests {
    use super::{super::job::Class, *};

    const SENDER: Address = Address::repeat_byte(1);

    fn task(nonce: u64) -> Task<u64> {
        Task {
            job: nonce,
            class: Class::default(),
        }
    }

    fn nonces(tasks: impl IntoIterator<Item = Task<u64>>) -> Vec<u64> {
        tasks.into_iter().map(|task| task.job).collect()
    }

    #[test]
    fn what_cannot_join_waits_until_the_others_are_done() {
        let mut senders = Senders::default();
        assert!(senders.admit(SENDER, task(0), Some(7)).is_some());
        assert!(senders.admit(SENDER, task(1), Some(7)).is_some(), "it joins");
        assert!(
            senders.admit(SENDER, task(2), Some(8)).is_none(),
            "the batch is out"
        );
        assert!(
            senders.admit(SENDER, task(3), Some(7)).is_none(),
            "one is before it"
        );
        assert_eq!(senders.waiting(), 2);
        assert!(senders.done(&SENDER).is_none(), "one is out");
        assert_eq!(nonces(senders.done(&SENDER)), [2]);
        assert_eq!(senders.next(&SENDER).map(|task| task.job), Some(3));
        assert_eq!(nonces(senders.take_next(&SENDER)), [3]);
        assert!(
            senders.admit(SENDER, task(4), Some(9)).is_none(),
            "what was let go is in no open batch"
        );
        assert!(senders.done(&SENDER).is_none());
        assert_eq!(nonces(senders.done(&SENDER)), [4]);
        assert_eq!(senders.waiting(), 0);
    }

    #[test]
    fn who_is_done_is_forgotten() {
        let mut senders = Senders::default();
        assert!(senders.admit(SENDER, task(0), Some(1)).is_some());
        assert!(senders.done(&SENDER).is_none());
        assert!(senders.map.is_empty());
        assert!(senders.admit(SENDER, task(1), None).is_some());
        assert!(senders.admit(SENDER, task(2), None).is_none());
        assert_eq!(nonces(senders.forget(&SENDER)), [2]);
        assert_eq!((senders.waiting(), senders.map.len()), (0, 0));
    }
}
