//! Nibbles of 32-byte keys, by absolute depth: nibble 0 is the high half of the first byte.

use alloy_primitives::B256;

/// Nibbles in a key, and therefore the depth at which every leaf ends.
pub(crate) const KEY_NIBBLES: usize = 64;

/// The nibble at `depth`, below 16.
///
/// # Panics
/// If `depth` is not below [`KEY_NIBBLES`].
pub(crate) fn nibble(key: &B256, depth: usize) -> u8 {
    let byte = key[depth / 2];
    if depth.is_multiple_of(2) {
        byte >> 4
    } else {
        byte & 0x0f
    }
}

/// How many leading nibbles two keys share; [`KEY_NIBBLES`] if they are equal.
pub(crate) fn shared_nibbles(a: &B256, b: &B256) -> usize {
    match a.iter().zip(b.iter()).position(|(x, y)| x != y) {
        None => KEY_NIBBLES,
        Some(byte) => byte * 2 + usize::from(a[byte] >> 4 == b[byte] >> 4),
    }
}

/// A piece of a key in hex-prefix form (yellow paper, appendix C), as leaf and extension nodes carry it.
#[derive(Debug)]
pub(crate) struct HexPrefix {
    bytes: [u8; 33],
    len: usize,
}

impl HexPrefix {
    /// The nibbles from `start` to the end, flagged as a leaf's.
    pub(crate) fn leaf(key: &B256, start: usize) -> Self {
        Self::new(key, start, KEY_NIBBLES, 0x20)
    }

    /// The nibbles from `start` up to `end`, flagged as an extension's.
    pub(crate) fn extension(key: &B256, start: usize, end: usize) -> Self {
        Self::new(key, start, end, 0)
    }

    fn new(key: &B256, start: usize, end: usize, flag: u8) -> Self {
        debug_assert!(start <= end && end <= KEY_NIBBLES);
        let count = end - start;
        let mut bytes = [0; 33];
        let mut at = start;
        bytes[0] = flag;
        if !count.is_multiple_of(2) {
            bytes[0] |= 0x10 | nibble(key, at);
            at += 1;
        }
        for byte in &mut bytes[1..=count / 2] {
            *byte = nibble(key, at) << 4 | nibble(key, at + 1);
            at += 2;
        }
        Self {
            bytes,
            len: 1 + count / 2,
        }
    }

    /// The encoded bytes, at least one.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::b256;

    use super::*;

    const KEY: B256 = b256!("0x123456789abcdef0112233445566778899aabbccddeeff00fedcba9876543210");

    #[test]
    fn nibbles_count_from_the_high_half() {
        assert_eq!(
            (0..5).map(|depth| nibble(&KEY, depth)).collect::<Vec<_>>(),
            [1, 2, 3, 4, 5]
        );
        assert_eq!(nibble(&KEY, 63), 0);
    }

    #[test]
    fn shared_nibbles_sees_half_bytes() {
        let mut other = KEY;
        assert_eq!(shared_nibbles(&KEY, &other), 64);
        other[31] ^= 0x01;
        assert_eq!(shared_nibbles(&KEY, &other), 63);
        other[31] ^= 0x10;
        assert_eq!(shared_nibbles(&KEY, &other), 62);
        other[0] ^= 0x01;
        assert_eq!(shared_nibbles(&KEY, &other), 1);
        other[0] ^= 0x80;
        assert_eq!(shared_nibbles(&KEY, &other), 0);
    }

    #[test]
    fn hex_prefix_flags_kind_and_parity() {
        assert_eq!(HexPrefix::leaf(&KEY, 60).as_slice(), [0x20, 0x32, 0x10]);
        assert_eq!(HexPrefix::leaf(&KEY, 61).as_slice(), [0x32, 0x10]);
        assert_eq!(HexPrefix::leaf(&KEY, 64).as_slice(), [0x20]);
        assert_eq!(HexPrefix::leaf(&KEY, 0).as_slice().len(), 33);
        assert_eq!(HexPrefix::extension(&KEY, 1, 3).as_slice(), [0x00, 0x23]);
        assert_eq!(HexPrefix::extension(&KEY, 1, 4).as_slice(), [0x12, 0x34]);
        assert_eq!(HexPrefix::extension(&KEY, 0, 1).as_slice(), [0x11]);
    }
}
