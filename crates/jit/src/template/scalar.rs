//! Instructions on general purpose registers.

use super::{
    assembler::{Assembler, Label},
    encoding::{Immediate, Legacy, Map, Mem, RAX, Reg, Rm, Size},
};

/// Two-operand arithmetic, by its number in the encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Alu {
    Add = 0,
    Or = 1,
    Adc = 2,
    Sbb = 3,
    And = 4,
    Sub = 5,
    Xor = 6,
    Cmp = 7,
}

/// A shift, by its number in the encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Shift {
    Left = 4,
    Right = 5,
    RightSigned = 7,
}

/// A shift of two registers as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum DoubleShift {
    Left = 0xa4,
    Right = 0xac,
}

/// One-operand arithmetic, by its number in the encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Group {
    Not = 2,
    Multiply = 4,
    Divide = 6,
}

/// A condition of the flags, by its number in the encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Condition {
    Below = 2,
    NotBelow = 3,
    Zero = 4,
    NotZero = 5,
    NotAbove = 6,
    Above = 7,
    Less = 12,
    NotLess = 13,
}

impl Condition {
    pub(super) const fn negated(self) -> Self {
        match self {
            Self::Below => Self::NotBelow,
            Self::NotBelow => Self::Below,
            Self::Zero => Self::NotZero,
            Self::NotZero => Self::Zero,
            Self::NotAbove => Self::Above,
            Self::Above => Self::NotAbove,
            Self::Less => Self::NotLess,
            Self::NotLess => Self::Less,
        }
    }
}

const fn fits_byte(value: i32) -> bool {
    value >= -128 && value < 128
}

impl Assembler {
    // --- moves -----------------------------------------------------------------------------------------------------

    pub(super) fn mov(&mut self, to: Reg, from: impl Into<Rm>) {
        self.legacy(Legacy::one(0x8b), to.0, from, Immediate::None);
    }

    /// Of 32 bits; the upper ones become zero.
    pub(super) fn mov_short(&mut self, to: Reg, from: impl Into<Rm>) {
        self.legacy(Legacy::one(0x8b).short(), to.0, from, Immediate::None);
    }

    pub(super) fn store(&mut self, to: Mem, from: Reg) {
        self.legacy(Legacy::one(0x89), from.0, to, Immediate::None);
    }

    pub(super) fn store_short(&mut self, to: Mem, from: Reg) {
        self.legacy(Legacy::one(0x89).short(), from.0, to, Immediate::None);
    }

    /// The lowest byte of rax.
    pub(super) fn store_byte_of_rax(&mut self, to: Mem) {
        self.legacy(Legacy::one(0x88).short(), RAX.0, to, Immediate::None);
    }

    pub(super) fn store_byte_immediate(&mut self, to: Mem, byte: u8) {
        self.legacy(Legacy::one(0xc6).short(), 0, to, Immediate::Byte(byte));
    }

    pub(super) fn store_immediate(&mut self, to: Mem, value: i32) {
        self.legacy(Legacy::one(0xc7), 0, to, Immediate::Long(value));
    }

    /// Leaves the flags as they are.
    pub(super) fn mov_immediate(&mut self, to: Reg, value: u64) {
        if let Ok(value) = u32::try_from(value) {
            self.mov_immediate_short(to, value);
        } else if let Ok(value) = i32::try_from(value.cast_signed()) {
            self.legacy(Legacy::one(0xc7), 0, to, Immediate::Long(value));
        } else {
            let mut bytes = [0; 10];
            bytes[0] = 0x48 | to.0 >> 3;
            bytes[1] = 0xb8 | to.0 & 7;
            bytes[2..].copy_from_slice(&value.to_le_bytes());
            self.write(&bytes);
        }
    }

    fn mov_immediate_short(&mut self, to: Reg, value: u32) {
        if to.0 >= 8 {
            self.write(&[0x41]);
        }
        self.write(&[0xb8 | to.0 & 7]);
        self.write(&value.to_le_bytes());
    }

    /// Changes the flags.
    pub(super) fn zero(&mut self, reg: Reg) {
        self.legacy(Legacy::one(0x33).short(), reg.0, reg, Immediate::None);
    }

    pub(super) fn lea(&mut self, to: Reg, mem: Mem) {
        self.legacy(Legacy::one(0x8d), to.0, mem, Immediate::None);
    }

    pub(super) fn movbe_load(&mut self, to: Reg, from: Mem) {
        self.legacy(MOVBE_LOAD, to.0, from, Immediate::None);
    }

    pub(super) fn movbe_store(&mut self, to: Mem, from: Reg) {
        let head = Legacy {
            opcode: 0xf1,
            ..MOVBE_LOAD
        };
        self.legacy(head, from.0, to, Immediate::None);
    }

    pub(super) fn swap_bytes(&mut self, reg: Reg) {
        self.write(&[0x48 | reg.0 >> 3, 0x0f, 0xc8 | reg.0 & 7]);
    }

    pub(super) fn load_half(&mut self, to: Reg, from: Mem) {
        self.legacy(Legacy::of(0xb7).short(), to.0, from, Immediate::None);
    }

    pub(super) fn load_byte(&mut self, to: Reg, from: Mem) {
        self.legacy(Legacy::of(0xb6).short(), to.0, from, Immediate::None);
    }

