//! A round of Keccak-f\[1600\], once for vectors of any width.

/// Rounds of a permutation and what each adds to its first word.
pub(super) const ROUND_CONSTANTS: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808a,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808b,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008a,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000a,
    0x0000_0000_8000_808b,
    0x8000_0000_0000_008b,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800a,
    0x8000_0000_8000_000a,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];

/// A round on the 25 words of a state, in rows of five; `$constant` goes into the first.
///
/// A macro, because what it uses may only be called from a function of the same target feature: `xor(a, b)`,
/// `xor3(a, b, c)`, `chi(a, b, c) = a ^ (!b & c)` and `rotate::<BITS>(a)`, to the left, of the module around it.
macro_rules! round {
    ($state:expr, $constant:expr) => {{
        let a = $state;
        // The parities of the columns: each word is changed by those of the column before and, rotated, after its own.
        let p0 = xor3(xor3(a[0], a[5], a[10]), a[15], a[20]);
        let p1 = xor3(xor3(a[1], a[6], a[11]), a[16], a[21]);
        let p2 = xor3(xor3(a[2], a[7], a[12]), a[17], a[22]);
        let p3 = xor3(xor3(a[3], a[8], a[13]), a[18], a[23]);
        let p4 = xor3(xor3(a[4], a[9], a[14]), a[19], a[24]);
        let r0 = rotate::<1>(p0);
        let r1 = rotate::<1>(p1);
        let r2 = rotate::<1>(p2);
        let r3 = rotate::<1>(p3);
        let r4 = rotate::<1>(p4);
        // Each row is made of words on a diagonal, rotated by as many bits as each place asks for. One row after the
        // other, as their words need not be in registers any longer.
        let b0 = xor3(a[0], p4, r1);
        let b1 = rotate::<44>(xor3(a[6], p0, r2));
        let b2 = rotate::<43>(xor3(a[12], p1, r3));
        let b3 = rotate::<21>(xor3(a[18], p2, r4));
        let b4 = rotate::<14>(xor3(a[24], p3, r0));
        let c0 = xor(chi(b0, b1, b2), $constant);
        let c1 = chi(b1, b2, b3);
        let c2 = chi(b2, b3, b4);
        let c3 = chi(b3, b4, b0);
        let c4 = chi(b4, b0, b1);
        let b5 = rotate::<28>(xor3(a[3], p2, r4));
        let b6 = rotate::<20>(xor3(a[9], p3, r0));
        let b7 = rotate::<3>(xor3(a[10], p4, r1));
        let b8 = rotate::<45>(xor3(a[16], p0, r2));
        let b9 = rotate::<61>(xor3(a[22], p1, r3));
        let c5 = chi(b5, b6, b7);
        let c6 = chi(b6, b7, b8);
        let c7 = chi(b7, b8, b9);
        let c8 = chi(b8, b9, b5);
        let c9 = chi(b9, b5, b6);
        let b10 = rotate::<1>(xor3(a[1], p0, r2));
        let b11 = rotate::<6>(xor3(a[7], p1, r3));
        let b12 = rotate::<25>(xor3(a[13], p2, r4));
        let b13 = rotate::<8>(xor3(a[19], p3, r0));
        let b14 = rotate::<18>(xor3(a[20], p4, r1));
        let c10 = chi(b10, b11, b12);
        let c11 = chi(b11, b12, b13);
        let c12 = chi(b12, b13, b14);
        let c13 = chi(b13, b14, b10);
        let c14 = chi(b14, b10, b11);
        let b15 = rotate::<27>(xor3(a[4], p3, r0));
        let b16 = rotate::<36>(xor3(a[5], p4, r1));
        let b17 = rotate::<10>(xor3(a[11], p0, r2));
        let b18 = rotate::<15>(xor3(a[17], p1, r3));
        let b19 = rotate::<56>(xor3(a[23], p2, r4));
        let c15 = chi(b15, b16, b17);
        let c16 = chi(b16, b17, b18);
        let c17 = chi(b17, b18, b19);
        let c18 = chi(b18, b19, b15);
        let c19 = chi(b19, b15, b16);
        let b20 = rotate::<62>(xor3(a[2], p1, r3));
        let b21 = rotate::<55>(xor3(a[8], p2, r4));
        let b22 = rotate::<39>(xor3(a[14], p3, r0));
        let b23 = rotate::<41>(xor3(a[15], p4, r1));
        let b24 = rotate::<2>(xor3(a[21], p0, r2));
        let c20 = chi(b20, b21, b22);
        let c21 = chi(b21, b22, b23);
        let c22 = chi(b22, b23, b24);
        let c23 = chi(b23, b24, b20);
        let c24 = chi(b24, b20, b21);
        [
            c0, c1, c2, c3, c4,
            c5, c6, c7, c8, c9,
            c10, c11, c12, c13, c14,
            c15, c16, c17, c18, c19,
            c20, c21, c22, c23, c24,
        ]
    }};
}

pub(super) use round;
