//! The table against maps, full, mined full, and searched while it changes.

use std::collections::BTreeMap;

use super::*;

fn hash(key: u64) -> KeyHash {
    KeyHash::new(key.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ key << 40)
}

fn find(index: &Index, key: u64, id: u32) -> bool {
    index
        .search(hash(key), |found| (found == id).then_some(()))
        .is_ok()
}

#[test]
fn holds_what_was_added_through_growth_and_removals() {
    let index = Index::new().unwrap();
    let count = if cfg!(miri) { 300 } else { 400_000 };
    let mut model = BTreeMap::new();
    for key in 1..=count {
        index.insert(hash(key), key as u32, |_| false).unwrap();
        model.insert(key, key as u32);
        if key % 3 == 0 {
            let removed = key / 3 * 2;
            assert_eq!(
                index.remove(hash(removed), removed as u32),
                model.remove(&removed).is_some()
            );
        }
    }
    for key in 1..=count {
        assert_eq!(find(&index, key, key as u32), model.contains_key(&key), "{key}");
    }
    let bytes = index.bytes() as f64 / model.len() as f64;
    assert!(bytes < 24.0, "{bytes} bytes an entry");
}

#[test]
fn keys_of_one_tag_and_stripe_are_told_apart_by_the_entry() {
    let index = Index::new().unwrap();
    let same = KeyHash {
        stripe: 1,
        tag: u32::MAX,
    };
    let ids = 1..=(if cfg!(miri) { 6 } else { 60 });
    for id in ids.clone() {
        index.insert(same, id, |_| false).unwrap();
    }
    assert_eq!(index.insert(same, 99, |id| id == 5), Err(5));
    for id in ids {
        assert_eq!(index.search(same, |found| (found == id).then_some(found)), Ok(id));
    }
}

#[test]
fn a_gap_holds_until_something_is_added_to_its_stripe() {
    let index = Index::new().unwrap();
    let gap = index.search(hash(1), |_| None::<()>).unwrap_err();
    assert!(index.holds(gap));
    index.insert(hash(1), 1, |_| false).unwrap();
    assert!(!index.holds(gap));
}

#[test]
fn a_stripe_that_is_mined_full_grows_and_stays_right() {
    let index = Index::new().unwrap();
    let crowded = |id: u32| KeyHash {
        stripe: 3,
        tag: id % 7,
    };
    let count = if cfg!(miri) { 40 } else { 2_000 };
    for id in 1..=count {
        index.insert(crowded(id), id, |_| false).unwrap();
    }
    for id in 1..=count {
        assert_eq!(
            index.search(crowded(id), |found| (found == id).then_some(id)),
            Ok(id)
        );
    }
}

#[test]
fn room_can_be_made_ahead() {
    let index = Index::new().unwrap();
    index.insert(hash(1), 1, |_| false).unwrap();
    index.reserve(if cfg!(miri) { 100 } else { 1_000_000 }).unwrap();
    let bytes = index.bytes();
    assert!(find(&index, 1, 1));
    for key in 2..100 {
        index.insert(hash(key), key as u32, |_| false).unwrap();
    }
    assert_eq!(index.bytes(), bytes);
}

#[test]
fn readers_see_every_key_while_others_add_and_remove() {
    let index = Index::new().unwrap();
    let fixed: u64 = if cfg!(miri) { 20 } else { 20_000 };
    let moving: u64 = if cfg!(miri) { 40 } else { 200_000 };
    (1..=fixed).for_each(|key| index.insert(hash(key), key as u32, |_| false).unwrap());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for key in fixed + 1..=fixed + moving {
                index.insert(hash(key), key as u32, |_| false).unwrap();
                if key % 2 == 0 {
                    assert!(index.remove(hash(key), key as u32));
                }
            }
            done.store(true, Release);
        });
        scope.spawn(|| {
            let mut key = 0;
            while !done.load(Acquire) {
                key = key % fixed + 1;
                assert!(find(&index, key, key as u32), "{key}");
            }
        });
    });
}
