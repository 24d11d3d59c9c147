//! Nibbles of 32-byte keys, by absolute depth: nibble 0 is the high half of the first byte.

use alloy_primitives::B256;

/// Nibbles in a key, and therefore the depth at which every leaf ends.
pub(crate) const KEY_NIBBLES: usize = 64;

/// The nibble at `depth`, below 16.
///
/// # Panics
/// If `depth` is not below [`KEY_NIBBLES`].
#[inline]
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

/// A piece of a key: what all keys below a branch share between the branch's parent and the branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    len: u8,
    /// One per byte; zero behind `len`.
    nibbles: [u8; KEY_NIBBLES],
}

impl Path {
    pub(crate) const EMPTY: Self = Self {
        len: 0,
        nibbles: [0; KEY_NIBBLES],
    };

    /// The nibbles of a key from one depth up to another.
    pub(crate) fn of_key(key: &B256, from: usize, to: usize) -> Self {
        let mut path = Self::EMPTY;
        for depth in from..to {
            path.push(nibble(key, depth));
        }
        path
    }

    pub(crate) const fn len(&self) -> usize {
        self.len as usize
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.nibbles[..self.len()]
    }

    pub(crate) const fn push(&mut self, nibble: u8) {
        self.nibbles[self.len as usize] = nibble;
        self.len += 1;
    }

    pub(crate) fn append(&mut self, other: &Self) {
        for nibble in other.as_slice() {
            self.push(*nibble);
        }
    }

    /// What is left behind the first `count` nibbles.
    pub(crate) fn skip(&self, count: usize) -> Self {
        let mut rest = Self::EMPTY;
        for nibble in &self.as_slice()[count..] {
            rest.push(*nibble);
        }
        rest
    }

    /// How many nibbles of the path the key has from `start` on.
    pub(crate) fn shared_with(&self, key: &B256, start: usize) -> usize {
        let differs = |(at, own): (usize, &u8)| *own != nibble(key, start + at);
        self.as_slice()
            .iter()
            .enumerate()
            .position(differs)
            .unwrap_or(self.len())
    }

    /// Words that a path of so many nibbles packs into.
    pub(crate) const fn words(len: usize) -> usize {
        len.div_ceil(16)
    }

    /// The path, sixteen nibbles a word, the first in the highest bits.
    pub(crate) fn pack(&self) -> impl Iterator<Item = u64> {
        self.nibbles
            .chunks_exact(16)
            .take(Self::words(self.len()))
            .map(|nibbles| {
                nibbles
                    .iter()
                    .fold(0, |word, nibble| word << 4 | u64::from(*nibble))
            })
    }

    /// The path of `len` nibbles that packs into `words`.
    pub(crate) fn unpack(len: usize, words: impl Iterator<Item = u64>) -> Self {
        let mut path = Self::EMPTY;
        for word in words {
            for shift in (0..64).step_by(4).rev() {
                if path.len() < len {
                    path.push((word >> shift) as u8 & 0x0f);
                }
            }
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::b256;

    use super::*;

    const KEY: B256 = b256!("0x123456789abcdef0112233445566778899aabbccddeeff00fedcba9876543210");

    #[test]
    fn finds_nibbles_and_where_keys_part() {
        assert_eq!((nibble(&KEY, 0), nibble(&KEY, 1), nibble(&KEY, 63)), (1, 2, 0));
        assert_eq!(shared_nibbles(&KEY, &KEY), KEY_NIBBLES);
        let mut other = KEY;
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
    fn paths_of_any_length_pack() {
        for from in 0..KEY_NIBBLES {
            for to in from..KEY_NIBBLES {
                let path = Path::of_key(&KEY, from, to);
                let words: Vec<_> = path.pack().collect();
                assert_eq!(words.len(), Path::words(path.len()));
                assert_eq!(Path::unpack(path.len(), words.into_iter()), path);
                assert_eq!(path.shared_with(&KEY, from), to - from);
                let mut joined = Path::of_key(&KEY, from, (from + to) / 2);
                joined.append(&path.skip(joined.len()));
                assert_eq!(joined, path);
            }
        }
        let path = Path::of_key(&KEY, 1, 4);
        assert_eq!(path.as_slice(), [2, 3, 4]);
        assert_eq!(path.shared_with(&KEY, 0), 0);
    }
}
