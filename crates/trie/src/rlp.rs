//! Nodes as RLP (yellow paper, appendices B to D).

use alloy_primitives::B256;
use alloy_rlp::{EMPTY_LIST_CODE, EMPTY_STRING_CODE};

use crate::{
    node::{Branch, nibbles},
    path::{KEY_NIBBLES, Path, nibble},
};

/// A node of fewer bytes stands in its parent as it is; a longer one as its hash.
pub(crate) const HASHED_FROM_BYTES: usize = 32;

/// A hash as a string item.
const HASH_ITEM_BYTES: usize = 33;

/// Flag of the path of a leaf, in the high nibble of its first byte.
const LEAF: u8 = 0x20;

/// Flag of a path of an odd number of nibbles.
const ODD: u8 = 0x10;

/// Appends the node `[path of the rest of the key, value]` for a leaf at depth `start`.
pub(crate) fn push_leaf(out: &mut Vec<u8>, key: &B256, start: usize, value: &[u8]) {
    let mut path = [0; HASH_ITEM_BYTES];
    // Keys have an even number of nibbles: whole bytes are left but for the first nibble.
    let rest = &key[start.div_ceil(2)..];
    path[0] = if start.is_multiple_of(2) {
        LEAF
    } else {
        LEAF | ODD | nibble(key, start)
    };
    path[1..=rest.len()].copy_from_slice(rest);
    let path = &path[..=rest.len()];
    push_list_header(out, string_length(path) + string_length(value));
    push_string(out, path);
    push_string(out, value);
}

/// Appends the node `[path, reference to the branch]`.
pub(crate) fn push_extension(out: &mut Vec<u8>, extension: &Path, branch: Reference<'_>) {
    let nibbles = extension.as_slice();
    let odd = nibbles.len() % 2;
    let mut path = [0; KEY_NIBBLES / 2 + 1];
    path[0] = if odd == 0 { 0 } else { ODD | nibbles[0] };
    for (byte, pair) in path[1..].iter_mut().zip(nibbles[odd..].chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    let path = &path[..=nibbles.len() / 2];
    match branch {
        Reference::Short(node) => {
            push_list_header(out, string_length(path) + node.len());
            push_string(out, path);
            out.extend_from_slice(node);
        }
        Reference::Hash(hash) => {
            push_list_header(out, string_length(path) + HASH_ITEM_BYTES);
            push_string(out, path);
            push_string(out, hash.as_slice());
        }
    }
}

/// How a node stands in its parent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reference<'a> {
    Short(&'a [u8]),
    Hash(&'a B256),
}

/// Appends the node of sixteen children, without the extension that may precede it. Its fields must be known.
pub(crate) fn push_branch(out: &mut Vec<u8>, branch: &Branch<'_>) {
    let head = &branch.head;
    let empty = 17 - head.len();
    let short_bytes: usize = nibbles(head.short)
        .map(|nibble| usize::from(branch.field_bytes(head.index(nibble))[31]))
        .sum();
    let hashes = (head.children & !head.short).count_ones() as usize;
    let payload = empty + short_bytes + hashes * HASH_ITEM_BYTES;
    push_list_header(out, payload);
    let start = out.len();
    // What stays are the children that are not there, and the value that keys of one length never have.
    out.resize(start + payload, EMPTY_STRING_CODE);
    let mut at = start;
    let mut next = 0;
    for (nibble, field) in nibbles(head.children).zip(branch.fields()) {
        at += usize::from(nibble - next);
        next = nibble + 1;
        if head.short & 1 << nibble == 0 {
            let item = &mut out[at..at + HASH_ITEM_BYTES];
            item[0] = EMPTY_STRING_CODE + 32;
            field.write_to(&mut item[1..]);
            at += HASH_ITEM_BYTES;
        } else {
            let mut bytes = [0; 32];
            field.write_to(&mut bytes);
            let length = usize::from(bytes[31]);
            out[at..at + length].copy_from_slice(&bytes[..length]);
            at += length;
        }
    }
}

const fn string_length(bytes: &[u8]) -> usize {
    match bytes {
        [byte] if *byte < EMPTY_STRING_CODE => 1,
        _ if bytes.len() <= 55 => 1 + bytes.len(),
        _ => 2 + bytes.len(),
    }
}

/// A string of at most 255 bytes, which all paths and values are.
fn push_string(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes {
        [byte] if *byte < EMPTY_STRING_CODE => {}
        _ if bytes.len() <= 55 => out.push(EMPTY_STRING_CODE + bytes.len() as u8),
        _ => out.extend_from_slice(&[0xb8, bytes.len() as u8]),
    }
    out.extend_from_slice(bytes);
}

fn push_list_header(out: &mut Vec<u8>, length: usize) {
    let [high, low] = (length as u16).to_be_bytes();
    match length {
        0..=55 => out.push(EMPTY_LIST_CODE + low),
        56..=255 => out.extend_from_slice(&[0xf8, low]),
        _ => out.extend_from_slice(&[0xf9, high, low]),
    }
}
