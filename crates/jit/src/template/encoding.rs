//! How x86-64 instructions are written in bytes: prefixes, operands, immediates.

use super::assembler::{Assembler, Label};

/// A general purpose register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reg(pub(super) u8);

/// A vector register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vector(pub(super) u8);

pub(super) const RAX: Reg = Reg(0);
pub(super) const RCX: Reg = Reg(1);
pub(super) const RDX: Reg = Reg(2);
pub(super) const RBX: Reg = Reg(3);
pub(super) const RSP: Reg = Reg(4);
pub(super) const RBP: Reg = Reg(5);
pub(super) const RSI: Reg = Reg(6);
pub(super) const RDI: Reg = Reg(7);
pub(super) const R8: Reg = Reg(8);
pub(super) const R9: Reg = Reg(9);
pub(super) const R10: Reg = Reg(10);
pub(super) const R11: Reg = Reg(11);
pub(super) const R12: Reg = Reg(12);
pub(super) const R13: Reg = Reg(13);
pub(super) const R14: Reg = Reg(14);
pub(super) const R15: Reg = Reg(15);

/// A place in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mem {
    /// At a register plus a displacement.
    At(Reg, i32),
    /// At the sum of two registers plus a displacement.
    Sum(Reg, Reg, i32),
    /// At a register plus another one times `1 << .2`.
    Scaled(Reg, Reg, u8),
    /// In the code itself, so many bytes behind a label.
    Label(Label, i32),
}

impl Mem {
    /// So many bytes further on.
    pub(super) fn plus(self, bytes: i32) -> Self {
        match self {
            Self::At(base, displacement) => Self::At(base, displacement + bytes),
            Self::Sum(base, index, displacement) => Self::Sum(base, index, displacement + bytes),
            Self::Label(label, displacement) => Self::Label(label, displacement + bytes),
            Self::Scaled(..) => {
                debug_assert_eq!(bytes, 0, "elements of tables are not taken apart");
                self
            }
        }
    }
}

/// The operand that can be in memory.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rm {
    Reg(u8),
    Mem(Mem),
}

impl From<Reg> for Rm {
    fn from(reg: Reg) -> Self {
        Self::Reg(reg.0)
    }
}

impl From<Vector> for Rm {
    fn from(vector: Vector) -> Self {
        Self::Reg(vector.0)
    }
}

impl From<Mem> for Rm {
    fn from(mem: Mem) -> Self {
        Self::Mem(mem)
    }
}

/// A constant in an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Immediate {
    None,
    Byte(u8),
    Long(i32),
}

/// Whether the operation is on 32 or 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    Bits32,
    Bits64,
}

/// The table that an opcode is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Map {
    One,
    Of,
    Of38,
    Of3a,
}

/// What stands before the operands of an instruction with legacy prefixes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Legacy {
    /// 0x66, 0xf2 or 0xf3; 0 for none.
    pub(super) prefix: u8,
    pub(super) map: Map,
    pub(super) opcode: u8,
    pub(super) size: Size,
}

impl Legacy {
    pub(super) const fn one(opcode: u8) -> Self {
        Self {
            prefix: 0,
            map: Map::One,
            opcode,
            size: Size::Bits64,
        }
    }

    pub(super) const fn of(opcode: u8) -> Self {
        Self {
            map: Map::Of,
            ..Self::one(opcode)
        }
    }

    pub(super) const fn short(self) -> Self {
        Self {
            size: Size::Bits32,
            ..self
        }
    }
}

/// What stands before the operands of an AVX instruction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vex {
    /// 1 for 0x66, 2 for 0xf3, 3 for 0xf2.
    pub(super) prefix: u8,
    pub(super) map: Map,
    pub(super) opcode: u8,
    pub(super) wide_scalar: bool,
    pub(super) bits256: bool,
    /// The first source, 0 if there is none.
    pub(super) first: u8,
}

/// An instruction being put together: at most 15 bytes.
#[derive(Debug, Default)]
struct Bytes {
    bytes: [u8; 24],
    len: usize,
}

