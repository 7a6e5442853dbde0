//! SHA-256 of four messages at once.
//!
//! One SHA-256 is a chain: each step waits for the one before, and a core that could do more waits along. Four
//! messages of one length go through the same steps side by side, which tags a batch 1.4 times as fast as one after
//! another (docs/benchmarks.md; x86-64 with the SHA extensions, Gulley et al., "Intel SHA Extensions", 2013). Elsewhere
//! they go one after another through `sha2`, with the same result.
//!
//! This file holds the project's only unsafe expression: the call of a function that needs instructions the processor
//! may not have, right behind the test that it has them.

use sha2::block_api::compress256;

/// Messages hashed at once.
pub const LANES: usize = 4;
/// Bytes of a block of SHA-256.
pub const BLOCK: usize = 64;

/// A block of SHA-256.
pub type Block = [u8; BLOCK];
/// A SHA-256 value.
pub type Hash = [u8; 32];

/// Initial hash value of SHA-256 (FIPS 180-4, 5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

/// A message of at least two blocks laid out in blocks, with its padding (FIPS 180-4, 5.1.1), so that most of them can
/// stay where the caller has them.
#[derive(Clone, Copy, Debug)]
pub struct Laid<'a> {
    /// The first block.
    pub first: Block,
    /// The blocks between.
    pub middle: &'a [Block],
    /// The last block, which ends with the message's length in bits.
    pub last: Block,
}

/// SHA-256 of a message that is all laid out, padding included.
pub(crate) fn hash_blocks(blocks: &[Block]) -> Hash {
    let mut state = INITIAL;
    compress256(&mut state, blocks);
    to_bytes(state)
}

/// SHA-256 of one message.
pub fn hash_one(message: &Laid<'_>) -> Hash {
    let mut state = INITIAL;
    compress256(&mut state, &[message.first]);
    compress256(&mut state, message.middle);
    compress256(&mut state, &[message.last]);
    to_bytes(state)
}

/// SHA-256 of each of four messages.
///
/// # Panics
/// When they are not all of the same number of blocks.
pub fn hash_lanes(messages: &[Laid<'_>; LANES]) -> [Hash; LANES] {
    let middle = messages[0].middle.len();
    assert!(messages.iter().all(|message| message.middle.len() == middle), "messages of unequal length side by side");
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1") && is_x86_feature_detected!("ssse3") {
        // SAFETY: the processor has every feature that the function is compiled for; we just asked it.
        #[expect(unsafe_code, reason = "the one way to call code for features that are found at run time")]
        return unsafe { x86::hash_lanes(messages) }.map(to_bytes);
    }
    messages.each_ref().map(hash_one)
}

