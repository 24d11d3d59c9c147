//! Four messages at a time: a 256-bit vector has the same word of four states.
//!
//! Sixteen registers do not hold the states and a rotation takes three instructions: a round is some 190 instructions and
//! half as many loads and stores.

#![allow(
    unsafe_code,
    reason = "vector intrinsics and loads of whole lanes have no safe form; `benches/keccak.rs` measures what they gain"
)]

use core::arch::x86_64::*;

use alloy_primitives::B256;

use super::{
    lanes::{self, Lanes},
    round::{ROUND_CONSTANTS, round},
};

/// Messages that are hashed at the same time.
pub(super) const LANES: usize = 4;

/// Bytes of a vector.
const VECTOR_BYTES: usize = 32;

type State = [__m256i; 25];

/// Proof that the processor, and the system, have AVX2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx2(());

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    pub(super) fn hash_each<'m>(self, message: impl FnMut(usize) -> &'m [u8], digests: &mut [B256]) {
        // SAFETY: `self` proves the feature.
        unsafe { hash_each(message, digests) }
    }
}

#[target_feature(enable = "avx2")]
fn hash_each<'m>(mut message: impl FnMut(usize) -> &'m [u8], digests: &mut [B256]) {
    let mut lanes = Lanes::<LANES>::fill(&mut message, digests.len());
    let mut state = [_mm256_setzero_si256(); 25];
    while lanes.is_busy() {
        let ending = lanes.ending();
        if ending == 0 {
            absorb_whole(&mut state, lanes.rest());
        } else {
            absorb(&mut state, lanes.rest());
        }
        permute(&mut state);
        if ending == 0 {
            lanes.advance();
        } else {
            lanes.finish(ending, &first_words(&state), digests, &mut message);
            clear(&mut state, ending);
        }
    }
}

/// Adds a block of each message, none of which ends in it.
#[inline]
#[target_feature(enable = "avx2")]
fn absorb_whole(state: &mut State, rest: &[&[u8]; LANES]) {
    for (vector, state) in state[..16].as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let from = vector * VECTOR_BYTES;
        let [a, b, c, d] = *rest;
        add(
            state,
            transpose([whole(a, from), whole(b, from), whole(c, from), whole(d, from)]),
        );
    }
    state[16] = xor(state[16], last_words(rest));
}

/// Adds a block of each message, with the padding where the message ends in it.
#[inline]
#[target_feature(enable = "avx2")]
fn absorb(state: &mut State, rest: &[&[u8]; LANES]) {
    let tails = rest.map(tail);
    for (vector, state) in state[..16].as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let rows = [
            padded(rest[0], tails[0], vector),
            padded(rest[1], tails[1], vector),
            padded(rest[2], tails[2], vector),
            padded(rest[3], tails[3], vector),
        ];
        add(state, transpose(rows));
    }
    state[16] = xor(state[16], last_words(rest));
}

#[inline]
#[target_feature(enable = "avx2")]
fn add(state: &mut [__m256i; 4], words: [__m256i; 4]) {
    for (state, word) in state.iter_mut().zip(words) {
        *state = xor(*state, word);
    }
}

