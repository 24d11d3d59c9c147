//! Eight messages at a time: a 512-bit vector has the same word of eight states.
//!
//! The 25 words of the states stay in 25 of the 32 registers; three-operand logic and 64-bit rotations make a round of
//! 90 instructions.

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
pub(super) const LANES: usize = 8;

/// Bytes of a vector.
const VECTOR_BYTES: usize = 64;

type State = [__m512i; 25];

/// Proof that the processor, and the system, have AVX-512 F and BW.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx512(());

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")).then_some(Self(()))
    }

    pub(super) fn hash_each<'m>(self, message: impl FnMut(usize) -> &'m [u8], digests: &mut [B256]) {
        // SAFETY: `self` proves the features.
        unsafe { hash_each(message, digests) }
    }

    #[inline]
    pub(super) fn hash_keys<const LEN: usize>(self, keys: [&[u8; LEN]; LANES]) -> [B256; LANES] {
        // SAFETY: `self` proves the features.
        unsafe { hash_keys(keys) }
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn hash_each<'m>(mut message: impl FnMut(usize) -> &'m [u8], digests: &mut [B256]) {
    let mut lanes = Lanes::<LANES>::fill(&mut message, digests.len());
    let mut state = [_mm512_setzero_si512(); 25];
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

#[target_feature(enable = "avx512f,avx512bw")]
fn hash_keys<const LEN: usize>(keys: [&[u8; LEN]; LANES]) -> [B256; LANES] {
    const { assert!(LEN < VECTOR_BYTES, "the padding begins in the first words") }
    let [k0, k1, k2, k3, k4, k5, k6, k7] = keys.map(<[u8; LEN]>::as_slice);
    let columns = transpose([
        padded(k0, 0),
        padded(k1, 0),
        padded(k2, 0),
        padded(k3, 0),
        padded(k4, 0),
        padded(k5, 0),
        padded(k6, 0),
        padded(k7, 0),
    ]);
    let mut state = [_mm512_setzero_si512(); 25];
    state[..8].copy_from_slice(&columns);
    state[16] = splat(lanes::PADDING_END);
    permute(&mut state);
    let words = first_words(&state);
    std::array::from_fn(|lane| lanes::digest(&words, lane))
}

/// Adds a block of each message, none of which ends in it.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn absorb_whole(state: &mut State, rest: &[&[u8]; LANES]) {
    let [b0, b1, b2, b3, b4, b5, b6, b7] = *rest;
    for (vector, state) in state[..16].as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let from = vector * VECTOR_BYTES;
        add(
            state,
            transpose([
                whole(b0, from),
                whole(b1, from),
                whole(b2, from),
                whole(b3, from),
                whole(b4, from),
                whole(b5, from),
                whole(b6, from),
                whole(b7, from),
            ]),
        );
    }
    state[16] = xor(state[16], last_words(rest));
}

/// Adds a block of each message, with the padding where the message ends in it.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn absorb(state: &mut State, rest: &[&[u8]; LANES]) {
    let [b0, b1, b2, b3, b4, b5, b6, b7] = *rest;
    for (vector, state) in state[..16].as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let from = vector * VECTOR_BYTES;
        add(
            state,
            transpose([
                padded(b0, from),
                padded(b1, from),
                padded(b2, from),
                padded(b3, from),
                padded(b4, from),
                padded(b5, from),
                padded(b6, from),
                padded(b7, from),
            ]),
        );
    }
    state[16] = xor(state[16], last_words(rest));
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn add(state: &mut [__m512i; 8], words: [__m512i; 8]) {
    for (state, word) in state.iter_mut().zip(words) {
        *state = xor(*state, word);
    }
}

/// A vector of a block, which has it whole.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn whole(block: &[u8], from: usize) -> __m512i {
    let bytes: &[u8; VECTOR_BYTES] = block[from..].first_chunk().expect("a whole block");
    // SAFETY: 64 bytes are there.
    unsafe { _mm512_loadu_epi8(bytes.as_ptr().cast()) }
}

