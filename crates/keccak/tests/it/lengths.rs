//! Every length, any number of messages, lengths mixed.

use crate::{bytes, check};

#[test]
fn every_length_fills_all_lanes() {
    for len in 0..=1100 {
        check(&std::array::from_fn::<_, 8, _>(|lane| bytes(len, lane)));
    }
}

#[test]
fn every_number_of_messages_of_one_length() {
    for count in 0..=33 {
        for len in [
            0, 1, 20, 32, 63, 64, 65, 127, 128, 129, 135, 136, 137, 271, 272, 532,
        ] {
            check(&Vec::from_iter((0..count).map(|place| bytes(len, place))));
        }
    }
}

#[test]
fn every_length_beside_its_neighbours() {
    for first in 0..=1100 {
        check(&std::array::from_fn::<_, 9, _>(|place| {
            bytes(first + place, first)
        }));
    }
}

#[test]
fn lanes_go_on_alone() {
    for count in 2..=33 {
        for long in 0..count {
            check(&Vec::from_iter((0..count).map(|place| {
                let len = if place == long { 5000 } else { 37 * place % 300 };
                bytes(len, place)
            })));
        }
    }
}

#[test]
fn messages_at_any_alignment() {
    let buffer = bytes(4000, 1);
    for start in 0..64 {
        check(&Vec::from_iter((0..17).map(|place| {
            let start = start + 71 * place;
            &buffer[start..start + 150 + place]
        })));
    }
}

#[test]
fn each_message_is_asked_for_once_and_in_order() {
    let message = bytes(200, 3);
    for kernel in rapid_keccak::Kernel::available() {
        let mut asked = Vec::new();
        let mut digests = [alloy_primitives::B256::ZERO; 21];
        kernel.hash_each(
            |place| {
                asked.push(place);
                &message[..9 * place]
            },
            &mut digests,
        );
        assert_eq!(asked, Vec::from_iter(0..21), "{}", kernel.name());
    }
}