/// A vector of a block, which has it whole.
#[inline]
#[target_feature(enable = "avx2")]
fn whole(block: &[u8], from: usize) -> __m256i {
    let bytes: &[u8; VECTOR_BYTES] = block[from..].first_chunk().expect("a whole block");
    // SAFETY: 32 bytes are there.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// A vector of the block that a message may end in: the words of the message that are whole, then `tail`, then zeros.
#[inline]
#[target_feature(enable = "avx2")]
fn padded(rest: &[u8], tail: u64, vector: usize) -> __m256i {
    let first = 4 * vector as i64;
    let indices = _mm256_set_epi64x(first + 3, first + 2, first + 1, first);
    let whole_words = _mm256_set1_epi64x((rest.len() / 8) as i64);
    let present = _mm256_cmpgt_epi64(whole_words, indices);
    let tail_here = _mm256_cmpeq_epi64(whole_words, indices);
    let start = lanes::start(rest, vector * VECTOR_BYTES);
    // SAFETY: only the words of the mask are read, which the message has from there on.
    let words = unsafe { _mm256_maskload_epi64(start.cast(), present) };
    let tail = _mm256_and_si256(tail_here, splat(tail));
    _mm256_or_si256(words, tail)
}

/// The bytes after the last whole word, and the one that begins the padding.
#[inline]
fn tail(rest: &[u8]) -> u64 {
    let bits = 8 * (rest.len() % 8);
    let bytes = match rest.last_chunk() {
        // In two steps, as there may be nothing left of the word.
        Some(last) => u64::from_le_bytes(*last) >> 1 >> (63 - bits),
        None => rest.iter().rfold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    bytes | 1 << bits
}

#[inline]
#[target_feature(enable = "avx2")]
fn last_words(rest: &[&[u8]; LANES]) -> __m256i {
    let [w0, w1, w2, w3] = rest.map(lanes::last_word);
    _mm256_set_epi64x(w3, w2, w1, w0)
}

/// Four vectors of one message each to four of one word each.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose([a, b, c, d]: [__m256i; 4]) -> [__m256i; 4] {
    /// The low halves of both operands.
    const LOW: i32 = 0x20;
    /// The high halves.
    const HIGH: i32 = 0x31;
    let even_ab = _mm256_unpacklo_epi64(a, b);
    let even_cd = _mm256_unpacklo_epi64(c, d);
    let odd_ab = _mm256_unpackhi_epi64(a, b);
    let odd_cd = _mm256_unpackhi_epi64(c, d);
    [
        _mm256_permute2x128_si256::<LOW>(even_ab, even_cd),
        _mm256_permute2x128_si256::<LOW>(odd_ab, odd_cd),
        _mm256_permute2x128_si256::<HIGH>(even_ab, even_cd),
        _mm256_permute2x128_si256::<HIGH>(odd_ab, odd_cd),
    ]
}

/// What the digests are made of.
#[inline]
#[target_feature(enable = "avx2")]
fn first_words(state: &State) -> [[u64; LANES]; 4] {
    let mut words = [[0; LANES]; 4];
    for (words, state) in words.iter_mut().zip(state) {
        // SAFETY: 32 bytes are there.
        unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), *state) };
    }
    words
}

/// Clears the states of the lanes whose bits are set.
#[inline]
#[target_feature(enable = "avx2")]
fn clear(state: &mut State, lanes: u32) {
    let [l0, l1, l2, l3] = [0, 1, 2, 3].map(|lane| -i64::from(lanes >> lane & 1));
    let cleared = _mm256_set_epi64x(l3, l2, l1, l0);
    for word in state {
        *word = _mm256_andnot_si256(cleared, *word);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn permute(state: &mut State) {
    for constant in ROUND_CONSTANTS {
        *state = round!(*state, splat(constant));
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn splat(word: u64) -> __m256i {
    _mm256_set1_epi64x(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor(a: __m256i, b: __m256i) -> __m256i {
    _mm256_xor_si256(a, b)
}

/// The sum of `b` and `c` is the same for five words: the compiler makes it once.
#[inline]
#[target_feature(enable = "avx2")]
fn xor3(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
    xor(a, xor(b, c))
}

/// `a ^ (!b & c)`.
#[inline]
#[target_feature(enable = "avx2")]
fn chi(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
    xor(a, _mm256_andnot_si256(b, c))
}

#[inline]
#[target_feature(enable = "avx2")]
fn rotate<const BITS: i32>(a: __m256i) -> __m256i {
    // The shift to the right is a count in a constant vector, as `64 - BITS` cannot be an immediate in stable Rust.
    let right = _mm256_set1_epi64x(64 - i64::from(BITS));
    _mm256_or_si256(_mm256_slli_epi64::<BITS>(a), _mm256_srlv_epi64(a, right))
}
