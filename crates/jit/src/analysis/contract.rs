//! Bytecode as the analysis reads it.

use revm::{
    bytecode::{Bytecode, JumpTable, opcode as op},
    primitives::{U256, hardfork::SpecId},
};

use super::opcode::{Kind, kind};
use crate::{CompileError, Limits, Rules};

/// Machine code names an instruction by opcode and program counter in 32 bits.
const BYTECODE_BYTES_MAX: usize = 1 << 24;

/// A contract's bytes, padded so that every instruction is whole and the last one stops, and the rules it runs under.
#[derive(Debug)]
pub(crate) struct Contract<'a> {
    padded: &'a [u8],
    len: usize,
    jumps: &'a JumpTable,
    rules: &'a Rules,
}

impl<'a> Contract<'a> {
    /// # Errors
    /// If it is no plain bytecode, or too large.
    pub(crate) fn new(
        bytecode: &'a Bytecode,
        rules: &'a Rules,
        limits: &Limits,
    ) -> Result<Self, CompileError> {
        let jumps = bytecode.legacy_jump_table().ok_or(CompileError::NotLegacy)?;
        let limit = limits.bytecode_bytes.min(BYTECODE_BYTES_MAX);
        if bytecode.len() > limit {
            return Err(CompileError::TooLarge {
                what: "bytes of code",
                got: bytecode.len(),
                limit,
            });
        }
        Ok(Self {
            padded: bytecode.bytes_slice(),
            len: bytecode.len(),
            jumps,
            rules,
        })
    }

    /// Bytes of code, without padding.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The byte at `pc`; behind the end it is STOP.
    pub(crate) fn opcode(&self, pc: usize) -> u8 {
        self.padded.get(pc).copied().unwrap_or(op::STOP)
    }

    pub(crate) fn kind(&self, pc: usize) -> Kind {
        kind(self.opcode(pc), self.rules.spec())
    }

    pub(crate) const fn rules(&self) -> &'a Rules {
        self.rules
    }

    pub(crate) const fn spec(&self) -> SpecId {
        self.rules.spec()
    }

    /// What the PUSH at `pc` pushes.
    pub(crate) fn pushed(&self, pc: usize) -> U256 {
        let bytes = (self.opcode(pc) - op::PUSH0) as usize;
        let mut word = [0; 32];
        for (index, byte) in word[32 - bytes..].iter_mut().enumerate() {
            *byte = self.opcode(pc + 1 + index);
        }
        U256::from_be_bytes(word)
    }

    /// The place a jump to `target` goes to; `None` if it is not valid.
    pub(crate) fn destination(&self, target: U256) -> Option<usize> {
        let target = usize::try_from(target).ok()?;
        self.jumps.is_valid(target).then_some(target)
    }

    /// All valid jump destinations.
    pub(crate) fn destinations(&self) -> impl Iterator<Item = usize> + use<'a> {
        let (jumps, len) = (self.jumps, self.len);
        (0..len).filter(|&pc| jumps.is_valid(pc))
    }
}