fn to_bytes(state: [u32; 8]) -> Hash {
    let mut bytes = [0; 32];
    for (four, word) in bytes.chunks_exact_mut(4).zip(state) {
        four.copy_from_slice(&word.to_be_bytes());
    }
    bytes
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! The rounds of FIPS 180-4, 6.2.2, four at a time and four lanes side by side.

    use super::{BLOCK, Block, INITIAL, LANES, Laid};
    use std::arch::x86_64::{
        __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_set_epi32, _mm_set_epi64x,
        _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8, _mm_shuffle_epi32,
    };
    use std::array::from_fn;

    /// Round constants (FIPS 180-4, 4.2.2).
    const K: [u32; 64] = [
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
        0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
        0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
        0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
        0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
        0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
        0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
        0xc67178f2,
    ];

    /// A lane's state in the order the instructions want it: words A, B, E, F and C, D, G, H, highest first.
    #[derive(Clone, Copy)]
    struct State {
        abef: __m128i,
        cdgh: __m128i,
    }

    #[target_feature(enable = "sha,sse4.1,ssse3")]
    pub(super) fn hash_lanes(messages: &[Laid<'_>; LANES]) -> [[u32; 8]; LANES] {
        let [a, b, c, d, e, f, g, h] = INITIAL.map(u32::cast_signed);
        let mut states = [State { abef: _mm_set_epi32(a, b, e, f), cdgh: _mm_set_epi32(c, d, g, h) }; LANES];
        compress(&mut states, from_fn(|lane| &messages[lane].first));
        for block in 0..messages[0].middle.len() {
            compress(&mut states, from_fn(|lane| &messages[lane].middle[block]));
        }
        compress(&mut states, from_fn(|lane| &messages[lane].last));
        from_fn(|lane| words(states[lane]))
    }

    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn compress(states: &mut [State; LANES], blocks: [&Block; LANES]) {
        let before = *states;
        let mut schedule: [[__m128i; 4]; LANES] = from_fn(|lane| load(blocks[lane]));
        // Unrolled, for the places in the schedule to be registers.
        four_rounds::<0>(states, &mut schedule);
        four_rounds::<1>(states, &mut schedule);
        four_rounds::<2>(states, &mut schedule);
        four_rounds::<3>(states, &mut schedule);
        four_rounds::<4>(states, &mut schedule);
        four_rounds::<5>(states, &mut schedule);
        four_rounds::<6>(states, &mut schedule);
        four_rounds::<7>(states, &mut schedule);
        four_rounds::<8>(states, &mut schedule);
        four_rounds::<9>(states, &mut schedule);
        four_rounds::<10>(states, &mut schedule);
        four_rounds::<11>(states, &mut schedule);
        four_rounds::<12>(states, &mut schedule);
        four_rounds::<13>(states, &mut schedule);
        four_rounds::<14>(states, &mut schedule);
        four_rounds::<15>(states, &mut schedule);
        for (state, before) in states.iter_mut().zip(before) {
            state.abef = _mm_add_epi32(state.abef, before.abef);
            state.cdgh = _mm_add_epi32(state.cdgh, before.cdgh);
        }
    }

    /// Rounds `4 * FOUR` to `4 * FOUR + 3` of each lane, and the words of the schedule that come 16 after theirs.
    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn four_rounds<const FOUR: usize>(states: &mut [State; LANES], schedule: &mut [[__m128i; 4]; LANES]) {
        let [k0, k1, k2, k3] = [0, 1, 2, 3].map(|round| K[4 * FOUR + round].cast_signed());
        let constants = _mm_set_epi32(k3, k2, k1, k0);
        for (state, words) in states.iter_mut().zip(schedule) {
            let [now, next, after, last] = [0, 1, 2, 3].map(|ahead| words[(FOUR + ahead) % 4]);
            let input = _mm_add_epi32(now, constants);
            state.cdgh = _mm_sha256rnds2_epu32(state.cdgh, state.abef, input);
            if FOUR < 12 {
                let sum = _mm_add_epi32(_mm_sha256msg1_epu32(now, next), _mm_alignr_epi8(last, after, 4));
                words[FOUR % 4] = _mm_sha256msg2_epu32(sum, last);
            }
            state.abef = _mm_sha256rnds2_epu32(state.abef, state.cdgh, _mm_shuffle_epi32(input, 0x0e));
        }
    }

    /// The sixteen words of a block, most significant byte first.
    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn load(block: &Block) -> [__m128i; 4] {
        let swap = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
        let (eights, _) = block.as_chunks::<8>();
        let half = |place: usize| i64::from_le_bytes(eights[place]);
        const { assert!(BLOCK == 8 * 8) };
        from_fn(|four| _mm_shuffle_epi8(_mm_set_epi64x(half(2 * four + 1), half(2 * four)), swap))
    }

    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn words(State { abef, cdgh }: State) -> [u32; 8] {
        let [a, b] = [_mm_extract_epi32(abef, 3), _mm_extract_epi32(abef, 2)];
        let [c, d] = [_mm_extract_epi32(cdgh, 3), _mm_extract_epi32(cdgh, 2)];
        let [e, f] = [_mm_extract_epi32(abef, 1), _mm_extract_epi32(abef, 0)];
        let [g, h] = [_mm_extract_epi32(cdgh, 1), _mm_extract_epi32(cdgh, 0)];
        [a, b, c, d, e, f, g, h].map(i32::cast_unsigned)
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, Block, LANES, Laid, hash_lanes, hash_one};
    use crate::hash::sha256;
    use proptest::prelude::*;

    /// Lays a message of `64 n + 1` bytes out: its last byte stands alone in the last block.
    fn lay(message: &[u8]) -> Laid<'_> {
        let (blocks, rest) = message.as_chunks::<BLOCK>();
        let mut last: Block = [0; BLOCK];
        last[0] = rest[0];
        last[1] = 0x80;
        last[BLOCK - 8..].copy_from_slice(&(message.len() as u64 * 8).to_be_bytes());
        Laid { first: blocks[0], middle: &blocks[1..], last }
    }

    proptest! {
        #[test]
        fn side_by_side_or_alone_it_is_plain_sha256(
            (blocks, bytes) in (1usize..20).prop_flat_map(|blocks| {
                let length = LANES * (BLOCK * blocks + 1);
                (Just(blocks), proptest::collection::vec(any::<u8>(), length))
            }),
        ) {
            let messages: Vec<&[u8]> = bytes.chunks(BLOCK * blocks + 1).collect();
            let laid: Vec<Laid<'_>> = messages.iter().map(|message| lay(message)).collect();
            let laid: &[Laid<'_>; LANES] = laid.as_slice().try_into().unwrap();
            let truth: Vec<[u8; 32]> = messages.iter().map(|message| sha256(message)).collect();
            prop_assert_eq!(&hash_lanes(laid)[..], truth.as_slice());
            prop_assert_eq!(&laid.each_ref().map(hash_one)[..], truth.as_slice());
        }
    }

    #[test]
    #[should_panic(expected = "unequal length")]
    fn messages_of_unequal_length_are_refused() {
        let (short, long) = ([7; BLOCK + 1], [7; 2 * BLOCK + 1]);
        hash_lanes(&[lay(&short), lay(&short), lay(&long), lay(&short)]);
    }
}
