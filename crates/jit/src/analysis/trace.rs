//! Builds one trace: runs the code with values instead of words.

use revm::{
    bytecode::opcode as op,
    primitives::{KECCAK_EMPTY, U256},
};

use super::{
    Analyser, exit_at,
    ir::{
        Binary, Carried, CarriedKind, Environment, Expression, Row, Section, Statement, Target, Ternary,
        Touches, Trace, Unary, Value, Write, WriteWhen,
    },
    memory::Memory,
    opcode::{Kind, exchange_operands, single_operand, stack_io},
    stack::Stack,
    values::Values,
};
use crate::{EndedStack, ExitReason};

/// Instructions of a trace at most: it goes on as another one.
const INSTRUCTIONS_MAX: usize = 500;

/// Bytes that are hashed by compiled code itself at most.
const HASHED_BYTES_MAX: u64 = 1024;

/// Registers for what stays in registers from one round of a loop to the next: all there are for values.
const CARRIED_REGISTERS: usize = 9;

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

/// The section that instructions are being added to.
#[derive(Debug, Default)]
struct OpenSection {
    /// Index of its statement.
    statement: usize,
    gas: u32,
    /// Where exits within it go back to.
    rollback: Rollback,
    /// Rows of this section, with the gas paid before them.
    rows: Vec<(Row, u32)>,
    gas_reads: Vec<(Value, u32)>,
}

/// A point whose state is in memory, or is brought there if it is needed.
#[derive(Debug, Default)]
struct Rollback {
    pc: usize,
    height: i16,
    gas_before: u32,
    row: Option<Row>,
    /// Whether memory has the state of this point. At the start of a section that is not so even if nothing is to be written:
    /// a loop that carries words adds these ([`carry`]).
    is_written: bool,
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

    // --- words -----------------------------------------------------------------------------------------------------

    fn pop(&mut self) -> Value {
        self.stack.pop(&mut self.values)
    }

    fn push_constant(&mut self, constant: U256) {
        let value = self.values.constant(constant);
        self.stack.push(value);
    }

    fn duplicate(&mut self, depth: u16) {
        let value = self.stack.peek(depth - 1, &mut self.values);
        self.stack.push(value);
    }

    fn by_immediate(&mut self, kind: Kind, opcode: u8, pc: usize) -> Flow {
        let immediate = self.analyser.contract.opcode(pc + 1);
        match (kind, single_operand(immediate), exchange_operands(immediate)) {
            (Kind::DupN, Some(depth), _) => self.duplicate(depth),
            (Kind::SwapN, Some(depth), _) => self.stack.exchange(0, depth, &mut self.values),
            (Kind::Exchange, _, Some((first, second))) => {
                self.stack.exchange(first, second, &mut self.values);
            }
            _ => {
                self.section.gas -= self.analyser.contract.rules().static_gas(opcode) as u32;
                self.pc = pc;
                return self.exit(opcode);
            }
        }
        self.pc += 1;
        Flow::On
    }

    fn unary(&mut self, operation: Unary) {
        let a = self.pop();
        let value = self.values.unary(operation, a);
        self.stack.push(value);
    }

    fn binary(&mut self, operation: Binary) {
        let (a, b) = (self.pop(), self.pop());
        let known = self.values.len();
        let value = self.values.binary(operation, a, b);
        if value.0 as usize >= known {
            self.note_decrement(value);
        }
        self.stack.push(value);
    }

    fn note_decrement(&mut self, value: Value) {
        if let Expression::Binary(Binary::Add, base, added) = self.values.expression(value)
            && self.values.as_constant(added) == Some(U256::MAX)
            && self.not_zero.contains(&base)
        {
            self.values.set_decrement(value, self.values.width(base));
        }
    }

    fn ternary(&mut self, operation: Ternary) {
        let (a, b, modulus) = (self.pop(), self.pop(), self.pop());
        let value = self.values.ternary(operation, a, b, modulus);
        self.stack.push(value);
    }

    fn environment(&mut self, environment: Environment) {
        let value = self.values.number(Expression::Environment(environment));
        self.stack.push(value);
    }

