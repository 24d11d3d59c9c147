//! Where the values of a trace are: in registers, in cells of the native stack, in words of the EVM's stack.

use super::encoding::{R8, R9, R10, R11, R12, R13, R14, RDI, RSI, Reg};
use crate::analysis::ir::Value;

/// Registers that values can be in. The others are fixed ([`super::routines`]) or scratch: rax, rcx, rdx.
const REGISTERS: [Reg; 9] = [RSI, RDI, R8, R9, R10, R11, R12, R13, R14];

/// Those of them that a call of Rust overwrites.
pub(super) const OVERWRITTEN_BY_CALLS: [Reg; 6] = [RSI, RDI, R8, R9, R10, R11];

const NONE: u32 = u32::MAX;
const NO_CELL: u16 = u16::MAX;

/// Cells of 8 bytes on the native stack at most; a trace that needs more is refused.
pub(super) const CELLS_MAX: u16 = 1024;

/// The places of one value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    regs: [Reg; 4],
    count: u8,
    cell: u16,
    /// How many cells it has, from `cell` on.
    cells: u8,
    home: Option<i16>,
}

const NOWHERE: Place = Place {
    regs: [Reg(0); 4],
    count: 0,
    cell: NO_CELL,
    cells: 0,
    home: None,
};

impl Place {
    /// The registers of its limbs, from the lowest; empty if it is not in registers.
    pub(super) fn regs(&self) -> &[Reg] {
        &self.regs[..usize::from(self.count)]
    }

    /// The first cell of its limbs.
    pub(super) const fn cell(&self) -> Option<u16> {
        if self.cell == NO_CELL {
            None
        } else {
            Some(self.cell)
        }
    }

    /// The position of a word of the EVM's stack that has it.
    pub(super) const fn home(&self) -> Option<i16> {
        self.home
    }
}

/// The places of all values, and who has each place.
#[derive(Debug, Default)]
pub(super) struct Places {
    places: Vec<Place>,
    free: u16,
    owners: [u32; 16],
    /// By position from `lowest` on: what the EVM's stack in memory has there.
    memory: Vec<u32>,
    /// As `memory`: positions about to be overwritten.
    marks: Vec<bool>,
    lowest: i16,
    free_single: Vec<u16>,
    free_words: Vec<u16>,
    cells: u16,
    /// Most cells in use at once by any trace so far.
    cells_high: u16,
}

impl Places {
    pub(super) fn reset(&mut self, values: usize, lowest: i16, words: usize) {
        self.places.clear();
        self.places.resize(values, NOWHERE);
        self.free = REGISTERS.iter().map(|reg| 1 << reg.0).sum();
        self.owners = [NONE; 16];
        self.memory.clear();
        self.memory.resize(words, NONE);
        self.marks.clear();
        self.marks.resize(words, false);
        self.lowest = lowest;
        self.free_single.clear();
        self.free_words.clear();
        self.cells = 0;
    }

    pub(super) const fn cells_high(&self) -> u16 {
        self.cells_high
    }

    pub(super) fn of(&self, value: Value) -> &Place {
        &self.places[value.0 as usize]
    }

    // --- registers -------------------------------------------------------------------------------------------------

    pub(super) const fn free_registers(&self) -> usize {
        self.free.count_ones() as usize
    }

    /// Gives a free register to a value as its next limb.
    pub(super) fn add_register(&mut self, value: Value) -> Reg {
        debug_assert_ne!(self.free, 0, "room was made before");
        let reg = Reg(self.free.trailing_zeros() as u8);
        self.free &= self.free - 1;
        self.append(value, reg);
        reg
    }

    fn append(&mut self, value: Value, reg: Reg) {
        self.owners[usize::from(reg.0)] = value.0;
        let place = &mut self.places[value.0 as usize];
        place.regs[usize::from(place.count)] = reg;
        place.count += 1;
    }

    /// Gives the lowest registers of a value that ends here to another, which is computed from it in place.
    pub(super) fn hand_over(&mut self, from: Value, to: Value, count: usize) {
        let regs = self.of(from).regs;
        for &reg in &regs[..count] {
            self.append(to, reg);
        }
    }

    /// The values in registers, each at least once.
    pub(super) fn in_registers(&self) -> impl Iterator<Item = Value> + use<> {
        let owners = self.owners;
        owners.into_iter().filter(|&owner| owner != NONE).map(Value)
    }

    pub(super) fn is_in_use(&self, reg: Reg) -> bool {
        self.owners[usize::from(reg.0)] != NONE
    }