/// The bytes of a message from an offset on, followed by the byte that begins the padding, if it belongs here, and
/// zeros.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn padded(rest: &[u8], from: usize) -> __m512i {
    let (bytes, end) = match rest.len().checked_sub(from) {
        None => (0, 0),
        Some(left @ 0..VECTOR_BYTES) => ((1 << left) - 1, 1 << left),
        Some(VECTOR_BYTES..) => (u64::MAX, 0),
    };
    let padding = _mm512_maskz_set1_epi8(end, 1);
    let start = lanes::start(rest, from);
    // SAFETY: only the bytes of the mask are read, which the message has from there on.
    unsafe { _mm512_mask_loadu_epi8(padding, bytes, start.cast()) }
}

/// The last word of the block of each message.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn last_words(rest: &[&[u8]; LANES]) -> __m512i {
    let [w0, w1, w2, w3, w4, w5, w6, w7] = rest.map(lanes::last_word);
    _mm512_set_epi64(w7, w6, w5, w4, w3, w2, w1, w0)
}

/// Eight vectors of one message each to eight of one word each.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn transpose(rows: [__m512i; 8]) -> [__m512i; 8] {
    // Words 0, 2, 4, 6 of two messages each, then words 1, 3, 5, 7.
    let [e0, e1, e2, e3] = [
        _mm512_unpacklo_epi64(rows[0], rows[1]),
        _mm512_unpacklo_epi64(rows[2], rows[3]),
        _mm512_unpacklo_epi64(rows[4], rows[5]),
        _mm512_unpacklo_epi64(rows[6], rows[7]),
    ];
    let [o0, o1, o2, o3] = [
        _mm512_unpackhi_epi64(rows[0], rows[1]),
        _mm512_unpackhi_epi64(rows[2], rows[3]),
        _mm512_unpackhi_epi64(rows[4], rows[5]),
        _mm512_unpackhi_epi64(rows[6], rows[7]),
    ];
    let [c0, c2, c4, c6] = transpose_pairs([e0, e1, e2, e3]);
    let [c1, c3, c5, c7] = transpose_pairs([o0, o1, o2, o3]);
    [c0, c1, c2, c3, c4, c5, c6, c7]
}

/// Transposes quarters of vectors.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn transpose_pairs([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    /// Quarters 0 and 2 of each operand.
    const EVEN: i32 = 0x88;
    /// Quarters 1 and 3.
    const ODD: i32 = 0xdd;
    let even_ab = _mm512_shuffle_i64x2::<EVEN>(a, b);
    let even_cd = _mm512_shuffle_i64x2::<EVEN>(c, d);
    let odd_ab = _mm512_shuffle_i64x2::<ODD>(a, b);
    let odd_cd = _mm512_shuffle_i64x2::<ODD>(c, d);
    [
        _mm512_shuffle_i64x2::<EVEN>(even_ab, even_cd),
        _mm512_shuffle_i64x2::<EVEN>(odd_ab, odd_cd),
        _mm512_shuffle_i64x2::<ODD>(even_ab, even_cd),
        _mm512_shuffle_i64x2::<ODD>(odd_ab, odd_cd),
    ]
}

/// What the digests are made of.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn first_words(state: &State) -> [[u64; LANES]; 4] {
    let mut words = [[0; LANES]; 4];
    for (words, state) in words.iter_mut().zip(state) {
        // SAFETY: 64 bytes are there.
        unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), *state) };
    }
    words
}

/// Clears the states of the lanes whose bits are set.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn clear(state: &mut State, lanes: u32) {
    let keep = !(lanes as __mmask8);
    for word in state {
        *word = _mm512_maskz_mov_epi64(keep, *word);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn permute(state: &mut State) {
    for constant in ROUND_CONSTANTS {
        *state = round!(*state, splat(constant));
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn splat(word: u64) -> __m512i {
    _mm512_set1_epi64(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor(a: __m512i, b: __m512i) -> __m512i {
    _mm512_xor_si512(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor3(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi64::<0b1001_0110>(a, b, c)
}

/// `a ^ (!b & c)`.
#[inline]
#[target_feature(enable = "avx512f")]
fn chi(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi64::<0b1101_0010>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn rotate<const BITS: i32>(a: __m512i) -> __m512i {
    _mm512_rol_epi64::<BITS>(a)
}
