//! What threads share, and how they wait, of [`rapid_sync`]; and why the orders of the accesses are strong enough.
//!
//! The tests in `interleavings` run all of the state under a checker that knows sequential consistency only, and its parts
//! under one that knows what each order allows. Each module argues for its own; the arguments have three forms.
//!
//! - **A lock of atomics** (entries, stripes): taken by an acquiring exchange and a release fence after it, given back by a
//!   releasing store. Words under it are relaxed. A reader takes its first look acquiring, so it sees at least what the
//!   last owner wrote; before its second look it has an acquire fence. If one of its words was a later owner's, that owner's
//!   release fence comes before the word and after the exchange, so the second look sees the exchange or more.
//! - **A number that rises** (sequence, floor): raised by a read-modify-write that is sequentially consistent before what
//!   depends on it is written. Two commits whose numbers are in one order have their locks in that order: the later one's
//!   exchange reads, through others perhaps, what the earlier one's wrote, and so sees all the earlier one had locked.
//! - **A place that is used again** (records, ids, wide balances): goes from one owner to the next through a mutex, and the
//!   next one's first write has a release fence before it, or releases itself. A reader that meets such a write has an acquire
//!   fence, or acquires, before it looks whether what it reads is still retained.

pub(crate) use rapid_sync::{CHECKED, Mutex, MutexGuard, RwLock, atomic, pause, thread_number};
