//! Balances of 2^128 wei and more: legal in a genesis, and never seen on a network with value. An account keeps the
//! number of such a balance instead of the balance.

use alloy_primitives::U256;

use crate::{
    region::{OutOfMemory, Region},
    sync::{
        Mutex,
        atomic::Ordering::{Acquire, Release},
    },
};

/// Wide balances at once, those of retained versions included.
const WIDE_MAX: usize = 1 << 24;

#[derive(Debug)]
pub(crate) struct WideBalances {
    limbs: Region,
    numbers: Mutex<Numbers>,
}

#[derive(Debug, Default)]
struct Numbers {
    free: Vec<u32>,
    next: u32,
}

impl WideBalances {
    pub(crate) fn new() -> Result<Self, OutOfMemory> {
        Ok(Self {
            limbs: Region::reserve(WIDE_MAX * 4)?,
            numbers: Mutex::default(),
        })
    }

    /// Keeps a balance, until it is [freed](Self::free).
    ///
    /// # Panics
    /// If there are 2^24 of them: the ether of a chain that has them is without value.
    pub(crate) fn keep(&self, balance: &U256) -> u32 {
        let number = {
            let mut numbers = self.numbers.lock();
            numbers.free.pop().unwrap_or_else(|| {
                numbers.next += 1;
                numbers.next - 1
            })
        };
        assert!((number as usize) < WIDE_MAX, "2^24 balances above 2^128 wei");
        for (word, limb) in self.limbs.words()[number as usize * 4..]
            .iter()
            .zip(balance.as_limbs())
        {
            word.store(*limb, Release);
        }
        number
    }

    /// The balance of a number. Whoever reads an old value that is forgotten meanwhile may ask for any number, and finds
    /// out afterwards.
    pub(crate) fn get(&self, number: u32) -> U256 {
        let first = number as usize % WIDE_MAX * 4;
        U256::from_limbs(std::array::from_fn(|limb| {
            self.limbs.words()[first + limb].load(Acquire)
        }))
    }

    pub(crate) fn free(&self, number: u32) {
        self.numbers.lock().free.push(number);
    }
}
