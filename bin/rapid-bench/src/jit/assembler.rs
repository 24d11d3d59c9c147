//! A small assembler: the text of a program to its bytes.
//!
//! Words are separated by white space. `;` begins a comment that ends with the line. A word is
//! an opcode by name (`ADD`, `DUP1`), a number (`7`, `0x2a`: the shortest push of it, `PUSH0` for zero),
//! a label (`loop:`, which is also a `JUMPDEST`), a reference to one (`@loop`, always `PUSH2`),
//! or bytes as they are (`#600035`).

use alloy_primitives::{Bytes, U256, hex};
use eyre::{OptionExt, WrapErr, ensure, eyre};
use revm::bytecode::opcode;
use std::collections::HashMap;

/// Assembles a program.
///
/// # Errors
/// If a word is none of the above, a label is missing or twice there, or the program is longer than a label can say.
pub(crate) fn assemble(source: &str) -> eyre::Result<Bytes> {
    let mut program = Program::default();
    let words = source
        .lines()
        .flat_map(|line| line.split(';').next().unwrap_or_default().split_whitespace());
    for word in words {
        program.word(word).wrap_err_with(|| format!("word `{word}`"))?;
    }
    program.finish()
}

#[derive(Default)]
struct Program {
    code: Vec<u8>,
    labels: HashMap<String, u16>,
    references: Vec<(usize, String)>,
}

impl Program {
    fn word(&mut self, word: &str) -> eyre::Result<()> {
        if let Some(label) = word.strip_suffix(':') {
            let here = u16::try_from(self.code.len()).wrap_err("program too long")?;
            ensure!(
                self.labels.insert(label.to_owned(), here).is_none(),
                "label twice"
            );
            self.code.push(opcode::JUMPDEST);
        } else if let Some(label) = word.strip_prefix('@') {
            self.code.push(opcode::PUSH2);
            self.references.push((self.code.len(), label.to_owned()));
            self.code.extend([0, 0]);
        } else if let Some(bytes) = word.strip_prefix('#') {
            self.code.extend(hex::decode(bytes)?);
        } else if word.starts_with(|first: char| first.is_ascii_digit()) {
            self.push(word.parse()?);
        } else {
            let code =
                (0..=u8::MAX).find(|&code| opcode::OpCode::new(code).is_some_and(|op| op.as_str() == word));
            self.code.push(code.ok_or_eyre("no such opcode")?);
        }
        Ok(())
    }

    fn push(&mut self, number: U256) {
        let bytes = number.to_be_bytes_trimmed_vec();
        self.code.push(opcode::PUSH0 + bytes.len() as u8);
        self.code.extend(bytes);
    }

    fn finish(mut self) -> eyre::Result<Bytes> {
        for (at, label) in self.references {
            let target = self.labels.get(&label).ok_or_else(|| eyre!("no label {label}"))?;
            self.code[at..at + 2].copy_from_slice(&target.to_be_bytes());
        }
        Ok(self.code.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assembles_every_kind_of_word() {
        let code = assemble("0 256 loop: DUP1 @loop JUMPI ; comment\n #fe00 STOP").unwrap();
        assert_eq!(code, Bytes::from(hex!("5f6101005b8061000457fe0000")));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for source in ["ADDD", "@nowhere", "a: a:", "#f", "12x"] {
            assert!(assemble(source).is_err(), "{source}");
        }
    }
}