    pub(super) fn push(&mut self, reg: Reg) {
        if reg.0 >= 8 {
            self.write(&[0x41]);
        }
        self.write(&[0x50 | reg.0 & 7]);
    }

    pub(super) fn pop(&mut self, reg: Reg) {
        if reg.0 >= 8 {
            self.write(&[0x41]);
        }
        self.write(&[0x58 | reg.0 & 7]);
    }

    // --- arithmetic ------------------------------------------------------------------------------------------------

    pub(super) fn alu(&mut self, operation: Alu, to: Reg, from: impl Into<Rm>) {
        self.legacy(
            Legacy::one((operation as u8) << 3 | 3),
            to.0,
            from,
            Immediate::None,
        );
    }

    pub(super) fn alu_immediate(&mut self, operation: Alu, to: impl Into<Rm>, value: i32) {
        if fits_byte(value) {
            self.legacy(
                Legacy::one(0x83),
                operation as u8,
                to,
                Immediate::Byte(value as u8),
            );
        } else {
            self.legacy(Legacy::one(0x81), operation as u8, to, Immediate::Long(value));
        }
    }

    /// On 32 bits.
    pub(super) fn alu_short_immediate(&mut self, operation: Alu, to: Reg, value: i32) {
        if fits_byte(value) {
            let head = Legacy::one(0x83).short();
            self.legacy(head, operation as u8, to, Immediate::Byte(value as u8));
        } else {
            let head = Legacy::one(0x81).short();
            self.legacy(head, operation as u8, to, Immediate::Long(value));
        }
    }

    pub(super) fn test(&mut self, reg: Reg) {
        self.legacy(Legacy::one(0x85), reg.0, reg, Immediate::None);
    }

    pub(super) fn group(&mut self, operation: Group, operand: impl Into<Rm>) {
        self.legacy(Legacy::one(0xf7), operation as u8, operand, Immediate::None);
    }

    pub(super) fn multiply(&mut self, to: Reg, by: impl Into<Rm>) {
        self.legacy(Legacy::of(0xaf), to.0, by, Immediate::None);
    }

    pub(super) fn multiply_immediate(&mut self, to: Reg, operand: impl Into<Rm>, by: i32) {
        if fits_byte(by) {
            self.legacy(Legacy::one(0x6b), to.0, operand, Immediate::Byte(by as u8));
        } else {
            self.legacy(Legacy::one(0x69), to.0, operand, Immediate::Long(by));
        }
    }

    pub(super) fn shift(&mut self, operation: Shift, reg: Reg, by: u8) {
        self.legacy(Legacy::one(0xc1), operation as u8, reg, Immediate::Byte(by));
    }

    /// Bits that come into `to` are those of `from`.
    pub(super) fn double_shift(&mut self, operation: DoubleShift, to: Reg, from: Reg, by: u8) {
        self.legacy(Legacy::of(operation as u8), from.0, to, Immediate::Byte(by));
    }

    /// By the lowest six bits of rcx.
    pub(super) fn double_shift_by_rcx(&mut self, operation: DoubleShift, to: Reg, from: Reg) {
        self.legacy(Legacy::of(operation as u8 + 1), from.0, to, Immediate::None);
    }

    /// Position of the highest bit that is set; the zero flag if there is none.
    pub(super) fn highest_bit(&mut self, to: Reg, from: impl Into<Rm>) {
        self.legacy(Legacy::of(0xbd), to.0, from, Immediate::None);
    }

    pub(super) fn decrement(&mut self, mem: Mem) {
        self.legacy(Legacy::one(0xff), 1, mem, Immediate::None);
    }

    /// 1 or 0, in all bits of `to`. Overwrites rax.
    pub(super) fn set(&mut self, to: Reg, condition: Condition) {
        self.write(&[0x0f, 0x90 | condition as u8, 0xc0]);
        self.legacy(Legacy::of(0xb6).short(), to.0, RAX, Immediate::None);
    }

    pub(super) fn mov_if(&mut self, condition: Condition, to: Reg, from: Reg) {
        self.legacy(Legacy::of(0x40 | condition as u8), to.0, from, Immediate::None);
    }

    // --- jumps -----------------------------------------------------------------------------------------------------

    pub(super) fn jump(&mut self, label: Label) {
        self.write(&[0xe9, 0, 0, 0, 0]);
        self.refer(label, 0);
    }

    pub(super) fn jump_if(&mut self, condition: Condition, label: Label) {
        self.write(&[0x0f, 0x80 | condition as u8, 0, 0, 0, 0]);
        self.refer(label, 0);
    }

    pub(super) fn jump_to(&mut self, target: impl Into<Rm>) {
        self.legacy(Legacy::one(0xff).short(), 4, target, Immediate::None);
    }

    pub(super) fn call(&mut self, label: Label) {
        self.write(&[0xe8, 0, 0, 0, 0]);
        self.refer(label, 0);
    }

    pub(super) fn call_to(&mut self, target: impl Into<Rm>) {
        self.legacy(Legacy::one(0xff).short(), 2, target, Immediate::None);
    }

    pub(super) fn ret(&mut self) {
        self.write(&[0xc3]);
    }
}

const MOVBE_LOAD: Legacy = Legacy {
    prefix: 0,
    map: Map::Of38,
    opcode: 0xf0,
    size: Size::Bits64,
};
