//! Leases: which versions readers hold, and from which version on the past is kept.

use std::{collections::BTreeMap, sync::Arc};

use crate::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering::SeqCst},
};

/// All leases of a state.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    /// Leases per version. Bounded by the number of snapshots alive.
    held: Mutex<BTreeMap<u64, Held>>,
    /// Oldest version that can be read. Only rises, and only with `held` locked.
    floor: AtomicU64,
}

/// How many leases of a version there are.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    all: usize,
    pinned: usize,
}

/// Whether a lease can be overrun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// It can, when the past takes more memory than it may.
    Leased,
    /// It cannot: whoever holds it bounds how long.
    Pinned,
}

/// One lease; releases its version when dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    leases: Arc<Leases>,
    version: u64,
    hold: Hold,
}

impl Leases {
    /// Oldest version that can be read.
    pub(crate) fn floor(&self) -> u64 {
        self.floor.load(SeqCst)
    }

    /// Number of versions that are held.
    pub(crate) fn len(&self) -> usize {
        self.held.lock().len()
    }

    /// Leases a version; `None` when it is below the floor.
    pub(crate) fn lease(self: &Arc<Self>, version: u64, hold: Hold) -> Option<Arc<Lease>> {
        let mut held = self.held.lock();
        if version < self.floor() {
            return None;
        }
        let of_version = held.entry(version).or_default();
        of_version.all += 1;
        of_version.pinned += usize::from(hold == Hold::Pinned);
        Some(Arc::new(Lease {
            leases: Arc::clone(self),
            version,
            hold,
        }))
    }

    /// Raises the floor towards `wanted`, no further than the oldest lease.
    pub(crate) fn raise_floor_to_leases(&self, wanted: u64) -> u64 {
        let held = self.held.lock();
        let limit = held.keys().next().map_or(wanted, |oldest| wanted.min(*oldest));
        self.floor.fetch_max(limit, SeqCst).max(limit)
    }

    /// Raises the floor to `wanted`, no further than the oldest pinned lease; returns it and the number of versions held
    /// that are now overrun.
    pub(crate) fn raise_floor_over_leases(&self, wanted: u64) -> (u64, usize) {
        let held = self.held.lock();
        let pinned = held.iter().find(|(_, held)| held.pinned > 0);
        let wanted = pinned.map_or(wanted, |(version, _)| wanted.min(*version));
        let before = self.floor.fetch_max(wanted, SeqCst);
        let overrun = if before < wanted {
            held.range(before..wanted).count()
        } else {
            0
        };
        (before.max(wanted), overrun)
    }
}

impl Lease {
    pub(crate) const fn version(&self) -> u64 {
        self.version
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut held = self.leases.held.lock();
        if let Some(of_version) = held.get_mut(&self.version) {
            of_version.all -= 1;
            of_version.pinned -= usize::from(self.hold == Hold::Pinned);
            if of_version.all == 0 {
                held.remove(&self.version);
            }
        }
    }
}
