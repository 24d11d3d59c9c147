//! Builds one trace: runs the code with values instead of words.

mod branches;
mod control;
mod loops;
mod memory_access;
mod sections;
mod words;

use self::sections::OpenSection;
use super::{
    Analyser, exit_at,
    ir::{Carried, Expression, Statement, Trace, Value},
    memory::Memory,
    opcode::Kind,
    stack::Stack,
    values::Values,
};
use crate::ExitReason;
use revm::primitives::U256;

/// Instructions of a trace at most: it goes on as another one.
const INSTRUCTIONS_MAX: usize = 500;

/// A trace under construction.
pub(super) struct TraceBuilder<'a, 'c> {
    analyser: &'a mut Analyser<'c>,
    start: usize,
    pc: usize,
    values: Values,
    defined: usize,
    stack: Stack,
    memory: Memory,
    statements: Vec<Statement>,
    section: OpenSection,
    /// Program counters of this trace, to see when it comes round.
    visited: Vec<usize>,
    instructions: usize,
    numbered: u32,
    carried: Vec<Carried>,
    /// Whether words can stay in registers if the trace comes round: nothing has read the stack in memory, nor counts on
    /// it but at the starts of sections.
    is_carriable: bool,
    /// Values that a branch not taken has shown to be other than zero.
    not_zero: Vec<Value>,
}

/// Whether a trace goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    On,
    Ended,
}

impl<'a, 'c> TraceBuilder<'a, 'c> {
    pub(super) fn new(analyser: &'a mut Analyser<'c>, start: usize) -> Self {
        Self {
            analyser,
            start,
            pc: start,
            values: Values::default(),
            defined: 0,
            stack: Stack::default(),
            memory: Memory::default(),
            statements: Vec::new(),
            section: OpenSection::default(),
            visited: Vec::new(),
            instructions: 0,
            numbered: 0,
            carried: Vec::new(),
            is_carriable: true,
            not_zero: Vec::new(),
        }
    }

    pub(super) fn build(mut self) -> Trace {
        let stack_row = self.analyser.row(exit_at(self.start, 0, ExitReason::Stack));
        self.open_section();
        while self.step() == Flow::On {
            self.define_new_values();
        }
        self.define_new_values();
        Trace {
            stack_need: self.stack.lowest().unsigned_abs(),
            stack_growth: self.stack.highest().unsigned_abs(),
            stack_row,
            values: self.values.into_data(),
            statements: self.statements,
            carried: self.carried,
            instructions: self.instructions,
        }
    }

    /// One instruction.
    fn step(&mut self) -> Flow {
        let pc = self.pc;
        let opcode = self.analyser.contract.opcode(pc);
        let kind = self.analyser.contract.kind(pc);
        let comes_from_elsewhere = kind == Kind::JumpDestination && pc != self.start;
        let stops_here = self.instructions >= INSTRUCTIONS_MAX
            || (comes_from_elsewhere && !self.analyser.runs_on_into(pc));
        if stops_here && pc < self.analyser.contract.len() {
            return self.end_by_jump_to(pc);
        }
        self.analyser.cover(pc);
        self.visited.push(pc);
        self.instructions += 1;
        if kind == Kind::Exit {
            return self.exit(opcode);
        }
        self.keep_reads_repeatable(kind);
        self.section.gas += self.analyser.contract.rules().static_gas(opcode) as u32;
        self.pc += 1;
        self.execute(kind, opcode, pc)
    }

    fn execute(&mut self, kind: Kind, opcode: u8, pc: usize) -> Flow {
        match kind {
            Kind::Push(bytes) => {
                let word = self.analyser.contract.pushed(pc);
                self.push_constant(word);
                self.pc += usize::from(bytes);
            }
            Kind::Pop => {
                self.pop();
            }
            Kind::Dup(depth) => self.duplicate(u16::from(depth)),
            Kind::Swap(depth) => self.stack.exchange(0, u16::from(depth), &mut self.values),
            Kind::DupN | Kind::SwapN | Kind::Exchange => return self.by_immediate(kind, opcode, pc),
            Kind::Unary(operation) => self.unary(operation),
            Kind::Binary(operation) => self.binary(operation),
            Kind::Ternary(operation) => self.ternary(operation),
            Kind::Environment(environment) => self.environment(environment),
            Kind::CalldataLoad => {
                let offset = self.pop();
                let word = self.values.number(Expression::CalldataWord(offset));
                self.stack.push(word);
            }
            Kind::CodeSize => self.push_constant(U256::from(self.analyser.contract.len())),
            Kind::MemorySize => self.memory_size(),
            Kind::ProgramCounter => self.push_constant(U256::from(pc)),
            Kind::Gas => self.gas_left(),
            Kind::JumpDestination => {}
            Kind::Exp => return self.exponentiate(opcode, pc),
            Kind::Keccak256 => return self.hash(opcode, pc),
            Kind::MemoryLoad => self.load(),
            Kind::MemoryStore => self.store(),
            Kind::MemoryStoreByte => self.store_byte(),
            Kind::Jump => return self.jump(pc),
            Kind::JumpIf => return self.jump_if(pc),
            Kind::Table => self.by_table(opcode, pc),
            Kind::Suspend => {
                self.by_table(opcode, pc);
                return self.end_by_jump_to(self.pc);
            }
            Kind::Exit => return self.exit(opcode),
        }
        Flow::On
    }

    const fn next_number(&mut self) -> u32 {
        self.numbered += 1;
        self.numbered
    }

    fn define_new_values(&mut self) {
        for number in self.defined..self.values.len() {
            let value = Value(number as u32);
            if self.values.as_constant(value).is_none() {
                self.statements.push(Statement::Define(value));
            }
        }
        self.defined = self.values.len();
    }

    /// A constant that leaves the trace may be the target of a jump elsewhere: a return address.
    fn note_destinations(&mut self, values: impl IntoIterator<Item = Value>) {
        for value in values {
            let destination = self
                .values
                .as_constant(value)
                .and_then(|constant| self.analyser.contract.destination(constant));
            if let Some(destination) = destination {
                self.analyser.entry(destination);
            }
        }
    }

    /// The target of a jump that is computed, and not only handed down: it can be any destination.
    fn note_computed_target(&mut self, target: Value) {
        let handed_down = matches!(self.values.expression(target), Expression::Slot { .. });
        if !handed_down {
            self.analyser.all_destinations_are_entries();
        }
    }
}
