//! Moves of whole words, by AVX2 or, in two halves, by SSE2, which every x86-64 has.

use super::{
    assembler::Assembler,
    encoding::{Immediate, Legacy, Map, Mem, Reg, Size, Vector, Vex},
};

/// What this processor can do besides x86-64's base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Features {
    pub(super) avx2: bool,
    pub(super) movbe: bool,
}

impl Features {
    pub(super) fn detect() -> Self {
        Self {
            avx2: std::arch::is_x86_feature_detected!("avx2"),
            movbe: std::arch::is_x86_feature_detected!("movbe"),
        }
    }

    /// The base.
    #[cfg(test)]
    pub(super) const NONE: Self = Self {
        avx2: false,
        movbe: false,
    };
}

/// A register for a whole word: one of AVX2's, or a pair of SSE2's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wide(pub(super) u8);

/// How many there are.
pub(super) const WIDE_COUNT: u8 = 8;

impl Wide {
    const fn low(self) -> Vector {
        Vector(2 * self.0)
    }

    const fn high(self) -> Vector {
        Vector(2 * self.0 + 1)
    }

    const fn whole(self) -> Vector {
        Vector(self.0)
    }
}

const fn vex(opcode: u8, prefix: u8) -> Vex {
    Vex {
        prefix,
        map: Map::Of,
        opcode,
        wide_scalar: false,
        bits256: false,
        first: 0,
    }
}

const fn sse(opcode: u8, prefix: u8, size: Size) -> Legacy {
    Legacy {
        prefix,
        map: Map::Of,
        opcode,
        size,
    }
}

const MOVUPS_LOAD: Legacy = sse(0x10, 0, Size::Bits32);
const MOVUPS_STORE: Legacy = sse(0x11, 0, Size::Bits32);

/// How many of a word's limbs are loaded; the others become zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part256 {
    /// The lowest.
    One,
    /// The lower two.
    Two,
    All,
}

impl Assembler {
    pub(super) fn load_wide(&mut self, features: Features, to: Wide, from: Mem, part: Part256) {
        if features.avx2 {
            let head = match part {
                Part256::One => vex(0x7e, 2),
                Part256::Two => vex(0x6f, 2),
                Part256::All => Vex {
                    bits256: true,
                    ..vex(0x6f, 2)
                },
            };
            return self.vex(head, to.whole().0, from, Immediate::None);
        }
        match part {
            Part256::One => {
                self.legacy(sse(0x7e, 0xf3, Size::Bits32), to.low().0, from, Immediate::None);
                self.zero_half(to.high());
            }
            Part256::Two => {
                self.legacy(MOVUPS_LOAD, to.low().0, from, Immediate::None);
                self.zero_half(to.high());
            }
            Part256::All => {
                self.legacy(MOVUPS_LOAD, to.low().0, from, Immediate::None);
                self.legacy(MOVUPS_LOAD, to.high().0, from.plus(16), Immediate::None);
            }
        }
    }

    pub(super) fn store_wide(&mut self, features: Features, to: Mem, from: Wide) {
        if features.avx2 {
            let head = Vex {
                bits256: true,
                ..vex(0x7f, 2)
            };
            return self.vex(head, from.whole().0, to, Immediate::None);
        }
        self.legacy(MOVUPS_STORE, from.low().0, to, Immediate::None);
        self.legacy(MOVUPS_STORE, from.high().0, to.plus(16), Immediate::None);
    }

    /// The word with this lowest limb and no other.
    pub(super) fn extend_wide(&mut self, features: Features, to: Wide, from: Reg, size: Size) {
        if features.avx2 {
            let head = Vex {
                wide_scalar: size == Size::Bits64,
                ..vex(0x6e, 1)
            };
            return self.vex(head, to.whole().0, from, Immediate::None);
        }
        self.legacy(sse(0x6e, 0x66, size), to.low().0, from, Immediate::None);
        self.zero_half(to.high());
    }

    pub(super) fn zero_wide(&mut self, features: Features, to: Wide) {
        if features.avx2 {
            let head = Vex {
                first: to.whole().0,
                ..vex(0xef, 1)
            };
            return self.vex(head, to.whole().0, to.whole(), Immediate::None);
        }
        self.zero_half(to.low());
        self.zero_half(to.high());
    }

    fn zero_half(&mut self, half: Vector) {
        self.legacy(sse(0xef, 0x66, Size::Bits32), half.0, half, Immediate::None);
    }

    /// Exchanges the halves. AVX2 only.
    pub(super) fn exchange_halves(&mut self, wide: Wide) {
        let head = Vex {
            map: Map::Of3a,
            wide_scalar: true,
            bits256: true,
            ..vex(0x00, 1)
        };
        self.vex(head, wide.whole().0, wide.whole(), Immediate::Byte(0x4e));
    }

    /// Puts the bytes of each half in the order that `order` says. AVX2 only.
    pub(super) fn shuffle_halves(&mut self, wide: Wide, order: Mem) {
        let head = Vex {
            map: Map::Of38,
            bits256: true,
            first: wide.whole().0,
            ..vex(0x00, 1)
        };
        self.vex(head, wide.whole().0, order, Immediate::None);
    }

    /// Without it what Rust does with SSE after our AVX would be slow on some processors.
    pub(super) fn forget_upper_halves(&mut self, features: Features) {
        if features.avx2 {
            self.write(&[0xc5, 0xf8, 0x77]);
        }
    }
}
