//! Every operation on every pair of operands that may matter, in every way that operands can be known to a compiler.

use revm::{
    bytecode::opcode::*,
    primitives::{U256, hardfork::SpecId},
};

use crate::differential::{Call, Case, Contract, Prices, Target, grammar::assembler::Assembler};

/// How an operation's operands come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperandSource {
    /// All are constants in the code.
    Constants,
    /// The one on top of the stack is a constant, the others are input.
    FirstConstant,
    /// The lowest one is a constant, the others are input.
    LastConstant,
    /// All are input, read in the same block.
    Input,
    /// All are input, read in another block.
    OtherBlock,
    /// All are input, cut to so many low bits.
    Masked(usize),
    /// All are input, the one on top of the stack cut to so many low bits.
    FirstMasked(usize),
    /// The one on top of the stack is a constant, the others are input cut to so many low bits.
    FirstConstantRestMasked(usize),
    /// The lowest one is a constant, the others are input cut to so many low bits.
    LastConstantRestMasked(usize),
    /// All are input, shifted left by so many bits.
    Shifted(usize),
}

use OperandSource::{
    Constants, FirstConstant, FirstConstantRestMasked, FirstMasked, Input, LastConstant,
    LastConstantRestMasked, Masked, OtherBlock, Shifted,
};

const SOURCES: &[OperandSource] = &[
    Constants,
    FirstConstant,
    LastConstant,
    Input,
    OtherBlock,
    Masked(1),
    Masked(8),
    Masked(64),
    Masked(128),
    Masked(160),
    FirstMasked(8),
    FirstMasked(64),
    FirstMasked(128),
    FirstConstantRestMasked(8),
    FirstConstantRestMasked(64),
    FirstConstantRestMasked(128),
    LastConstantRestMasked(8),
    LastConstantRestMasked(64),
    LastConstantRestMasked(128),
    Shifted(64),
    Shifted(192),
];

/// Operations on words, with the number of their operands.
const OPERATIONS: &[(u8, usize)] = &[
    (ADD, 2),
    (MUL, 2),
    (SUB, 2),
    (DIV, 2),
    (SDIV, 2),
    (MOD, 2),
    (SMOD, 2),
    (ADDMOD, 3),
    (MULMOD, 3),
    (EXP, 2),
    (SIGNEXTEND, 2),
    (LT, 2),
    (GT, 2),
    (SLT, 2),
    (SGT, 2),
    (EQ, 2),
    (ISZERO, 1),
    (AND, 2),
    (OR, 2),
    (XOR, 2),
    (NOT, 1),
    (BYTE, 2),
    (SHL, 2),
    (SHR, 2),
    (SAR, 2),
    (CLZ, 1),
];

/// The operands: every pair of them is tried, and every triple.
fn operands() -> Vec<U256> {
    let one = U256::ONE;
    let small = [0, 1, 2, 3, 7, 31, 32, 64, 255, 256].map(U256::from);
    let large = [
        one << 63,
        U256::from(u64::MAX),
        one << 64,
        U256::from(10).pow(U256::from(18)),
        U256::from(u128::MAX),
        one << 128,
        (one << 160) - one,
        U256::from_limbs([5, 0, 0, 9]),
        U256::from_limbs([
            0x0123_4567_89ab_cdef,
            0xfedc_ba98_7654_3210,
            0x0f1e_2d3c_4b5a_6978,
            0x17,
        ]),
        (one << 255) - one,
        one << 255,
        U256::MAX - U256::from(31),
        U256::MAX - one,
        U256::MAX,
    ];
    [&small[..], &large[..]].concat()
}

/// The cases, each with what it is about.
pub fn operand_cases() -> impl Iterator<Item = (String, Case)> {
    OPERATIONS.iter().flat_map(|(opcode, operands)| {
        SOURCES.iter().map(move |source| {
            let name = OPCODE_INFO[usize::from(*opcode)].map_or("", |info| info.name());
            let table = Table {
                opcode: *opcode,
                operands: *operands,
                source: *source,
            };
            (format!("{name} {source:?}"), table.case())
        })
    })
}

/// Gas for hundreds of the dearest operation.
const GAS: u64 = 10_000_000;

/// One operation with operands from one source.
struct Table {
    opcode: u8,
    operands: usize,
    source: OperandSource,
}

