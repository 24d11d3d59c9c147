//! Entries and the index alone.

use std::sync::Arc;

use alloy_primitives::Address;
use rapid_sync::thread;

use super::explore;
use crate::{
    entry::{ABSENT, Arena},
    index::{Index, KeyHash},
    layout::Accounts,
};

#[test]
fn a_reader_sees_the_whole_of_a_value() {
    explore(|| {
        let arena = Arc::new(Arena::<Accounts>::new().unwrap());
        let id = arena.make_locked(&Address::ZERO);
        arena.unlock_unchanged(id);
        let readers = [(); 2].map(|()| {
            let arena = Arc::clone(&arena);
            thread::spawn(move || {
                let mut last = 0;
                for _ in 0..2 {
                    let (_, cell) = arena.read(id).unwrap();
                    assert_eq!(cell.value, [cell.sequence; 4]);
                    assert_eq!(u64::from(cell.undo), cell.sequence);
                    assert!(cell.sequence >= last, "no step back");
                    last = cell.sequence;
                }
            })
        });
        for sequence in 1..=2 {
            assert!(arena.lock(id));
            arena.write_locked(id, &[sequence; 4], sequence as u32);
            arena.unlock(id, sequence);
        }
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}

/// The second life of an entry has a value, the first and the third have none and were never committed.
#[test]
fn a_reader_sees_one_life_of_an_entry() {
    explore(|| {
        let [first, second, third] = [1, 2, 3].map(Address::repeat_byte);
        let arena = Arc::new(Arena::<Accounts>::new().unwrap());
        let id = arena.make_locked(&first);
        arena.unlock_unchanged(id);
        let reader = {
            let arena = Arc::clone(&arena);
            thread::spawn(move || match arena.read(id) {
                Some((key, cell)) if key == second => assert_eq!(cell.value, [7; 4]),
                Some((key, cell)) => {
                    assert!([first, third].contains(&key), "{key}");
                    assert_eq!(cell.value, ABSENT);
                }
                None => {}
            })
        };
        let end = || {
            assert!(arena.lock(id));
            arena.free_locked(id);
        };
        end();
        assert_eq!(arena.make_locked(&second), id);
        arena.write_locked(id, &[7; 4], 0);
        arena.unlock(id, 5);
        end();
        assert_eq!(arena.make_locked(&third), id);
        arena.unlock_unchanged(id);
        reader.join().unwrap();
    });
}

/// Keys in the order of their tags, all in one stripe.
fn hash(key: u32) -> KeyHash {
    KeyHash {
        stripe: 0,
        tag: key << 25,
    }
}

fn find(index: &Index, key: u32) -> bool {
    index
        .search(hash(key), |found| (found == key).then_some(()))
        .is_ok()
}

#[test]
fn a_reader_finds_what_is_there_while_others_add_and_remove_and_the_table_grows() {
    explore(|| {
        let index = Arc::new(Index::new().unwrap());
        let stays = [20, 22, 24];
        for key in stays {
            index.insert(hash(key), key, |_| false).unwrap();
        }
        let reader = {
            let index = Arc::clone(&index);
            thread::spawn(move || {
                for key in stays {
                    assert!(find(&index, key), "{key}");
                }
                assert!(!find(&index, 100));
            })
        };
        let writer = {
            let index = Arc::clone(&index);
            thread::spawn(move || {
                index.insert(hash(23), 23, |_| false).unwrap();
                assert!(index.remove(hash(23), 23));
                // Ten fill the stripe.
                for key in 30..36 {
                    index.insert(hash(key), key, |_| false).unwrap();
                }
            })
        };
        for key in 1..4 {
            index.insert(hash(key), key, |_| false).unwrap();
        }
        writer.join().unwrap();
        reader.join().unwrap();
        assert!((1..4).chain(30..36).chain(stays).all(|key| find(&index, key)));
        assert!(!find(&index, 23));
    });
}

#[test]
fn of_two_that_add_a_key_one_does() {
    explore(|| {
        let index = Arc::new(Index::new().unwrap());
        let gap = index.search(hash(9), |_| None::<()>).unwrap_err();
        let add = |id| {
            let index = Arc::clone(&index);
            thread::spawn(move || index.insert(hash(9), id, |_| true))
        };
        let [first, second] = [1, 2].map(add).map(|thread| thread.join().unwrap());
        assert!(
            matches!((first, second), (Ok(()), Err(1)) | (Err(2), Ok(()))),
            "{first:?} {second:?}"
        );
        assert!(!index.holds(gap));
    });
}
