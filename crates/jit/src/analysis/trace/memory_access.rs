//! Instructions that read or write EVM memory, and points to go back to so that this can be done again.

use super::super::{
    ir::{Expression, Statement, Value},
    opcode::Kind,
};
use super::{Flow, TraceBuilder, sections::Rollback};
use revm::primitives::{KECCAK_EMPTY, U256};

/// Bytes that are hashed by compiled code itself at most.
const HASHED_BYTES_MAX: u64 = 1024;

impl TraceBuilder<'_, '_> {
    /// Before an instruction that changes what this section has read of memory, a new point to go back to.
    pub(super) fn keep_reads_repeatable(&mut self, kind: Kind) {
        let (writes, len) = match kind {
            Kind::MemoryStore => (true, 32),
            Kind::MemoryStoreByte => (true, 1),
            Kind::MemoryLoad | Kind::Keccak256 => (false, 0),
            _ => return,
        };
        let offset = self.stack.peek(0, &mut self.values);
        let address = self.values.address(offset);
        let changes_a_read = writes && self.memory.would_change_a_read(address, len);
        if changes_a_read || self.memory.growth_shows() {
            self.new_rollback_point();
        }
    }

    pub(super) fn new_rollback_point(&mut self) {
        self.define_new_values();
        self.write_stack();
        self.is_carriable = false;
        self.memory.forget_reads();
        self.section.rollback = Rollback {
            pc: self.pc,
            height: self.stack.height(),
            gas_before: self.section.gas,
            row: None,
            is_written: true,
        };
    }

    pub(super) fn memory_size(&mut self) {
        let number = self.next_number();
        let value = self.values.number(Expression::MemorySize { number });
        self.memory.read_what_growth_changes();
        self.stack.push(value);
    }

    pub(super) fn touch(&mut self, offset: Value, len: u32) {
        let address = self.values.address(offset);
        if self.memory.is_paid(address, len) {
            return;
        }
        let row = self.rollback_row();
        self.define_new_values();
        self.statements.push(Statement::Touch { offset, len, row });
        self.memory.pay(address, len);
    }

    pub(super) fn load(&mut self) {
        let offset = self.pop();
        self.touch(offset, 32);
        let address = self.values.address(offset);
        let value = match self.memory.word_at(address) {
            Some(known) => known,
            None => {
                let number = self.next_number();
                let value = self.values.number(Expression::MemoryWord { offset, number });
                self.memory.expose(address, 32);
                self.memory.read_word(address, value);
                value
            }
        };
        self.stack.push(value);
    }

    pub(super) fn store(&mut self) {
        let (offset, value) = (self.pop(), self.pop());
        self.touch(offset, 32);
        self.define_new_values();
        self.statements.push(Statement::Store { offset, value });
        self.note_destinations([value]);
        let address = self.values.address(offset);
        self.memory.written(address, 32, Some(value));
    }

    pub(super) fn store_byte(&mut self) {
        let (offset, value) = (self.pop(), self.pop());
        self.touch(offset, 1);
        self.define_new_values();
        self.statements.push(Statement::StoreByte { offset, value });
        let address = self.values.address(offset);
        self.memory.written(address, 1, None);
    }

    pub(super) fn hash(&mut self, opcode: u8, pc: usize) -> Flow {
        let offset = self.stack.peek(0, &mut self.values);
        let len = self.stack.peek(1, &mut self.values);
        let len = self
            .values
            .as_constant(len)
            .filter(|&len| len <= U256::from(HASHED_BYTES_MAX));
        let Some((len, gas)) = len.and_then(|len| {
            let len = len.as_limbs()[0] as u32;
            Some((len, self.hash_gas(len)?))
        }) else {
            self.by_table(opcode, pc);
            return Flow::On;
        };
        self.section.gas += gas;
        self.pop();
        self.pop();
        if len == 0 {
            self.push_constant(KECCAK_EMPTY.into());
            return Flow::On;
        }
        self.touch(offset, len);
        let number = self.next_number();
        let value = self.values.number(Expression::Keccak { offset, len, number });
        self.memory.expose(self.values.address(offset), len);
        self.stack.push(value);
        Flow::On
    }
}