impl Table {
    fn case(&self) -> Case {
        let call = |data| Call {
            target: Target::Contract,
            gas: GAS,
            value: 0,
            data,
        };
        let code = match self.source {
            Constants => self.constants(),
            _ => self.with_input(),
        };
        Case {
            spec: SpecId::OSAKA,
            seed: 0,
            gas_cap: None,
            prices: Prices::Fork,
            memory_limit: None,
            contracts: vec![Contract {
                code,
                ..Contract::default()
            }],
            calls: self.inputs().into_iter().map(call).collect(),
        }
    }

    /// All tuples of fewer operands, for the code to have a limit.
    fn constants(&self) -> Vec<u8> {
        let step = [1, 1, 2, 4][self.operands];
        let few: Vec<_> = operands().into_iter().step_by(step).collect();
        let tuples = few.len().pow(self.operands as u32);
        let mut code = Assembler::default();
        for tuple in 0..tuples {
            let mut rest = tuple;
            for _ in 0..self.operands {
                code.push(few[rest % few.len()], 1);
                rest /= few.len();
            }
            self.finish_row(&mut code, tuple);
        }
        finish(code, tuples)
    }

    /// Code that applies the operation to the words of the input in front, and to each of the others or each constant.
    fn with_input(&self) -> Vec<u8> {
        let constants = operands();
        let mut code = Assembler::default();
        for (row, constant) in constants.iter().enumerate() {
            // From the lowest operand up; the one on top comes last.
            for position in (0..self.operands).rev() {
                let is_constant = match self.source {
                    FirstConstant | FirstConstantRestMasked(_) => position == 0,
                    LastConstant | LastConstantRestMasked(_) => position + 1 == self.operands,
                    _ => false,
                };
                if is_constant {
                    code.push(*constant, 1);
                } else {
                    self.input_word(&mut code, self.word_of(position, row), position);
                }
            }
            if self.source == OtherBlock {
                code.op(JUMPDEST);
            }
            self.finish_row(&mut code, row);
        }
        finish(code, constants.len())
    }

    /// Which word of the input an operand is.
    const fn word_of(&self, position: usize, row: usize) -> usize {
        match (self.source, position) {
            (FirstConstant | FirstConstantRestMasked(_), _) => position - 1,
            (LastConstant | LastConstantRestMasked(_), _) => position,
            (_, 0) => self.operands - 1 + row,
            _ => position - 1,
        }
    }

    fn input_word(&self, code: &mut Assembler, word: usize, position: usize) {
        code.push(U256::from(32 * word), 1);
        code.op(CALLDATALOAD);
        match self.source {
            Masked(bits) | FirstConstantRestMasked(bits) | LastConstantRestMasked(bits) => mask(code, bits),
            FirstMasked(bits) if position == 0 => mask(code, bits),
            Shifted(bits) => {
                code.push(U256::from(bits), 1);
                code.op(SHL);
            }
            _ => {}
        }
    }

    fn finish_row(&self, code: &mut Assembler, row: usize) {
        code.op(self.opcode);
        code.push(U256::from(32 * row), 1);
        code.op(MSTORE);
    }

    /// Inputs: all tuples of the operands in front, followed by all operands.
    fn inputs(&self) -> Vec<Vec<u8>> {
        let values = operands();
        let words = |words: &[U256]| -> Vec<u8> { words.iter().flat_map(U256::to_be_bytes::<32>).collect() };
        let front = match self.operands {
            _ if self.source == Constants => vec![Vec::new()],
            1 => vec![Vec::new()],
            2 => values.iter().map(|value| vec![*value]).collect(),
            _ => {
                let pair = |left: &U256| values.iter().map(|right| vec![*left, *right]).collect::<Vec<_>>();
                values.iter().flat_map(pair).collect::<Vec<_>>()
            }
        };
        front
            .into_iter()
            .map(|front| words(&[front, values.clone()].concat()))
            .collect()
    }
}

fn mask(code: &mut Assembler, bits: usize) {
    code.push((U256::ONE << bits) - U256::ONE, 1);
    code.op(AND);
}

/// Returns the rows.
fn finish(mut code: Assembler, rows: usize) -> Vec<u8> {
    code.push(U256::from(32 * rows), 1);
    code.push(U256::ZERO, 1);
    code.op(RETURN);
    code.finish()
}
