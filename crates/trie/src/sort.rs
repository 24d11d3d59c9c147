//! Sorting changes and leaves by key.

use alloy_primitives::B256;

use crate::plan::Op;

/// From so many on, items are first divided by their first byte: what is sorted then stays in the cache, and needs no
/// second memory of its size.
const DIVIDED_FROM: usize = 1 << 16;

/// Below so many, items are moved as they are.
const DIRECTLY_BELOW: usize = 32;

/// Sorts by key.
pub(crate) fn sort_ops(ops: &mut [Op]) {
    match ops.len() {
        ..DIRECTLY_BELOW => ops.sort_unstable_by_key(|op| op.key),
        DIRECTLY_BELOW..DIVIDED_FROM => sort_by_leading(ops, &mut Vec::new()),
        _ => {
            let mut start = 0;
            let mut order = Vec::new();
            for end in divide(ops) {
                sort_by_leading(&mut ops[start..end], &mut order);
                start = end;
            }
        }
    }
}

/// Sorts by the leading bytes alone, which differ but for keys that somebody made so: moving those instead of whole
/// items takes a third of the time.
fn sort_by_leading(ops: &mut [Op], order: &mut Vec<(u64, u32)>) {
    order.clear();
    order.extend(ops.iter().map(|op| leading(&op.key)).zip(0..));
    order.sort_unstable();
    let sorted: Vec<Op> = order.iter().map(|(_, at)| ops[*at as usize]).collect();
    ops.copy_from_slice(&sorted);
    for same in ops.chunk_by_mut(|a, b| leading(&a.key) == leading(&b.key)) {
        if same.len() > 1 {
            same.sort_unstable_by_key(|op| op.key);
        }
    }
}

fn leading(key: &B256) -> u64 {
    let (bytes, _) = key.split_first_chunk().expect("keys have 32 bytes");
    u64::from_be_bytes(*bytes)
}

/// Puts items with the same first byte together, in order of that byte, and returns where each byte's end.
fn divide(ops: &mut [Op]) -> [usize; 256] {
    let mut ends = [0; 256];
    for op in &*ops {
        ends[usize::from(op.key[0])] += 1;
    }
    let mut next = [0; 256];
    let mut end = 0;
    for (next, count) in next.iter_mut().zip(&mut ends) {
        *next = end;
        end += *count;
        *count = end;
    }
    for byte in 0..256 {
        while next[byte] < ends[byte] {
            let at = next[byte];
            let belongs = usize::from(ops[at].key[0]);
            ops.swap(at, next[belongs]);
            next[belongs] += 1;
        }
    }
    ends
}

#[cfg(test)]
mod tests {
    use alloy_primitives::keccak256;

    use super::*;
    use crate::node::Slot;

    #[test]
    fn sorts_few_and_many_and_those_that_begin_alike() {
        for count in [0, 1, 31, 32, 1_000, DIVIDED_FROM + 1] {
            let mut ops: Vec<Op> = (0..count as u32)
                .map(|id| {
                    let mut key = keccak256(id.to_be_bytes());
                    if id % 3 == 0 {
                        key[..24].fill(0xee);
                    }
                    Op {
                        key,
                        id,
                        slot: Slot::Leaf(id),
                    }
                })
                .collect();
            sort_ops(&mut ops);
            assert!(ops.is_sorted_by(|a, b| a.key < b.key));
            let mut ids: Vec<u32> = ops.iter().map(|op| op.id).collect();
            ids.sort_unstable();
            assert!(ids.into_iter().eq(0..count as u32), "none is lost");
        }
    }
}
