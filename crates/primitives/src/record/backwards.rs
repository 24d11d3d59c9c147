//! RLP from its end to its beginning.
//!
//! A list begins with its length. Written forwards, that has to be added up first, at each level again; written backwards,
//! it is there when it is needed.

use alloy_primitives::U256;
use alloy_rlp::{EMPTY_STRING_CODE, Encodable, Header};

/// Room for most mini-blocks.
const INITIAL_CAPACITY: usize = 1 << 16;

/// What is written so far: the end of a buffer.
#[derive(Debug)]
pub(super) struct BackwardsRlp {
    buffer: Vec<u8>,
    start: usize,
}

impl BackwardsRlp {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self {
            buffer: vec![0; INITIAL_CAPACITY],
            start: INITIAL_CAPACITY,
        }
    }

    /// What is written.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Puts these bytes first, as they are.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        if bytes.len() > self.start {
            self.grow(bytes.len());
        }
        let end = self.start;
        self.start -= bytes.len();
        self.buffer[self.start..end].copy_from_slice(bytes);
    }

    /// Makes room for so many bytes.
    #[cold]
    fn grow(&mut self, len: usize) {
        let written = self.bytes();
        let capacity = (2 * self.buffer.len()).max(written.len() + len);
        let start = capacity - written.len();
        let mut buffer = vec![0; capacity];
        buffer[start..].copy_from_slice(written);
        *self = Self { buffer, start };
    }

    /// Puts a string first.
    pub(super) fn string(&mut self, bytes: &[u8]) {
        self.raw(bytes);
        let is_its_own_header = matches!(bytes, [byte] if *byte < EMPTY_STRING_CODE);
        if !is_its_own_header {
            self.header(false, bytes.len());
        }
    }

    /// Puts a number first.
    pub(super) fn number(&mut self, number: u64) {
        let leading_zeros = number.leading_zeros() as usize / 8;
        self.string(&number.to_be_bytes()[leading_zeros..]);
    }

    /// Puts a 256-bit number first.
    pub(super) fn word(&mut self, word: &U256) {
        let leading_zeros = word.leading_zeros() / 8;
        self.string(&word.to_be_bytes::<32>()[leading_zeros..]);
    }

    /// Puts first what is written by its own encoding.
    pub(super) fn encodable(&mut self, value: &impl Encodable) {
        self.raw(&alloy_rlp::encode(value));
    }

    /// Puts a list first. Its content is put down from its last item to its first.
    pub(super) fn list(&mut self, write_content: impl FnOnce(&mut Self)) {
        let after = self.bytes().len();
        write_content(self);
        self.header(true, self.bytes().len() - after);
    }

    /// Puts the list of these items first.
    pub(super) fn items<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.list(|rlp| items.iter().rev().for_each(|item| write(rlp, item)));
    }

    fn header(&mut self, list: bool, payload_length: usize) {
        let mut header = [0; 9];
        let mut rest = header.as_mut_slice();
        Header { list, payload_length }.encode(&mut rest);
        let left = rest.len();
        self.raw(&header[..header.len() - left]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut BackwardsRlp)) -> Vec<u8> {
        let mut rlp = BackwardsRlp::new();
        write(&mut rlp);
        rlp.bytes().to_vec()
    }

    proptest! {
        #[test]
        fn numbers_are_as_alloy_has_them(number: u64, shift in 0..64, words: [u64; 4], word_shift in 0..256) {
            let (number, word) = (number >> shift, U256::from_limbs(words) >> word_shift);
            prop_assert_eq!(written(|rlp| rlp.number(number)), alloy_rlp::encode(number));
            prop_assert_eq!(written(|rlp| rlp.word(&word)), alloy_rlp::encode(word));
        }

        #[test]
        fn lists_of_strings_are_as_alloy_has_them(
            strings in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..40),
        ) {
            let strings: Vec<_> = strings.into_iter().map(alloy_primitives::Bytes::from).collect();
            let backwards = written(|rlp| rlp.items(&strings, |rlp, string| rlp.string(string)));
            prop_assert_eq!(backwards, alloy_rlp::encode(&strings));
        }
    }

    #[test]
    fn a_byte_is_its_own_header_only_below_128() {
        for byte in [0, 1, 0x7f, 0x80, 0xff] {
            let expected = alloy_rlp::encode([byte].as_slice());
            assert_eq!(written(|rlp| rlp.string(&[byte])), expected);
        }
    }

    #[test]
    fn it_grows_as_much_as_it_has_to() {
        let (one, two) = (vec![1; 3 * INITIAL_CAPACITY], vec![2; INITIAL_CAPACITY + 7]);
        let backwards =
            written(|rlp| rlp.list(|rlp| [&one, &two].iter().for_each(|bytes| rlp.string(bytes))));
        let forwards = alloy_rlp::encode(vec![alloy_primitives::Bytes::from(two), one.into()]);
        assert_eq!(backwards, forwards);
    }
}