impl Bytes {
    const fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn extend(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn operands(&mut self, reg: u8, rm: Rm) -> Option<Label> {
        let reg = (reg & 7) << 3;
        match rm {
            Rm::Reg(rm) => self.push(0xc0 | reg | (rm & 7)),
            Rm::Mem(Mem::At(base, displacement)) => {
                let (mode, base) = (mode(base, displacement), base.0 & 7);
                self.push(mode | reg | base);
                if base == RSP.0 {
                    self.push(0x24);
                }
                self.displacement(mode, displacement);
            }
            Rm::Mem(Mem::Sum(base, index, displacement)) => {
                let mode = mode(base, displacement);
                self.push(mode | reg | 4);
                self.push((index.0 & 7) << 3 | (base.0 & 7));
                self.displacement(mode, displacement);
            }
            Rm::Mem(Mem::Scaled(base, index, scale)) => {
                let mode = mode(base, 0);
                self.push(mode | reg | 4);
                self.push(scale << 6 | (index.0 & 7) << 3 | (base.0 & 7));
                self.displacement(mode, 0);
            }
            Rm::Mem(Mem::Label(label, displacement)) => {
                self.push(reg | 5);
                self.extend(&displacement.to_le_bytes());
                return Some(label);
            }
        }
        None
    }

    fn displacement(&mut self, mode: u8, displacement: i32) {
        match mode {
            0x40 => self.push(displacement as u8),
            0x80 => self.extend(&displacement.to_le_bytes()),
            _ => {}
        }
    }

    fn immediate(&mut self, immediate: Immediate) -> u8 {
        match immediate {
            Immediate::None => 0,
            Immediate::Byte(byte) => {
                self.push(byte);
                1
            }
            Immediate::Long(long) => {
                self.extend(&long.to_le_bytes());
                4
            }
        }
    }
}

/// The addressing mode for a displacement; rbp and r13 cannot go without.
const fn mode(base: Reg, displacement: i32) -> u8 {
    if displacement == 0 && base.0 & 7 != 5 {
        0
    } else if displacement >= -128 && displacement < 128 {
        0x40
    } else {
        0x80
    }
}

/// The upper bits of index and base, which are in the prefix.
const fn extensions(rm: Rm) -> (u8, u8) {
    match rm {
        Rm::Reg(rm) => (0, rm >> 3),
        Rm::Mem(Mem::At(base, _)) => (0, base.0 >> 3),
        Rm::Mem(Mem::Sum(base, index, _) | Mem::Scaled(base, index, _)) => (index.0 >> 3, base.0 >> 3),
        Rm::Mem(Mem::Label(..)) => (0, 0),
    }
}

impl Assembler {
    pub(super) fn legacy(&mut self, head: Legacy, reg: u8, rm: impl Into<Rm>, immediate: Immediate) {
        let rm = rm.into();
        let mut bytes = Bytes::default();
        if head.prefix != 0 {
            bytes.push(head.prefix);
        }
        let (index, base) = extensions(rm);
        let wide = u8::from(head.size == Size::Bits64);
        let rex = wide << 3 | (reg >> 3) << 2 | index << 1 | base;
        if rex != 0 {
            bytes.push(0x40 | rex);
        }
        match head.map {
            Map::One => {}
            Map::Of => bytes.push(0x0f),
            Map::Of38 => bytes.extend(&[0x0f, 0x38]),
            Map::Of3a => bytes.extend(&[0x0f, 0x3a]),
        }
        bytes.push(head.opcode);
        self.finish_instruction(bytes, reg, rm, immediate);
    }

    pub(super) fn vex(&mut self, head: Vex, reg: u8, rm: impl Into<Rm>, immediate: Immediate) {
        let rm = rm.into();
        let mut bytes = Bytes::default();
        let (index, base) = extensions(rm);
        let (reg_high, tail) = (
            reg >> 3,
            (!head.first & 15) << 3 | u8::from(head.bits256) << 2 | head.prefix,
        );
        if head.map == Map::Of && !head.wide_scalar && index == 0 && base == 0 {
            bytes.extend(&[0xc5, (reg_high ^ 1) << 7 | tail]);
        } else {
            let map = match head.map {
                Map::One | Map::Of => 1,
                Map::Of38 => 2,
                Map::Of3a => 3,
            };
            bytes.push(0xc4);
            bytes.push((reg_high ^ 1) << 7 | (index ^ 1) << 6 | (base ^ 1) << 5 | map);
            bytes.push(u8::from(head.wide_scalar) << 7 | tail);
        }
        bytes.push(head.opcode);
        self.finish_instruction(bytes, reg, rm, immediate);
    }

    fn finish_instruction(&mut self, mut bytes: Bytes, reg: u8, rm: Rm, immediate: Immediate) {
        let label = bytes.operands(reg, rm);
        let behind = bytes.immediate(immediate);
        self.write(&bytes.bytes[..bytes.len]);
        if let Some(label) = label {
            self.refer(label, behind);
        }
    }
}
