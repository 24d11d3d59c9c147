//! Entries alone: a lock of atomics, and who reads beside it.

use std::sync::Arc;

use alloy_primitives::Address;
use rapid_sync::thread;

use super::explore;
use crate::{
    entry::{ABSENT, Arena, Busy},
    layout::Accounts,
};

const KEY: Address = Address::repeat_byte(1);

fn arena() -> (Arc<Arena<Accounts>>, u32) {
    let arena = Arc::new(Arena::<Accounts>::new().unwrap());
    let id = arena.make_locked(&KEY);
    arena.unlock_unchanged(id);
    (arena, id)
}

#[test]
fn a_reader_sees_the_whole_of_a_value_and_no_older_one_after_it() {
    explore(2, || {
        let (arena, id) = arena();
        let reader = {
            let arena = Arc::clone(&arena);
            thread::spawn(move || {
                let mut last = 0;
                for _ in 0..2 {
                    let Ok(read) = arena.try_read(id, 1) else { continue };
                    let (key, cell) = read.unwrap();
                    assert_eq!(key, KEY);
                    assert_eq!(cell.value, [cell.sequence; 4]);
                    assert_eq!(u64::from(cell.undo), cell.sequence);
                    assert!(cell.sequence >= last, "no step back");
                    last = cell.sequence;
                }
            })
        };
        assert!(arena.lock(id));
        arena.write_locked(id, &[1; 4], 1);
        arena.unlock(id, 1);
        reader.join().unwrap();
    });
}

/// The first life of an entry has a value, the second has none and was never committed.
#[test]
fn a_reader_sees_one_life_of_an_entry() {
    explore(1, || {
        let (arena, id) = arena();
        let second = Address::repeat_byte(2);
        assert!(arena.lock(id));
        arena.write_locked(id, &[7; 4], 0);
        arena.unlock(id, 5);
        let reader = {
            let arena = Arc::clone(&arena);
            thread::spawn(move || match arena.try_read(id, 1) {
                Ok(Some((KEY, cell))) => assert_eq!((cell.value, cell.sequence), ([7; 4], 5)),
                Ok(Some((key, cell))) => {
                    assert_eq!(key, second);
                    assert_eq!((cell.value, cell.sequence), (ABSENT, 0));
                }
                Ok(None) | Err(Busy) => {}
            })
        };
        assert!(arena.lock(id));
        arena.free_locked(id);
        // Another thread than the one that ended it, so what that did is not told with what this one does.
        let maker = thread::spawn(move || {
            assert_eq!(arena.make_locked(&second), id);
            arena.unlock_unchanged(id);
        });
        maker.join().unwrap();
        reader.join().unwrap();
    });
}

/// What one owner of the lock wrote, the next one sees: additions are not lost.
#[test]
fn a_lock_has_one_owner_who_sees_what_the_last_one_wrote() {
    explore(2, || {
        let (arena, id) = arena();
        let add = |sequence| {
            let arena = Arc::clone(&arena);
            move || {
                assert!(arena.lock(id));
                let [before, ..] = arena.read_locked(id).value;
                arena.write_locked(id, &[before + 1; 4], 0);
                arena.unlock(id, sequence);
            }
        };
        let other = thread::spawn(add(1));
        add(2)();
        other.join().unwrap();
        assert_eq!(arena.read_locked(id).value, [2; 4]);
    });
}
