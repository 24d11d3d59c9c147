//! Bringing the EVM's stack in memory up to date, and other copies of whole words.

use revm::primitives::U256;

use super::{
    encoding::{Mem, RAX, Size},
    limbs::{Limb, cell, stack_word},
    trace::Emitter,
    wide::{Part256, WIDE_COUNT, Wide},
};
use crate::analysis::ir::{Value, Write};

/// The register that a word goes through on its way from memory to memory.
const THROUGH: Wide = Wide(0);

/// Where a word to be written is.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// Where its value is.
    Place,
    /// Saved in a register.
    Saved(Wide),
    /// Saved in cells.
    SavedInCells(u16),
}

impl Emitter<'_> {
    /// Makes all writes, which are simultaneous, and from then on counts on them. Values that are needed later and are
    /// overwritten are kept elsewhere.
    pub(super) fn write(&mut self, writes: &[Write]) {
        for write in writes {
            if self.is_missing(write) {
                self.places.mark(write.position);
            }
        }
        for write in writes {
            if self.places.is_marked(write.position) {
                self.keep_what_is_overwritten(write.position, writes);
            }
        }
        self.copy_all(writes);
        for write in writes {
            if self.places.is_marked(write.position) {
                self.places.forget_memory(write.position);
            }
        }
        for write in writes {
            if self.places.is_marked(write.position) {
                self.places.unmark(write.position);
                self.places.set_memory(write.position, write.value);
            }
        }
    }

    /// Makes all writes on a way out of the trace.
    pub(super) fn write_aside(&mut self, writes: &[Write]) {
        for write in writes {
            if self.is_missing(write) {
                self.places.mark(write.position);
            }
        }
        self.copy_all(writes);
        for write in writes {
            self.places.unmark(write.position);
        }
    }

    pub(super) fn is_missing(&self, write: &Write) -> bool {
        self.places.in_memory(write.position) != Some(write.value)
    }

    fn keep_what_is_overwritten(&mut self, position: i16, writes: &[Write]) {
        let Some(value) = self.places.in_memory(position) else {
            return;
        };
        let is_moved = writes
            .iter()
            .any(|write| write.value == value && self.places.is_marked(write.position));
        if !is_moved {
            self.keep_without(position);
        }
    }

    /// Sees to it that the value at a position of the stack is elsewhere, too, if it is needed.
    pub(super) fn keep_without(&mut self, position: i16) {
        let Some(value) = self.places.in_memory(position) else {
            return;
        };
        let place = *self.places.of(value);
        if place.home() != Some(position) || !place.regs().is_empty() || place.cell().is_some() {
            return;
        }
        if !self.is_live(value) {
            return;
        }
        match self.places.other_home(value) {
            Some(other) => self.places.move_home(value, other),
            None => self.evacuate(value),
        }
    }

    /// Copies the words of marked positions. Overwrites rax and vector registers.
    fn copy_all(&mut self, writes: &[Write]) {
        let mut sources = Vec::new();
        let mut saved = 0;
        for write in writes {
            if !self.places.is_marked(write.position) {
                continue;
            }
            let source = if self.is_overwritten(write.value) {
                saved += 1;
                self.save_word(write.value, saved)
            } else {
                Source::Place
            };
            sources.push((*write, source));
        }
        for (write, source) in sources {
            let to = stack_word(write.position);
            match source {
                Source::Place => self.copy_word(to, write.value),
                Source::Saved(wide) => self.asm.store_wide(self.features, to, wide),
                Source::SavedInCells(first) => {
                    self.copy_memory(to, cell(first), Part256::All);
                    self.places.give_cells(first, 4);
                }
            }
        }
    }

    fn is_overwritten(&self, value: Value) -> bool {
        let place = self.places.of(value);
        place.regs().is_empty() && place.home().is_some_and(|home| self.places.is_marked(home))
    }

    fn save_word(&mut self, value: Value, number: u8) -> Source {
        let from = self.places.of(value).home().map_or(cell(0), stack_word);
        if number < WIDE_COUNT {
            self.asm
                .load_wide(self.features, Wide(number), from, Part256::All);
            return Source::Saved(Wide(number));
        }
        let first = self.places.take_cells(4);
        self.copy_memory(cell(first), from, Part256::All);
        Source::SavedInCells(first)
    }

    /// Writes a value as a word to memory. Overwrites rax and a vector register.
    pub(super) fn copy_word(&mut self, to: Mem, value: Value) {
        if let Some(constant) = self.constant(value) {
            return self.copy_constant(to, constant);
        }
        let limbs = self.limbs(value);
        if limbs == 0 {
            return self.copy_constant(to, U256::ZERO);
        }
        let place = *self.places.of(value);
        match (place.regs(), place.home(), place.cell()) {
            ([reg], ..) => {
                self.asm.extend_wide(self.features, THROUGH, *reg, Size::Bits64);
                self.asm.store_wide(self.features, to, THROUGH);
            }
            ([], Some(home), _) => self.copy_memory(to, stack_word(home), Part256::All),
            ([], None, Some(first)) if limbs != 3 => {
                let part = match limbs {
                    1 => Part256::One,
                    2 => Part256::Two,
                    _ => Part256::All,
                };
                self.copy_memory(to, cell(first), part);
            }
            _ => self.copy_limbs(to, value),
        }
    }

    fn copy_limbs(&mut self, to: Mem, value: Value) {
        for index in 0..4 {
            let limb = self.limb(value, index);
            self.store_limb(to.plus(8 * index as i32), limb);
        }
    }

    pub(super) fn copy_constant(&mut self, to: Mem, constant: U256) {
        if constant.is_zero() {
            self.asm.zero_wide(self.features, THROUGH);
        } else if let Ok(low) = u64::try_from(constant) {
            let size = if low >> 32 == 0 {
                Size::Bits32
            } else {
                Size::Bits64
            };
            self.load(RAX, Limb::Constant(low));
            self.asm.extend_wide(self.features, THROUGH, RAX, size);
        } else {
            let from = self.pooled(constant);
            self.asm.load_wide(self.features, THROUGH, from, Part256::All);
        }
        self.asm.store_wide(self.features, to, THROUGH);
    }

    fn copy_memory(&mut self, to: Mem, from: Mem, part: Part256) {
        self.asm.load_wide(self.features, THROUGH, from, part);
        self.asm.store_wide(self.features, to, THROUGH);
    }

    /// Copies a value that is only on the EVM's stack to cells. Leaves the registers as they are.
    pub(super) fn copy_home_to_cells(&mut self, value: Value, first: u16) {
        let Some(home) = self.places.of(value).home() else {
            return debug_assert!(false, "{value:?} has no home");
        };
        let part = match self.limbs(value) {
            1 => Part256::One,
            _ => Part256::All,
        };
        let from = stack_word(home);
        if part == Part256::All {
            return self.copy_memory(cell(first), from, part);
        }
        self.asm.mov(RAX, from);
        self.asm.store(cell(first), RAX);
    }
}