    fn gas_left(&mut self) {
        let number = self.next_number();
        let value = self.values.number(Expression::GasLeft {
            paid_ahead: 0,
            number,
        });
        self.section.gas_reads.push((value, self.section.gas));
        self.memory.read_what_growth_changes();
        self.stack.push(value);
    }

    fn exponentiate(&mut self, opcode: u8, pc: usize) -> Flow {
        let base = self.stack.peek(0, &mut self.values);
        let exponent = self.stack.peek(1, &mut self.values);
        let constant = self.values.as_constant(exponent);
        let value = match (self.values.as_constant(base), constant) {
            (Some(base), Some(exponent)) => self.values.constant(base.pow(exponent)),
            (None, Some(exponent)) if exponent == U256::from(2) => {
                self.values.binary(Binary::Mul, base, base)
            }
            (None, Some(U256::ONE)) => base,
            (None, Some(U256::ZERO)) => self.values.constant(U256::ONE),
            _ => {
                self.by_table(opcode, pc);
                return Flow::On;
            }
        };
        let gas = constant.map(|exponent| self.analyser.contract.rules().gas_params().exp_cost(exponent));
        self.section.gas += gas.unwrap_or_default() as u32;
        self.pop();
        self.pop();
        self.stack.push(value);
        Flow::On
    }

    // --- memory ----------------------------------------------------------------------------------------------------

