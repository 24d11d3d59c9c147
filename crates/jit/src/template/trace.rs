//! One trace: its statements in order, and where its values are meanwhile.

use super::{
    assembler::{Assembler, Label},
    encoding::Reg,
    limbs::{ConstantPool, cell},
    places::Places,
    routines::Routines,
    uses::{Uses, operands},
    wide::Features,
};
use crate::{
    ForcedExitPoints,
    analysis::ir::{Binary, Expression, Program, Statement, Trace, Unary, Value, Write},
};

/// Code generation in progress.
pub(super) struct Emitter<'a> {
    pub(super) asm: Assembler,
    pub(super) features: Features,
    pub(super) forced_exits: ForcedExitPoints,
    /// Bytes of bytecode.
    pub(super) code_len: usize,
    pub(super) traces: &'a [Label],
    /// The traces' starts behind the check of the stack.
    pub(super) checked: &'a [Label],
    pub(super) program: &'a Program,
    /// The code that leaves at each row, for those that have some.
    pub(super) exits: Vec<Option<Label>>,
    pub(super) routines: Routines,
    pub(super) pool: ConstantPool,
    pub(super) trace: &'a Trace,
    /// Index of the statement at work: values without a use behind it can be given up.
    pub(super) at: u32,
    pub(super) uses: Uses,
    pub(super) places: Places,
    /// Bounds of the values, as [`crate::analysis::ir::ValueData::width`], with what is known at this point.
    pub(super) widths: Vec<u16>,
    /// Registers of what a loop carries, as each round begins.
    pub(super) carried: Vec<Vec<Reg>>,
    /// While the rounds of a loop are made that count in single registers: where the others start.
    pub(super) counting: Option<Label>,
    /// Room for lists of writes.
    pub(super) pending: Vec<Write>,
}

impl<'a> Emitter<'a> {
    pub(super) fn trace(&mut self, number: usize, trace: &'a Trace) {
        self.trace = trace;
        self.asm.bind(self.traces[number]);
        self.check_stack();
        self.asm.bind(self.checked[number]);
        if self.has_counters() {
            let otherwise = self.asm.new_label();
            self.check_counters(otherwise);
            self.counting = Some(otherwise);
            self.statements(number);
            self.counting = None;
            self.asm.bind(otherwise);
        }
        self.statements(number);
    }

    /// All statements of the trace.
    fn statements(&mut self, number: usize) {
        let trace = self.trace;
        self.at = 0;
        self.uses.find(trace);
        let need = trace.stack_need.cast_signed();
        let words = usize::from(trace.stack_need + trace.stack_growth);
        self.places.reset(trace.values.len(), -need, words);
        self.widths.clear();
        self.widths.extend(trace.values.iter().map(|value| value.width));
        let start = self.begin_rounds();
        let statements = &trace.statements;
        let mut index = 0;
        while let Some(statement) = statements.get(index) {
            if matches!(statement, Statement::Write(_)) {
                index = self.writes_in_a_row(index);
            } else {
                self.at = index as u32;
                self.statement(statement, number, start);
                index += 1;
            }
        }
    }

    fn statement(&mut self, statement: &Statement, number: usize, start: Label) {
        match statement {
            Statement::Section(section) => self.section(section),
            Statement::Define(value) => self.define(*value),
            Statement::Write(write) => self.write(&[*write]),
            Statement::Touch { offset, len, row } => self.touch(*offset, *len, *row),
            Statement::Store { offset, value } => self.store(*offset, *value),
            Statement::StoreByte { offset, value } => self.store_byte(*offset, *value),
            Statement::Table {
                opcode,
                pc,
                height,
                touches,
            } => self.table(*opcode, *pc, *height, *touches),
            Statement::BranchIf {
                condition,
                writes,
                target,
            } => self.branch_if(*condition, writes, target),
            Statement::Jump(target) => self.jump(target, number),
            Statement::Repeat { writes } => self.repeat(writes, start),
        }
    }

    /// Successive writes, as long as each is above the one before, are made as one list. Returns the index behind them.
    fn writes_in_a_row(&mut self, start: usize) -> usize {
        let mut list = std::mem::take(&mut self.pending);
        list.clear();
        for statement in &self.trace.statements[start..] {
            match (statement, list.last()) {
                (Statement::Write(write), Some(Write { position, .. })) if write.position <= *position => {
                    break;
                }
                (Statement::Write(write), _) => list.push(*write),
                _ => break,
            }
        }
        let end = start + list.len();
        self.at = end as u32 - 1;
        self.write(&list);
        for write in &list {
            self.release_if_dead(write.value);
        }
        self.pending = list;
        end
    }

    fn define(&mut self, value: Value) {
        if !self.uses.is_needed(value) || self.uses.is_deferred(value) {
            return;
        }
        self.refine_width(value);
        let expression = self.trace.values[value.0 as usize].expression;
        match expression {
            Expression::Constant(_) => {}
            Expression::Slot { .. } if self.is_carried(value) => {}
            Expression::Slot { position, .. } => {
                self.places.forget_memory(position);
                self.places.set_memory(position, value);
            }
            Expression::Unary(Unary::IsZero, _) => self.define_condition(value),
            Expression::Unary(Unary::Not, a) => self.not(value, a),
            Expression::Unary(Unary::CountLeadingZeros, a) => self.count_leading_zeros(value, a),
            Expression::Binary(operation, a, b) => self.binary(value, operation, a, b),
            Expression::Ternary(operation, a, b, c) => self.ternary(value, operation, [a, b, c]),
            Expression::MemoryWord { offset, .. } => self.memory_word(value, offset),
            Expression::Keccak { offset, len, .. } => self.keccak(value, offset, len),
            Expression::CalldataWord(offset) => self.calldata_word(value, offset),
            Expression::Environment(environment) => self.environment(value, environment),
            Expression::MemorySize { .. } => self.memory_size(value),
            Expression::GasLeft { paid_ahead, .. } => self.gas_left(value, paid_ahead),
        }
        for operand in operands(&expression).into_iter().flatten() {
            self.release_if_dead(operand);
        }
    }

