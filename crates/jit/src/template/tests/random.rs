//! Random programs: every operation on operands of every width, in every place.

use revm::bytecode::opcode::*;

use super::Program;

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

const WORDS: &[u8] = &[
    ADD, MUL, SUB, DIV, SDIV, MOD, SMOD, ADDMOD, MULMOD, SIGNEXTEND, LT, GT, SLT, SGT, EQ, ISZERO, AND, OR,
    XOR, NOT, BYTE, SHL, SHR, SAR, CLZ, EXP,
];
const SOURCES: &[u8] = &[
    ADDRESS,
    CALLER,
    CALLVALUE,
    CALLDATASIZE,
    RETURNDATASIZE,
    GAS,
    PC,
    CODESIZE,
    MSIZE,
    TIMESTAMP,
];

/// A program and the words it leaves on its stack.
struct Generator {
    random: Random,
    code: Vec<u8>,
    height: usize,
}

impl Generator {
    fn push(&mut self) {
        let bytes = match self.random.below(8) {
            0 => 0,
            1..=4 => 1,
            5 => 1 + self.random.below(8),
            _ => 1 + self.random.below(32),
        };
        self.code.push(PUSH0 + bytes as u8);
        let kind = self.random.below(4);
        for index in 0..bytes {
            let byte = match kind {
                0 => 0xff,
                1 if index == 0 => 0x80,
                1 => 0,
                _ => self.random.next() as u8,
            };
            self.code.push(byte);
        }
        self.height += 1;
    }

    fn small(&mut self, limit: usize) {
        let value = self.random.below(limit);
        self.code.extend([PUSH2, (value >> 8) as u8, value as u8]);
        self.height += 1;
    }

    fn shuffle(&mut self) {
        let depth = 1 + self.random.below(self.height.min(12));
        match self.random.below(3) {
            0 if self.height > depth => self.code.push(SWAP1 + depth as u8 - 1),
            1 if self.height > 12 => {
                self.code.push(POP);
                self.height -= 1;
            }
            _ => {
                self.code.push(DUP1 + depth as u8 - 1);
                self.height += 1;
            }
        }
    }

    fn operation(&mut self) {
        let opcode = WORDS[self.random.below(WORDS.len())];
        let inputs = usize::from(OPCODE_INFO[usize::from(opcode)].unwrap().inputs());
        if matches!(opcode, SHL | SHR | SAR | BYTE | SIGNEXTEND) && self.random.below(4) > 0 {
            self.small(260);
        }
        if self.height < inputs {
            return;
        }
        self.code.push(opcode);
        self.height -= inputs - 1;
    }

    fn memory(&mut self) {
        if self.random.below(24) > 0 {
            self.small(300);
        }
        match self.random.below(5) {
            0 => self.code.push(MLOAD),
            1 => self.code.push(CALLDATALOAD),
            2 if self.height > 1 => {
                self.code.push(MSTORE);
                self.height -= 2;
            }
            3 if self.height > 1 => {
                self.code.push(MSTORE8);
                self.height -= 2;
            }
            4 => {
                self.code.extend([PUSH1, 64, SWAP1, KECCAK256]);
            }
            _ => {}
        }
    }

    /// Over a few instructions, or through them.
    fn branch(&mut self) {
        if self.height < 2 {
            return;
        }
        if self.random.below(2) == 0 {
            let compare = [LT, GT, SLT, SGT, EQ][self.random.below(5)];
            self.code.extend([DUP1 + 1, DUP1 + 1, compare]);
            self.height += 1;
        }
        if self.random.below(2) == 0 {
            self.code.push(ISZERO);
        }
        let skipped = [CALLER, NOT, SWAP1, POP].repeat(self.random.below(3));
        let target = (self.code.len() + 4 + skipped.len()) as u16;
        self.code.push(PUSH2);
        self.code.extend(target.to_be_bytes());
        self.code.push(JUMPI);
        self.height -= 1;
        self.code.extend(skipped);
        self.code.push(JUMPDEST);
    }

    fn step(&mut self) {
        match self.random.below(16) {
            0..=2 => self.push(),
            3 => {
                let opcode = SOURCES[self.random.below(SOURCES.len())];
                self.code.push(opcode);
                self.height += 1;
            }
            4..=6 if self.height > 0 => self.shuffle(),
            7..=12 => self.operation(),
            13 | 14 if self.height > 0 => self.memory(),
            15 => self.branch(),
            _ => self.small(1 << 16),
        }
    }
}

fn program(seed: u64) -> Vec<u8> {
    let mut generator = Generator {
        random: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
        code: Vec::new(),
        height: 0,
    };
    let steps = 5 + generator.random.below(120);
    for offset in [0, 32, 1, 64] {
        if generator.random.below(2) == 0 {
            generator.code.extend([PUSH1, offset, CALLDATALOAD]);
            generator.height += 1;
        }
    }
    // So that these words are on the stack of the trace and not known.
    generator.code.push(JUMPDEST);
    for _ in 0..steps {
        generator.step();
    }
    if generator.random.below(3) == 0 {
        generator.code.extend([GAS, PUSH1, 0, JUMPI, STOP]);
    }
    generator.code
}

#[test]
fn random_programs() {
    let cases = std::env::var("RANDOM_PROGRAMS").map_or(400, |cases| cases.parse().unwrap());
    for seed in 1..cases {
        let code = program(seed);
        let mut random = Random(seed);
        let mut input = vec![0; random.below(100)];
        let kind = random.below(3);
        for byte in &mut input {
            *byte = match kind {
                0 => 0xff,
                1 => random.next() as u8,
                _ => (random.below(12) == 0) as u8,
            };
        }
        for gas in [50_000, random.below(2000) as u64] {
            Program {
                code: &code,
                input: &input,
                gas,
            }
            .check();
        }
    }
}