    /// Before an instruction that changes what this section has read of memory, a new point to go back to.
    fn keep_reads_repeatable(&mut self, kind: Kind) {
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

    fn new_rollback_point(&mut self) {
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

    fn memory_size(&mut self) {
        let number = self.next_number();
        let value = self.values.number(Expression::MemorySize { number });
        self.memory.read_what_growth_changes();
        self.stack.push(value);
    }

    fn touch(&mut self, offset: Value, len: u32) {
        let address = self.values.address(offset);
        if self.memory.is_paid(address, len) {
            return;
        }
        let row = self.rollback_row();
        self.define_new_values();
        self.statements.push(Statement::Touch { offset, len, row });
        self.memory.pay(address, len);
    }

    fn load(&mut self) {
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

    fn store(&mut self) {
        let (offset, value) = (self.pop(), self.pop());
        self.touch(offset, 32);
        self.define_new_values();
        self.statements.push(Statement::Store { offset, value });
        self.note_destinations([value]);
        let address = self.values.address(offset);
        self.memory.written(address, 32, Some(value));
    }

    fn store_byte(&mut self) {
        let (offset, value) = (self.pop(), self.pop());
        self.touch(offset, 1);
        self.define_new_values();
        self.statements.push(Statement::StoreByte { offset, value });
        let address = self.values.address(offset);
        self.memory.written(address, 1, None);
    }

    fn hash(&mut self, opcode: u8, pc: usize) -> Flow {
        let offset = self.stack.peek(0, &mut self.values);
        let len = self.stack.peek(1, &mut self.values);
        let len = match self.values.as_constant(len) {
            Some(len) if len <= U256::from(HASHED_BYTES_MAX) => len.as_limbs()[0] as u32,
            _ => {
                self.by_table(opcode, pc);
                return Flow::On;
            }
        };
        let gas = self
            .analyser
            .contract
            .rules()
            .gas_params()
            .keccak256_cost(len as usize);
        self.section.gas += gas as u32;
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

    // --- control ---------------------------------------------------------------------------------------------------

    fn by_table(&mut self, opcode: u8, pc: usize) {
        let (inputs, outputs) = stack_io(opcode);
        for depth in 0..inputs {
            self.stack.peek(u16::from(depth), &mut self.values);
        }
        self.define_new_values();
        self.write_stack();
        self.is_carriable = false;
        self.statements.push(Statement::Table {
            opcode,
            pc: pc as u32,
            height: self.stack.height(),
            touches: touches(opcode),
        });
        self.close_section();
        self.stack.replaced_by_table(inputs, outputs, &mut self.values);
        if writes_memory(opcode) {
            self.memory.forget_words();
        }
        self.define_new_values();
        self.open_section();
    }

    fn jump(&mut self, pc: usize) -> Flow {
        let target = self.stack.peek(0, &mut self.values);
        let Some(constant) = self.values.as_constant(target) else {
            return self.jump_dynamically(pc, target);
        };
        let Some(destination) = self.analyser.contract.destination(constant) else {
            return self.fail_jump(op::JUMP, pc);
        };
        self.pop();
        self.jump_to(destination)
    }

    fn jump_to(&mut self, destination: usize) -> Flow {
        self.pc = destination;
        let comes_round = destination == self.start || self.visited.contains(&destination);
        if comes_round || self.instructions >= INSTRUCTIONS_MAX || !self.analyser.runs_on_into(destination) {
            return self.end_by_jump_to(destination);
        }
        Flow::On
    }

    fn jump_dynamically(&mut self, pc: usize, target: Value) -> Flow {
        self.note_computed_target(target);
        self.define_new_values();
        self.write_stack();
        let gas = self.analyser.contract.rules().static_gas(op::JUMP) as u32;
        let row = self
            .analyser
            .row(exit_at(pc, self.stack.height(), ExitReason::Jump));
        self.analyser.refund(row, gas);
        self.pop();
        self.close_section();
        self.statements.push(Statement::Jump(Target::Dynamic {
            pc: target,
            height: self.stack.height(),
            row,
        }));
        Flow::Ended
    }

    /// A jump to a place that is no destination: the interpreter fails it.
    fn fail_jump(&mut self, opcode: u8, pc: usize) -> Flow {
        self.section.gas -= self.analyser.contract.rules().static_gas(opcode) as u32;
        self.pc = pc;
        // The operands, of which a jump has two at most.
        self.leave_here(ExitReason::Jump, self.stack.height() - 2)
    }

    fn jump_if(&mut self, pc: usize) -> Flow {
        let target = self.stack.peek(0, &mut self.values);
        let condition = self.stack.peek(1, &mut self.values);
        let destination = self
            .values
            .as_constant(target)
            .map(|target| self.analyser.contract.destination(target));
        match (self.values.as_constant(condition), destination) {
            (Some(U256::ZERO), _) => {
                self.pop();
                self.pop();
                return Flow::On;
            }
            (Some(_), Some(Some(destination))) => {
                self.pop();
                self.pop();
                return self.jump_to(destination);
            }
            (Some(_), Some(None)) => return self.fail_jump(op::JUMPI, pc),
            _ => {}
        }
        let target = match destination {
            Some(Some(destination)) => self.branch_target(destination),
            Some(None) => self.branch_failing(pc),
            None => self.branch_dynamically(pc, target),
        };
        let writes = self.branch_writes(&target);
        self.pop();
        self.pop();
        let condition = self.truth(condition);
        self.define_new_values();
        self.close_section();
        self.statements.push(Statement::BranchIf {
            condition,
            writes,
            target,
        });
        if let Expression::Unary(Unary::IsZero, shown) = self.values.expression(condition) {
            self.not_zero.push(shown);
        }
        self.open_section();
        Flow::On
    }

    fn branch_target(&mut self, destination: usize) -> Target {
        Target::Trace {
            id: self.analyser.entry(destination),
            height: self.stack.height() - 2,
        }
    }

    fn branch_failing(&mut self, pc: usize) -> Target {
        Target::Exit(self.jumpi_row(pc))
    }

    fn branch_dynamically(&mut self, pc: usize, target: Value) -> Target {
        self.note_computed_target(target);
        Target::Dynamic {
            pc: target,
            height: self.stack.height() - 2,
            row: self.jumpi_row(pc),
        }
    }

    /// The row of a JUMPI that has been paid for and is to be failed by the interpreter.
    fn jumpi_row(&mut self, pc: usize) -> Row {
        let gas = self.analyser.contract.rules().static_gas(op::JUMPI) as u32;
        let row = self
            .analyser
            .row(exit_at(pc, self.stack.height(), ExitReason::Jump));
        self.analyser.refund(row, gas);
        row
    }

    /// What a branch writes: everything below where it arrives, and its operands if the interpreter may see them.
    fn branch_writes(&mut self, target: &Target) -> Vec<Write> {
        let height = match *target {
            Target::Trace { height, .. } => height,
            Target::Dynamic { .. } | Target::Exit(_) => self.stack.height(),
        };
        let writes = self.stack.stale(height);
        self.note_destinations(writes.iter().map(|write| write.value));
        writes
    }

    /// A value that is zero when `condition` is, and simpler.
    fn truth(&self, condition: Value) -> Value {
        match self.values.expression(condition) {
            Expression::Unary(Unary::IsZero, inner) => match self.values.expression(inner) {
                Expression::Unary(Unary::IsZero, word) => self.truth(word),
                _ => condition,
            },
            _ => condition,
        }
    }

    fn end_by_jump_to(&mut self, destination: usize) -> Flow {
        self.define_new_values();
        if destination >= self.analyser.contract.len() {
            self.pc = destination;
            return self.exit(op::STOP);
        }
        if destination == self.start && self.stack.height() == 0 {
            return self.repeat();
        }
        self.write_stack();
        self.close_section();
        let target = Target::Trace {
            id: self.analyser.entry(destination),
            height: self.stack.height(),
        };
        self.statements.push(Statement::Jump(target));
        Flow::Ended
    }

    fn repeat(&mut self) -> Flow {
        let mut writes = self.stack.stale(0);
        self.note_destinations(writes.iter().map(|write| write.value));
        if self.is_carriable {
            let carried = self.carried_words();
            writes.retain(|write| {
                !carried
                    .iter()
                    .any(|carried| carried.kind == CarriedKind::Word && carried.position == write.position)
            });
            carry(&carried, &mut self.statements);
            self.carried = carried;
        }
        self.define_new_values();
        self.close_section();
        self.statements.push(Statement::Repeat { writes });
        Flow::Ended
    }

    /// The words that stay in registers from round to round: of those that change, as many as there is room for. Counters
    /// come last: a round seldom waits for them.
    fn carried_words(&mut self) -> Vec<Carried> {
        let mut carried = Vec::new();
        for (position, after) in self.stack.changed() {
            let before = self.values.number(Expression::Slot { position, version: 0 });
            if before != after {
                carried.push(Carried {
                    kind: self.carried_kind(before, after),
                    position,
                    before,
                    after,
                });
            }
        }
        carried.sort_by_key(|carried| carried.kind == CarriedKind::Counter);
        let mut room = CARRIED_REGISTERS;
        carried.retain(|carried| {
            let registers = match carried.kind {
                CarriedKind::Word => 4,
                CarriedKind::Counter => 1,
            };
            let fits = registers <= room;
            room -= if fits { registers } else { 0 };
            fits
        });
        carried
    }

    fn carried_kind(&self, before: Value, after: Value) -> CarriedKind {
        let address = self.values.address(after);
        let is_counter = address.base == Some(before)
            && (address.displacement.bit_len() < 32 || self.values.is_decrement(after));
        if is_counter {
            CarriedKind::Counter
        } else {
            CarriedKind::Word
        }
    }

    /// Hands over to the interpreter before the instruction at `pc`, which ends the frame. Nobody sees the words below its
    /// operands any more: they are not written.
    fn exit(&mut self, opcode: u8) -> Flow {
        let (inputs, _) = stack_io(opcode);
        for depth in 0..inputs {
            self.stack.peek(u16::from(depth), &mut self.values);
        }
        let operands = self.stack.height() - i16::from(inputs);
        self.leave_here(ExitReason::Instruction, operands)
    }

    /// Leaves for good at `pc`, with the words from `lowest` on in memory.
    fn leave_here(&mut self, reason: ExitReason, lowest: i16) -> Flow {
        self.define_new_values();
        match self.analyser.ended_stack {
            EndedStack::Dropped => self.write_stack_from(lowest),
            EndedStack::Written => self.write_stack(),
        }
        let row = self.analyser.row(exit_at(self.pc, self.stack.height(), reason));
        self.close_section();
        self.statements.push(Statement::Jump(Target::Exit(row)));
        Flow::Ended
    }

    // --- sections --------------------------------------------------------------------------------------------------

    fn open_section(&mut self) {
        let height = self.stack.height();
        let row = self.analyser.row(exit_at(self.pc, height, ExitReason::Gas));
        let writes = self.stack.stale(height);
        self.section = OpenSection {
            statement: self.statements.len(),
            gas: 0,
            rollback: Rollback {
                pc: self.pc,
                height,
                gas_before: 0,
                row: None,
                is_written: false,
            },
            rows: Vec::new(),
            gas_reads: Vec::new(),
        };
        self.memory.forget_reads();
        self.statements.push(Statement::Section(Section {
            gas: 0,
            row,
            writes,
            when: WriteWhen::OnExit,
        }));
    }

    /// The section's gas is known now.
    fn close_section(&mut self) {
        let section = std::mem::take(&mut self.section);
        if let Statement::Section(open) = &mut self.statements[section.statement] {
            open.gas = section.gas;
            self.analyser.refund(open.row, section.gas);
        }
        for (row, gas_before) in section.rows {
            self.analyser.refund(row, section.gas - gas_before);
        }
        for (value, gas_before) in section.gas_reads {
            if let Expression::GasLeft { paid_ahead, .. } = self.values.expression_mut(value) {
                *paid_ahead = section.gas - gas_before;
            }
        }
    }

    /// The row that exits within the section go back to now.
    fn rollback_row(&mut self) -> Row {
        if !self.section.rollback.is_written {
            self.section.rollback.is_written = true;
            if let Statement::Section(section) = &mut self.statements[self.section.statement] {
                section.when = WriteWhen::Always;
                self.stack.written(&section.writes);
            }
        }
        let rollback = &mut self.section.rollback;
        if let Some(row) = rollback.row {
            return row;
        }
        let row = self
            .analyser
            .row(exit_at(rollback.pc, rollback.height, ExitReason::Memory));
        rollback.row = Some(row);
        self.section.rows.push((row, rollback.gas_before));
        row
    }

    fn write_stack(&mut self) {
        self.write_stack_from(i16::MIN);
    }

    /// Brings the words from a position on up to date in memory.
    fn write_stack_from(&mut self, lowest: i16) {
        let mut writes = self.stack.stale(self.stack.height());
        writes.retain(|write| write.position >= lowest);
        self.note_destinations(writes.iter().map(|write| write.value));
        self.stack.written(&writes);
        self.statements.extend(writes.into_iter().map(Statement::Write));
    }

    // --- bookkeeping -----------------------------------------------------------------------------------------------

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

/// What an instruction of the table may do besides taking and giving words and gas.
const fn touches(opcode: u8) -> Touches {
    match opcode {
        op::SLOAD
        | op::SSTORE
        | op::TLOAD
        | op::TSTORE
        | op::BALANCE
        | op::SELFBALANCE
        | op::EXTCODESIZE
        | op::EXTCODEHASH
        | op::BLOCKHASH
        | op::BLOBHASH
        | op::EXP => Touches::Nothing,
        _ => Touches::Memory,
    }
}

/// Whether an instruction of the table writes to EVM memory.
const fn writes_memory(opcode: u8) -> bool {
    matches!(
        opcode,
        op::CALLDATACOPY | op::CODECOPY | op::EXTCODECOPY | op::RETURNDATACOPY | op::MCOPY | op::CREATE
            ..=op::STATICCALL
    )
}

/// Memory does not have the carried words as long as nothing has written them: every way out writes those, too.
fn carry(carried: &[Carried], statements: &mut [Statement]) {
    let mut stale: Vec<Write> = carried
        .iter()
        .map(|carried| Write {
            position: carried.position,
            value: carried.before,
        })
        .collect();
    let add = |writes: &mut Vec<Write>, stale: &[Write]| {
        for write in stale {
            if writes.iter().all(|other| other.position != write.position) {
                writes.push(*write);
            }
        }
    };
    for statement in statements {
        match statement {
            Statement::Section(section) => {
                add(&mut section.writes, &stale);
                if section.when == WriteWhen::Always {
                    stale.clear();
                }
            }
            Statement::BranchIf { writes, .. } => add(writes, &stale),
            _ => {}
        }
    }
}