    // --- what is known of values -----------------------------------------------------------------------------------

    pub(super) fn width(&self, value: Value) -> u16 {
        self.widths[value.0 as usize]
    }

    /// Limbs of the value that can be other than zero.
    pub(super) fn limbs(&self, value: Value) -> usize {
        usize::from(self.width(value).div_ceil(64))
    }

    /// The value turned out to be below `1 << width`.
    pub(super) fn narrow(&mut self, value: Value, width: u16) {
        if self.width(value) > width {
            self.widths[value.0 as usize] = width;
            self.places.narrow(value, usize::from(width.div_ceil(64)));
        }
    }

    /// Operands may be known to be narrower than they were when the trace was built.
    fn refine_width(&mut self, value: Value) {
        let Expression::Binary(operation, a, b) = self.trace.values[value.0 as usize].expression else {
            return;
        };
        let (left, right) = (self.width(a), self.width(b));
        let width = match operation {
            Binary::Add if self.trace.values[value.0 as usize].is_decrement => left,
            Binary::Add => left.max(right) + 1,
            Binary::Mul => left + right,
            Binary::And | Binary::Mod => left.min(right),
            Binary::Or | Binary::Xor => left.max(right),
            Binary::Div => left,
            Binary::Shr => right,
            _ => return,
        };
        let known = &mut self.widths[value.0 as usize];
        *known = width.min(*known);
    }

    pub(super) fn is_live(&mut self, value: Value) -> bool {
        self.uses.next_after(value, self.at).is_some()
    }

    pub(super) fn release_if_dead(&mut self, value: Value) {
        if self.uses.next_after(value, self.at).is_none() {
            self.places.release(value);
        }
    }

    // --- registers -------------------------------------------------------------------------------------------------

    /// Gives `value` registers for all its limbs. Those of `reuse` are taken first if it ends here; then they still have
    /// its limbs. `operands` are kept in registers if that is possible.
    pub(super) fn destination(
        &mut self,
        value: Value,
        reuse: Option<Value>,
        operands: &[Value],
    ) -> Registers {
        let count = self.limbs(value);
        let reuse = reuse.filter(|&operand| !self.is_live(operand));
        let reused = reuse.map_or(0, |operand| self.places.of(operand).regs().len().min(count));
        self.make_room(count - reused, operands);
        if let Some(operand) = reuse {
            self.places.hand_over(operand, value, reused);
        }
        for _ in reused..count {
            self.places.add_register(value);
        }
        let mut registers = Registers::default();
        registers.regs[..count].copy_from_slice(self.places.of(value).regs());
        registers.count = count;
        registers
    }

    fn make_room(&mut self, count: usize, operands: &[Value]) {
        while self.places.free_registers() < count {
            let victim = self.furthest(operands);
            let victim = victim.or_else(|| operands.iter().rev().copied().find(|&v| self.is_in_registers(v)));
            match victim {
                Some(victim) => self.evict(victim),
                None => return debug_assert!(false, "every register has an owner that can be evicted"),
            }
        }
    }

    fn is_in_registers(&self, value: Value) -> bool {
        !self.places.of(value).regs().is_empty()
    }

    /// The value in registers that is not needed for longest.
    fn furthest(&mut self, but: &[Value]) -> Option<Value> {
        let mut furthest = None;
        for value in self.places.in_registers() {
            if but.contains(&value) {
                continue;
            }
            let next = self.uses.next_after(value, self.at).unwrap_or(u32::MAX);
            if furthest.is_none_or(|(_, at)| next > at) {
                furthest = Some((value, next));
            }
        }
        furthest.map(|(value, _)| value)
    }

    fn evict(&mut self, value: Value) {
        let place = *self.places.of(value);
        if place.home().is_none() && place.cell().is_none() {
            let limbs = place.regs().len();
            let first = self.places.add_cells(value, limbs);
            for (index, &reg) in place.regs().iter().enumerate() {
                self.asm.store(cell(first).plus(8 * index as i32), reg);
            }
        }
        self.places.leave_registers(value);
    }

    /// Keeps a value whose only place, a word of the EVM's stack, is about to be overwritten.
    pub(super) fn evacuate(&mut self, value: Value) {
        let limbs = self.limbs(value);
        if self.places.free_registers() >= limbs {
            for index in 0..limbs {
                let from = self.limb(value, index);
                let reg = self.places.add_register(value);
                self.load(reg, from);
            }
        } else {
            let first = self.places.add_cells(value, limbs);
            self.copy_home_to_cells(value, first);
        }
    }
}

/// Where a result goes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Registers {
    regs: [Reg; 4],
    count: usize,
}

impl std::ops::Deref for Registers {
    type Target = [Reg];

    fn deref(&self) -> &[Reg] {
        &self.regs[..self.count]
    }
}
