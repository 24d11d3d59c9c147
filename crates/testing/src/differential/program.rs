//! Bytecode as a list of instructions that can be edited.

use std::{collections::BTreeMap, fmt::Write as _};

use revm::bytecode::opcode::{DUPN, EXCHANGE, JUMPDEST, OPCODE_INFO, PUSH1, PUSH32, SWAPN};

/// An instruction with its immediate bytes, fewer than it should have at the end of truncated code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) opcode: u8,
    pub(crate) immediate: Vec<u8>,
    /// Where it was when the code was decoded.
    origin: usize,
}

impl Instruction {
    /// An instruction that does nothing.
    pub(crate) const fn nothing() -> Self {
        Self {
            opcode: JUMPDEST,
            immediate: Vec::new(),
            origin: usize::MAX,
        }
    }

    const fn len(&self) -> usize {
        1 + self.immediate.len()
    }
}

/// Bytes of immediate that belong to an opcode. Jump analysis knows PUSH only, and so does this.
const fn immediate_len(opcode: u8) -> usize {
    match opcode {
        PUSH1..=PUSH32 => (opcode - PUSH1) as usize + 1,
        _ => 0,
    }
}

/// The instructions of code, read from its start on.
pub(crate) fn decode(code: &[u8]) -> Vec<Instruction> {
    let mut instructions = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let end = (at + 1 + immediate_len(code[at])).min(code.len());
        instructions.push(Instruction {
            opcode: code[at],
            immediate: code[at + 1..end].to_vec(),
            origin: at,
        });
        at = end;
    }
    instructions
}

/// Code of edited instructions. What was pushed and was the position of a jump destination is the position where that
/// destination is now.
pub(crate) fn encode(instructions: &[Instruction]) -> Vec<u8> {
    let mut moved = BTreeMap::new();
    let mut at = 0;
    for instruction in instructions {
        if instruction.opcode == JUMPDEST && instruction.origin != usize::MAX {
            moved.insert(instruction.origin, at);
        }
        at += instruction.len();
    }
    let mut code = Vec::with_capacity(at);
    for instruction in instructions {
        code.push(instruction.opcode);
        let target = position(&instruction.immediate).and_then(|pushed| moved.get(&pushed));
        match target {
            Some(target) => {
                let bytes = target.to_be_bytes();
                let width = instruction.immediate.len();
                let padding = width.saturating_sub(bytes.len());
                code.extend(std::iter::repeat_n(0, padding));
                code.extend(&bytes[bytes.len() - (width - padding)..]);
            }
            None => code.extend(&instruction.immediate),
        }
    }
    code
}

/// The position that an immediate may be: of two bytes or more, as generated code pushes them.
fn position(immediate: &[u8]) -> Option<usize> {
    let (high, low) = immediate.split_at_checked(immediate.len().checked_sub(2)?)?;
    high.iter().all(|byte| *byte == 0).then(|| {
        low.iter()
            .fold(0, |position, byte| position << 8 | usize::from(*byte))
    })
}

/// Code in words, a line for each instruction, for people.
#[must_use]
pub fn disassemble(code: &[u8]) -> String {
    let mut text = String::new();
    for instruction in decode(code) {
        let name = OPCODE_INFO[usize::from(instruction.opcode)].as_ref().map_or_else(
            || format!("{:#04x}", instruction.opcode),
            |info| info.name().to_owned(),
        );
        let _ = write!(text, "{:5} {name}", instruction.origin);
        if !instruction.immediate.is_empty() {
            let _ = write!(text, " 0x");
            for byte in &instruction.immediate {
                let _ = write!(text, "{byte:02x}");
            }
        }
        if [DUPN, SWAPN, EXCHANGE].contains(&instruction.opcode) {
            let next = code.get(instruction.origin + 1).copied().unwrap_or_default();
            let _ = write!(text, " ({next:#04x} follows)");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use revm::bytecode::opcode::{ADD, JUMP, PUSH2, STOP};

    #[test]
    fn code_survives_decoding() {
        let code = [0x60, 1, 0xef, 0x5b, 0x61, 0, 3, 0x56, 0x7f, 1, 2];
        assert_eq!(encode(&decode(&code)), code);
    }

    #[test]
    fn jumps_follow_their_destination() {
        let code = [ADD, ADD, PUSH2, 0, 6, JUMP, JUMPDEST, STOP];
        let mut instructions = decode(&code);
        instructions.remove(0);
        assert_eq!(encode(&instructions), [ADD, PUSH2, 0, 5, JUMP, JUMPDEST, STOP]);
        instructions.insert(0, Instruction::nothing());
        assert_eq!(
            encode(&instructions),
            [JUMPDEST, ADD, PUSH2, 0, 6, JUMP, JUMPDEST, STOP]
        );
    }
}
