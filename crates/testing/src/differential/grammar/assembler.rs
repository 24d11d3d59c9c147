//! Bytecode with labels.

use revm::{
    bytecode::opcode::{JUMPDEST, PUSH1},
    primitives::U256,
};

/// A place in the code, known by number until the code is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label(usize);

/// Code under construction.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    code: Vec<u8>,
    /// Position by label, once it is placed.
    labels: Vec<Option<usize>>,
    /// Two bytes to fill in with a label's position.
    uses: Vec<(usize, Label)>,
}

impl Assembler {
    pub(crate) const fn len(&self) -> usize {
        self.code.len()
    }

    pub(crate) fn op(&mut self, opcode: u8) {
        self.code.push(opcode);
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.code.extend_from_slice(bytes);
    }

    /// PUSH of at least `width` bytes, of as many as the value needs.
    pub(crate) fn push(&mut self, value: U256, width: usize) {
        let width = value.byte_len().max(width).clamp(1, 32);
        self.code.push(PUSH1 + width as u8 - 1);
        self.code
            .extend_from_slice(&value.to_be_bytes::<32>()[32 - width..]);
    }

    pub(crate) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// PUSH of positions, two bytes each, the first in the lowest bits.
    pub(crate) fn push_labels(&mut self, labels: &[Label], width: usize) {
        let width = width.max(2 * labels.len()).min(32);
        self.code.push(PUSH1 + width as u8 - 1);
        let start = self.code.len();
        self.code.resize(start + width, 0);
        for (index, label) in labels.iter().enumerate() {
            self.uses.push((start + width - 2 * (index + 1), *label));
        }
    }

    /// A jump destination.
    pub(crate) fn destination(&mut self, label: Label) {
        self.mark(label);
        self.op(JUMPDEST);
    }

    /// A position that is no jump destination.
    pub(crate) fn mark(&mut self, label: Label) {
        self.labels[label.0] = Some(self.code.len());
    }

    /// The code; a label that was never placed is position 0.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        for (at, label) in self.uses {
            let position = self.labels[label.0].unwrap_or(0) as u16;
            self.code[at..at + 2].copy_from_slice(&position.to_be_bytes());
        }
        self.code
    }
}
