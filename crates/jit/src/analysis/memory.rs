//! What a trace knows of EVM memory: how much of it is paid for, which words it holds, and what has been read.

use revm::primitives::U256;

use super::{ir::Value, values::Address};

/// Facts kept of each kind at most; older ones are forgotten first.
const FACTS_MAX: usize = 24;

/// Knowledge about memory at one point of a trace.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    paid: Vec<Paid>,
    words: Vec<(Address, Value)>,
    /// Reads since the last point to which an exit goes back, of what was in memory then.
    exposed: Vec<(Address, u32)>,
    /// Whether what changes as memory grows, its size or the gas left, has been read since that point.
    growth_shows: bool,
}

/// From `base + from`, which does not wrap, `len` bytes are paid for.
#[derive(Clone, Copy, Debug)]
struct Paid {
    base: Option<Value>,
    from: U256,
    len: U256,
}

impl Memory {
    /// Whether the bytes are known to be paid for.
    pub(crate) fn is_paid(&self, address: Address, len: u32) -> bool {
        self.paid.iter().any(|paid| {
            if paid.base != address.base {
                return false;
            }
            let start = address.displacement.wrapping_sub(paid.from);
            let end = start.wrapping_add(U256::from(len));
            start <= paid.len && end >= start && end <= paid.len
        })
    }

    /// The bytes have been paid for.
    pub(crate) fn pay(&mut self, address: Address, len: u32) {
        let mut new = Paid {
            base: address.base,
            from: address.displacement,
            len: U256::from(len),
        };
        if address.base.is_none() {
            // Memory has no holes: what lies below is paid for, too.
            new.len = address.displacement.saturating_add(new.len);
            new.from = U256::ZERO;
        } else if let Some(old) = self.paid.iter().find(|paid| paid.base == address.base) {
            // Everything between two places that do not wrap is paid for, if they are near each other.
            let distance = new.from.wrapping_sub(old.from);
            if distance.bit_len() < 32 {
                new.from = old.from;
                new.len = old.len.max(distance + new.len);
            } else if distance.wrapping_neg().bit_len() < 32 {
                new.len = new.len.max(distance.wrapping_neg() + old.len);
            }
        }
        self.paid
            .retain(|paid| paid.base != new.base || paid.len > new.len);
        remember(&mut self.paid, new);
    }

    /// The word that is known to be at `address`.
    pub(crate) fn word_at(&self, address: Address) -> Option<Value> {
        self.words
            .iter()
            .rev()
            .find(|(at, _)| *at == address)
            .map(|&(_, value)| value)
    }

    /// `value` has been read at `address`.
    pub(crate) fn read_word(&mut self, address: Address, value: Value) {
        remember(&mut self.words, (address, value));
    }

    /// Bytes have been read that this trace may not have written.
    pub(crate) fn expose(&mut self, address: Address, len: u32) {
        self.exposed.push((address, len));
    }

    /// The size of memory has been read, or the gas left, out of which memory is paid.
    pub(crate) const fn read_what_growth_changes(&mut self) {
        self.growth_shows = true;
    }

    /// Whether growing memory would change what has been read since the last point to go back to.
    pub(crate) const fn growth_shows(&self) -> bool {
        self.growth_shows
    }

    /// Whether writing there would change what has been read since the last point to go back to.
    pub(crate) fn would_change_a_read(&self, address: Address, len: u32) -> bool {
        self.exposed
            .iter()
            .any(|&(read, read_len)| may_overlap(read, read_len, address, len))
    }

    /// Exits go back to this point from now on.
    pub(crate) fn forget_reads(&mut self) {
        self.exposed.clear();
        self.growth_shows = false;
    }

    /// Bytes have been written.
    pub(crate) fn written(&mut self, address: Address, len: u32, word: Option<Value>) {
        self.words
            .retain(|&(known, _)| !may_overlap(known, 32, address, len));
        if let Some(value) = word {
            remember(&mut self.words, (address, value));
        }
    }

    /// Anything may have been written.
    pub(crate) fn forget_words(&mut self) {
        self.words.clear();
    }
}

fn remember<T>(facts: &mut Vec<T>, fact: T) {
    if facts.len() == FACTS_MAX {
        facts.remove(0);
    }
    facts.push(fact);
}

/// Whether two pieces of memory can have a byte in common. Addresses are taken modulo 2^256, as the EVM computes them.
fn may_overlap(a: Address, a_len: u32, b: Address, b_len: u32) -> bool {
    if a.base != b.base {
        return true;
    }
    let from_a_to_b = b.displacement.wrapping_sub(a.displacement);
    let from_b_to_a = from_a_to_b.wrapping_neg();
    from_a_to_b < U256::from(a_len) || from_b_to_a < U256::from(b_len)
}