    /// Only the lowest `count` limbs of the value are not zero.
    pub(super) fn narrow(&mut self, value: Value, count: usize) {
        let place = self.places[value.0 as usize];
        for &reg in place.regs().iter().skip(count) {
            self.free_register(value, reg);
        }
        self.places[value.0 as usize].count = place.count.min(count as u8);
    }

    pub(super) fn leave_registers(&mut self, value: Value) {
        self.narrow(value, 0);
    }

    fn free_register(&mut self, value: Value, reg: Reg) {
        let owner = &mut self.owners[usize::from(reg.0)];
        if *owner == value.0 {
            *owner = NONE;
            self.free |= 1 << reg.0;
        }
    }

    // --- native stack ----------------------------------------------------------------------------------------------

    /// Cells for so many limbs: one, or a whole word's.
    pub(super) fn take_cells(&mut self, limbs: usize) -> u16 {
        let (free, cells) = if limbs <= 1 {
            (&mut self.free_single, 1)
        } else {
            (&mut self.free_words, 4)
        };
        if let Some(cell) = free.pop() {
            return cell;
        }
        let cell = self.cells;
        self.cells += cells;
        self.cells_high = self.cells_high.max(self.cells);
        cell
    }

    pub(super) fn give_cells(&mut self, cell: u16, limbs: usize) {
        if limbs <= 1 {
            self.free_single.push(cell);
        } else {
            self.free_words.push(cell);
        }
    }

    /// Gives a value cells for so many limbs.
    pub(super) fn add_cells(&mut self, value: Value, limbs: usize) -> u16 {
        let cell = self.take_cells(limbs);
        let place = &mut self.places[value.0 as usize];
        place.cell = cell;
        place.cells = limbs as u8;
        cell
    }

    /// The value ends here: its places are free again.
    pub(super) fn release(&mut self, value: Value) {
        self.leave_registers(value);
        let place = &mut self.places[value.0 as usize];
        if let Some(cell) = place.cell() {
            place.cell = NO_CELL;
            let limbs = usize::from(place.cells);
            self.give_cells(cell, limbs);
        }
    }

    // --- the EVM's stack -------------------------------------------------------------------------------------------

    fn index(&self, position: i16) -> usize {
        (position - self.lowest) as usize
    }

    /// What memory has at a position of the stack.
    pub(super) fn in_memory(&self, position: i16) -> Option<Value> {
        match self.memory.get(self.index(position)) {
            None | Some(&NONE) => None,
            Some(&value) => Some(Value(value)),
        }
    }

    /// Positions from `position` to the highest that the trace uses.
    pub(super) fn positions_from(&self, position: i16) -> std::ops::Range<i16> {
        position..self.lowest + self.memory.len() as i16
    }

    /// Memory has the value there now.
    pub(super) fn set_memory(&mut self, position: i16, value: Value) {
        let index = self.index(position);
        if let Some(word) = self.memory.get_mut(index) {
            *word = value.0;
        }
        let place = &mut self.places[value.0 as usize];
        if place.home.is_none() {
            place.home = Some(position);
        }
    }

    /// Memory has something else there now.
    pub(super) fn forget_memory(&mut self, position: i16) {
        if let Some(value) = self.in_memory(position) {
            let index = self.index(position);
            self.memory[index] = NONE;
            let place = &mut self.places[value.0 as usize];
            if place.home == Some(position) {
                place.home = None;
            }
        }
    }

    /// Another position than its home that memory has the value at, and that is not marked.
    pub(super) fn other_home(&self, value: Value) -> Option<i16> {
        let home = self.of(value).home?;
        self.positions_from(self.lowest).find(|&position| {
            position != home && self.in_memory(position) == Some(value) && !self.is_marked(position)
        })
    }

    /// Says that a position is about to be overwritten.
    pub(super) fn mark(&mut self, position: i16) {
        let index = self.index(position);
        if let Some(mark) = self.marks.get_mut(index) {
            *mark = true;
        }
    }

    pub(super) fn unmark(&mut self, position: i16) {
        let index = self.index(position);
        if let Some(mark) = self.marks.get_mut(index) {
            *mark = false;
        }
    }

    pub(super) fn is_marked(&self, position: i16) -> bool {
        self.marks.get(self.index(position)) == Some(&true)
    }

    /// The value's home from now on is this position, which has it.
    pub(super) fn move_home(&mut self, value: Value, position: i16) {
        debug_assert_eq!(self.in_memory(position), Some(value));
        self.places[value.0 as usize].home = Some(position);
    }
}
