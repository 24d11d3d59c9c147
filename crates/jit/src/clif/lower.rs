//! One trace in Cranelift's form.

use cranelift_codegen::ir::{
    Block, BlockArg, InstBuilder, StackSlot, StackSlotData, StackSlotKind, Value as Clif,
    condcodes::IntCC,
    types::{I8, I64},
};
use cranelift_frontend::FunctionBuilder;
use revm::{
    interpreter::InputsImpl,
    primitives::{HashMap, U256},
};

use super::{
    function::{FunctionParts, block_with, entry_at, field, trusted},
    word::{Remainder, Word, Words, limbs},
};
use crate::{
    CompileOptions, ForcedExitPoints,
    analysis::{
        Analysis,
        ir::{
            Binary, Environment, Expression, Row, Section, Statement, Target, Ternary, Trace, Unary, Value,
            ValueData, Write, WriteWhen,
        },
    },
    arithmetic::{self, Hash, Operation, ReadCalldata},
};

/// Words of a loop that are kept in registers at most; there are fifteen registers, and a word takes up to four.
const CARRIED_MAX: usize = 6;

/// Bytes of memory that no gas pays for: offsets from here on leave to the interpreter, which says how they fail.
const MEMORY_BITS: u32 = 40;

/// Bytes of a word on the stack.
const WORD_BYTES: i32 = 32;

/// A trace on its way to Cranelift.
pub(super) struct TraceLowering<'a, 'f> {
    builder: &'a mut FunctionBuilder<'f>,
    parts: &'a FunctionParts,
    analysis: &'a Analysis,
    options: &'a CompileOptions,
    trace: &'a Trace,
    sp: Clif,
    gas: Clif,
    /// Words in registers, and the flags some of them are.
    words: Vec<Option<Lowered>>,
    /// Where in the stack's memory a value is.
    homes: HashMap<Value, i16>,
    /// The value that is there.
    residents: HashMap<i16, Value>,
    /// The loop, if its changing words stay in registers.
    carrying: Option<Carrying>,
    operands: Option<StackSlot>,
}

/// A value in registers.
#[derive(Clone, Copy, Debug)]
enum Lowered {
    Word(Word),
    /// Zero or one, 8 bits.
    Flag(Clif),
}

/// A loop with words in registers.
struct Carrying {
    head: Block,
    /// Words whose place in memory is out of date, with their value.
    stale: Vec<Write>,
}

impl<'a, 'f> TraceLowering<'a, 'f> {
    pub(super) fn new(
        builder: &'a mut FunctionBuilder<'f>,
        parts: &'a FunctionParts,
        analysis: &'a Analysis,
        options: &'a CompileOptions,
        trace: &'a Trace,
    ) -> Self {
        let (sp, gas) = (parts.frame, parts.frame);
        Self {
            builder,
            parts,
            analysis,
            options,
            trace,
            sp,
            gas,
            words: vec![None; trace.values.len()],
            homes: HashMap::default(),
            residents: HashMap::default(),
            carrying: None,
            operands: None,
        }
    }

    pub(super) fn lower(mut self, block: Block) {
        self.builder.switch_to_block(block);
        self.sp = self.builder.block_params(block)[0];
        self.gas = self.builder.block_params(block)[1];
        self.check_stack();
        self.begin_loop();
        for statement in &self.trace.statements {
            self.statement(statement);
        }
    }

    fn ops(&mut self) -> Words<'_, 'f> {
        Words {
            builder: self.builder,
        }
    }

    fn number(&mut self, number: u64) -> Clif {
        self.ops().number(number)
    }

    const fn data(&self, value: Value) -> ValueData {
        self.trace.values.as_slice()[value.0 as usize]
    }

    fn constant(&self, value: Value) -> Option<U256> {
        match self.data(value).expression {
            Expression::Constant(constant) => Some(constant),
            _ => None,
        }
    }

    fn statement(&mut self, statement: &Statement) {
        match statement {
            Statement::Section(section) => self.section(section),
            Statement::Define(value) => self.define(*value),
            Statement::Write(write) => self.write_all(std::slice::from_ref(write)),
            Statement::Touch { offset, len, row } => self.touch(*offset, *len, *row),
            Statement::Store { offset, value } => self.store(*offset, *value),
            Statement::StoreByte { offset, value } => self.store_byte(*offset, *value),
            Statement::Table { opcode, pc, height } => self.by_table(*opcode, *pc, *height),
            Statement::BranchIf {
                condition,
                writes,
                target,
            } => self.branch_if(*condition, writes, *target),
            Statement::Jump(target) => self.leave(*target),
            Statement::Repeat { writes } => self.repeat(writes),
        }
    }

    // --- the stack -------------------------------------------------------------------------------------------------

    /// Leaves if the stack has too few words for the trace, or too many.
    fn check_stack(&mut self) {
        let (need, growth) = (
            u64::from(self.trace.stack_need),
            u64::from(self.trace.stack_growth),
        );
        if need == 0 && growth == 0 {
            return;
        }
        let room = 1024_i64 - growth.cast_signed() - need.cast_signed();
        if room < 0 {
            let always = self.builder.ins().iconst(I8, 1);
            return self.exit_if(always, self.trace.stack_row);
        }
        let stack = self
            .builder
            .ins()
            .load(I64, trusted(), self.parts.frame, field!(stack));
        let bytes = self.builder.ins().isub(self.sp, stack);
        let needed = self.number(need * WORD_BYTES as u64);
        let spare = self.builder.ins().isub(bytes, needed);
        let limit = self.number(room.cast_unsigned() * WORD_BYTES as u64);
        let fails = self.builder.ins().icmp(IntCC::UnsignedGreaterThan, spare, limit);
        self.exit_if(fails, self.trace.stack_row);
    }

    fn load_word(&mut self, position: i16) -> Word {
        let offset = i32::from(position) * WORD_BYTES;
        Word(std::array::from_fn(|limb| {
            Some(
                self.builder
                    .ins()
                    .load(I64, trusted(), self.sp, offset + 8 * limb as i32),
            )
        }))
    }

    fn store_word(&mut self, position: i16, word: &Word) {
        let offset = i32::from(position) * WORD_BYTES;
        for limb in 0..4 {
            let value = self.ops().limb(word, limb);
            self.builder
                .ins()
                .store(trusted(), value, self.sp, offset + 8 * limb as i32);
        }
    }

    /// Makes writes on the way straight on: all values are read before any is written.
    fn write_all(&mut self, writes: &[Write]) {
        for write in writes {
            self.evict(write.position);
        }
        let words: Vec<_> = writes.iter().map(|write| self.word(write.value)).collect();
        for (write, word) in writes.iter().zip(&words) {
            self.store_word(write.position, word);
            self.residents.insert(write.position, write.value);
            if self.constant(write.value).is_none() {
                self.homes.entry(write.value).or_insert(write.position);
            }
            if let Some(carrying) = &mut self.carrying {
                carrying.stale.retain(|stale| stale.position != write.position);
            }
        }
    }

    /// The word of the stack's memory at `position` is about to change. The value there may be wanted later: another place
    /// that has it becomes its home, or it goes into registers.
    fn evict(&mut self, position: i16) {
        let Some(resident) = self.residents.remove(&position) else {
            return;
        };
        if self.homes.get(&resident) != Some(&position) {
            return;
        }
        let other = self
            .residents
            .iter()
            .filter(|&(_, value)| *value == resident)
            .map(|(&other, _)| other)
            .min();
        match other {
            Some(other) => {
                self.homes.insert(resident, other);
            }
            None => {
                self.word(resident);
                self.homes.remove(&resident);
            }
        }
    }

    /// Makes writes on a way that leaves: nothing is noted. What loops keep in registers is written, too.
    fn write_aside(&mut self, writes: &[Write]) {
        let stale = self
            .carrying
            .as_ref()
            .map(|carrying| carrying.stale.clone())
            .unwrap_or_default();
        let stale = stale
            .into_iter()
            .filter(|stale| writes.iter().all(|write| write.position != stale.position));
        let all: Vec<_> = writes.iter().copied().chain(stale).collect();
        let words: Vec<_> = all.iter().map(|write| self.peek_word(write.value)).collect();
        for (write, word) in all.iter().zip(&words) {
            self.store_word(write.position, word);
        }
    }

    fn writes_anything_aside(&self, writes: &[Write]) -> bool {
        !writes.is_empty()
            || self
                .carrying
                .as_ref()
                .is_some_and(|carrying| !carrying.stale.is_empty())
    }

    // --- values ----------------------------------------------------------------------------------------------------

    /// The value in registers, kept there for the next use.
    fn word(&mut self, value: Value) -> Word {
        let word = self.peek_word(value);
        if self.words[value.0 as usize].is_none() && self.constant(value).is_none() {
            self.words[value.0 as usize] = Some(Lowered::Word(word));
        }
        word
    }

    /// The value in registers for use in the current block only.
    fn peek_word(&mut self, value: Value) -> Word {
        if let Some(constant) = self.constant(value) {
            return self.ops().constant(constant);
        }
        match self.words[value.0 as usize] {
            Some(Lowered::Word(word)) => word,
            Some(Lowered::Flag(flag)) => self.ops().of_flag(flag),
            None => {
                let position = self.homes[&value];
                let width = self.data(value).width;
                self.load_word(position).truncated(width)
            }
        }
    }

    /// The lowest limb of a value.
    fn low(&mut self, value: Value) -> Clif {
        let word = self.word(value);
        self.ops().limb(&word, 0)
    }

    /// The value as a condition: an integer that is zero if the value is.
    fn condition(&mut self, value: Value) -> Clif {
        if let Some(Lowered::Flag(flag)) = self.words[value.0 as usize] {
            return flag;
        }
        let word = self.word(value);
        match self.ops().merged(&word) {
            Some(merged) => merged,
            None => self.number(0),
        }
    }

    /// After a call, what memory has is read again instead of being kept over it.
    fn forget_registers(&mut self) {
        for value in self.homes.keys() {
            self.words[value.0 as usize] = None;
        }
    }

    fn define(&mut self, value: Value) {
        if self.words[value.0 as usize].is_some() {
            return;
        }
        let ValueData { expression, width } = self.data(value);
        let lowered = match expression {
            Expression::Constant(_) => return,
            Expression::Slot { position, .. } => {
                self.homes.insert(value, position);
                self.residents.insert(position, value);
                return;
            }
            Expression::Unary(operation, a) => self.unary(operation, a),
            Expression::Binary(operation, a, b) => self.binary(operation, a, b, width),
            Expression::Ternary(operation, a, b, modulus) => {
                let function = match operation {
                    Ternary::AddMod => arithmetic::add_modulo as Operation,
                    Ternary::MulMod => arithmetic::multiply_modulo as Operation,
                };
                Lowered::Word(self.call(function, &[a, b, modulus]))
            }
            Expression::MemoryWord { offset, .. } => Lowered::Word(self.memory_word(offset)),
            Expression::Keccak { offset, len, .. } => Lowered::Word(self.hash(offset, len)),
            Expression::CalldataWord(offset) => Lowered::Word(self.calldata_word(offset)),
            Expression::Environment(environment) => Lowered::Word(self.environment(environment)),
            Expression::GasLeft { paid_ahead, .. } => {
                let ahead = self.number(u64::from(paid_ahead));
                Lowered::Word(Word::narrow(self.builder.ins().iadd(self.gas, ahead)))
            }
        };
        self.words[value.0 as usize] = Some(match lowered {
            Lowered::Word(word) => Lowered::Word(word.truncated(width)),
            flag @ Lowered::Flag(_) => flag,
        });
    }

    fn unary(&mut self, operation: Unary, a: Value) -> Lowered {
        if operation == Unary::IsZero
            && let Some(Lowered::Flag(flag)) = self.words[a.0 as usize]
        {
            let one = self.builder.ins().iconst(I8, 1);
            return Lowered::Flag(self.builder.ins().bxor(flag, one));
        }
        let word = self.word(a);
        match operation {
            Unary::IsZero => Lowered::Flag(self.ops().is_zero(&word)),
            Unary::Not => Lowered::Word(self.ops().not(&word)),
            Unary::CountLeadingZeros => Lowered::Word(self.ops().leading_zeros(&word)),
        }
    }

    fn binary(&mut self, operation: Binary, a: Value, b: Value, width: u16) -> Lowered {
        let simple = matches!(
            operation,
            Binary::Add
                | Binary::Sub
                | Binary::Lt
                | Binary::Gt
                | Binary::Slt
                | Binary::Sgt
                | Binary::Eq
                | Binary::And
                | Binary::Or
                | Binary::Xor
        );
        if !simple {
            return Lowered::Word(self.binary_by_cases(operation, a, b, width));
        }
        let (left, right) = (self.word(a), self.word(b));
        let mut ops = self.ops();
        match operation {
            Binary::Add => Lowered::Word(ops.add(&left, &right, width)),
            Binary::Sub => Lowered::Word(ops.sub(&left, &right)),
            Binary::And => Lowered::Word(ops.and(&left, &right)),
            Binary::Or => Lowered::Word(ops.or(&left, &right)),
            Binary::Xor => Lowered::Word(ops.xor(&left, &right)),
            Binary::Lt => Lowered::Flag(ops.less(&left, &right)),
            Binary::Gt => Lowered::Flag(ops.less(&right, &left)),
            Binary::Slt => Lowered::Flag(ops.less_signed(&left, &right)),
            Binary::Sgt => Lowered::Flag(ops.less_signed(&right, &left)),
            _ => Lowered::Flag(ops.equal(&left, &right)),
        }
    }

    fn binary_by_cases(&mut self, operation: Binary, a: Value, b: Value, width: u16) -> Word {
        let by = self.constant(a).and_then(|by| u32::try_from(by).ok());
        let (narrow_a, narrow_b) = (self.data(a).width <= 64, self.data(b).width <= 64);
        match (operation, by) {
            (Binary::Mul, _) => self.multiply(a, b, width),
            (Binary::Shl, Some(by @ 0..256)) => {
                let word = self.word(b);
                self.ops().shift_left(&word, by)
            }
            (Binary::Shr, Some(by @ 0..256)) => {
                let word = self.word(b);
                self.ops().shift_right(&word, by)
            }
            (Binary::Sar, Some(by)) => {
                let word = self.word(b);
                self.ops().shift_right_signed(&word, by.min(255))
            }
            (Binary::SignExtend, Some(last_byte @ 0..31)) => {
                let word = self.word(b);
                self.ops().extend_sign(&word, last_byte)
            }
            (Binary::Div | Binary::Mod, _) if narrow_a && narrow_b => {
                let (a, b) = (self.low(a), self.low(b));
                let remainder = match operation {
                    Binary::Mod => Remainder::Wanted,
                    _ => Remainder::Dropped,
                };
                self.ops().divide_narrow(a, b, remainder)
            }
            _ => self.call(out_of_line(operation), &[a, b]),
        }
    }

    fn multiply(&mut self, a: Value, b: Value, width: u16) -> Word {
        let lens = (limbs(self.data(a).width), limbs(self.data(b).width));
        let (left, right) = (self.word(a), self.word(b));
        match lens {
            _ if width <= 128 => self.ops().mul(&left, &right, width),
            (0 | 1, _) | (_, 0 | 1) | (2, 2) => self.ops().mul(&left, &right, width),
            _ => self.call(arithmetic::multiply, &[a, b]),
        }
    }

    /// Calls an operation with operands and result in this function's own memory.
    fn call(&mut self, operation: Operation, operands: &[Value]) -> Word {
        let slot = self.operand_slot();
        for (index, &operand) in operands.iter().enumerate() {
            let word = self.word(operand);
            for limb in 0..4 {
                let value = self.ops().limb(&word, limb);
                self.builder
                    .ins()
                    .stack_store(I64, value, slot, WORD_BYTES * index as i32 + 8 * limb as i32);
            }
        }
        let place = self.builder.ins().stack_addr(I64, slot, 0);
        let function = self.number(operation as usize as u64);
        self.builder
            .ins()
            .call_indirect(self.parts.signatures.two, function, &[place, place]);
        self.forget_registers();
        self.result()
    }

    fn operand_slot(&mut self) -> StackSlot {
        *self.operands.get_or_insert_with(|| {
            self.builder
                .create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, 96, 3))
        })
    }

    fn result(&mut self) -> Word {
        let slot = self.operand_slot();
        Word(std::array::from_fn(|limb| {
            Some(self.builder.ins().stack_load(I64, I64, slot, 8 * limb as i32))
        }))
    }

    fn environment(&mut self, environment: Environment) -> Word {
        let frame = self.parts.frame;
        let address = |field: usize, this: &mut Self| {
            let input = this.builder.ins().load(I64, trusted(), frame, field!(input));
            let mut limb = |ty, offset: usize| {
                this.builder
                    .ins()
                    .load(ty, trusted(), input, (field + offset) as i32)
            };
            let (low, middle) = (limb(I64, 12), limb(I64, 4));
            let high = limb(cranelift_codegen::ir::types::I32, 0);
            let (low, middle, high) = (
                this.builder.ins().bswap(low),
                this.builder.ins().bswap(middle),
                this.builder.ins().bswap(high),
            );
            let high = this.builder.ins().uextend(I64, high);
            Word([Some(low), Some(middle), Some(high), None])
        };
        match environment {
            Environment::Address => address(std::mem::offset_of!(InputsImpl, target_address), self),
            Environment::Caller => address(std::mem::offset_of!(InputsImpl, caller_address), self),
            Environment::CallValue => {
                let input = self.builder.ins().load(I64, trusted(), frame, field!(input));
                let offset = std::mem::offset_of!(InputsImpl, call_value) as i32;
                Word(std::array::from_fn(|limb| {
                    Some(
                        self.builder
                            .ins()
                            .load(I64, trusted(), input, offset + 8 * limb as i32),
                    )
                }))
            }
            Environment::CalldataSize => Word::narrow(self.builder.ins().load(
                I64,
                trusted(),
                frame,
                field!(calldata_len),
            )),
            Environment::ReturnDataSize => Word::narrow(self.builder.ins().load(
                I64,
                trusted(),
                frame,
                field!(return_data_len),
            )),
        }
    }

    // --- memory ----------------------------------------------------------------------------------------------------

    /// Makes memory hold `offset + len` bytes.
    fn touch(&mut self, offset: Value, len: u32, row: Row) {
        let end = match self.constant(offset) {
            Some(constant) => {
                let end = constant.saturating_add(U256::from(len));
                if end.bit_len() > MEMORY_BITS as usize {
                    let always = self.builder.ins().iconst(I8, 1);
                    return self.exit_if(always, row);
                }
                self.number(end.as_limbs()[0])
            }
            None => self.checked_end(offset, len, row),
        };
        let have = self
            .builder
            .ins()
            .load(I64, trusted(), self.parts.frame, field!(memory_len));
        let is_short = self.builder.ins().icmp(IntCC::UnsignedGreaterThan, end, have);
        let go_on = block_with(self.builder, 1);
        let slow = self.builder.create_block();
        self.builder.set_cold_block(slow);
        self.builder
            .ins()
            .brif(is_short, slow, &[], go_on, &[self.gas.into()]);
        self.builder.switch_to_block(slow);
        self.builder
            .ins()
            .call(self.parts.grow, &[self.parts.frame, self.gas, end]);
        let status = self
            .builder
            .ins()
            .load(I64, trusted(), self.parts.frame, field!(grow_status));
        self.gas = self
            .builder
            .ins()
            .load(I64, trusted(), self.parts.frame, field!(gas));
        self.exit_if(status, row);
        self.builder.ins().jump(go_on, &[self.gas.into()]);
        self.builder.switch_to_block(go_on);
        self.gas = self.builder.block_params(go_on)[0];
    }

    /// `offset + len`, having left if that is more than any memory.
    fn checked_end(&mut self, offset: Value, len: u32, row: Row) -> Clif {
        let word = self.word(offset);
        let low = self.ops().limb(&word, 0);
        if u32::from(self.data(offset).width) > MEMORY_BITS {
            let mut upper = word;
            let bits = self.number(u64::from(MEMORY_BITS));
            upper.0[0] = Some(self.builder.ins().ushr(low, bits));
            let upper = self.ops().merged(&upper);
            if let Some(upper) = upper {
                self.exit_if(upper, row);
            }
        }
        let len = self.number(u64::from(len));
        self.builder.ins().iadd(low, len)
    }

    /// The address of touched memory, as a base and a displacement.
    fn memory_place(&mut self, offset: Value) -> (Clif, i32) {
        let memory = self
            .builder
            .ins()
            .load(I64, trusted(), self.parts.frame, field!(memory));
        let displacement = self
            .constant(offset)
            .and_then(|constant| i32::try_from(constant).ok())
            .filter(|&displacement| displacement < i32::MAX - 64);
        match displacement {
            Some(displacement) => (memory, displacement),
            None => {
                let low = self.low(offset);
                (self.builder.ins().iadd(memory, low), 0)
            }
        }
    }

    fn memory_word(&mut self, offset: Value) -> Word {
        let (base, displacement) = self.memory_place(offset);
        self.load_big_endian(base, displacement)
    }

    fn load_big_endian(&mut self, base: Clif, displacement: i32) -> Word {
        Word(std::array::from_fn(|limb| {
            let at = displacement + 24 - 8 * limb as i32;
            let value = self.builder.ins().load(I64, trusted(), base, at);
            Some(self.builder.ins().bswap(value))
        }))
    }

    fn store(&mut self, offset: Value, value: Value) {
        let (base, displacement) = self.memory_place(offset);
        let constant = self.constant(value);
        let word = self.word(value);
        for limb in 0..4 {
            let swapped = match constant {
                Some(constant) => self.number(constant.as_limbs()[limb].swap_bytes()),
                None => match word.0[limb] {
                    Some(limb) => self.builder.ins().bswap(limb),
                    None => self.number(0),
                },
            };
            let at = displacement + 24 - 8 * limb as i32;
            self.builder.ins().store(trusted(), swapped, base, at);
        }
    }

    fn store_byte(&mut self, offset: Value, value: Value) {
        let (base, displacement) = self.memory_place(offset);
        let low = self.low(value);
        self.builder.ins().istore8(trusted(), low, base, displacement);
    }

    fn hash(&mut self, offset: Value, len: u32) -> Word {
        let (base, displacement) = self.memory_place(offset);
        let displacement = self.number(i64::from(displacement).cast_unsigned());
        let start = self.builder.ins().iadd(base, displacement);
        let len = self.number(u64::from(len));
        let slot = self.operand_slot();
        let place = self.builder.ins().stack_addr(I64, slot, 0);
        let function = self.number(arithmetic::hash as Hash as usize as u64);
        self.builder
            .ins()
            .call_indirect(self.parts.signatures.three, function, &[place, start, len]);
        self.forget_registers();
        self.result()
    }

    fn calldata_word(&mut self, offset: Value) -> Word {
        if self.data(offset).width < 63 {
            return self.near_calldata_word(offset);
        }
        let slot = self.operand_slot();
        let word = self.word(offset);
        for limb in 0..4 {
            let value = self.ops().limb(&word, limb);
            self.builder.ins().stack_store(I64, value, slot, 8 * limb as i32);
        }
        self.call_read_calldata();
        self.forget_registers();
        self.result()
    }

    /// Reads calldata at the offset in the operand slot into that slot.
    fn call_read_calldata(&mut self) {
        let slot = self.operand_slot();
        let place = self.builder.ins().stack_addr(I64, slot, 0);
        let function = self.number(arithmetic::read_calldata as ReadCalldata as usize as u64);
        self.builder.ins().call_indirect(
            self.parts.signatures.three,
            function,
            &[place, self.parts.frame, place],
        );
    }

    /// Calldata at an offset of one limb: read directly if the whole word is there.
    fn near_calldata_word(&mut self, offset: Value) -> Word {
        let low = self.low(offset);
        let word_bytes = self.number(WORD_BYTES as u64);
        let end = self.builder.ins().iadd(low, word_bytes);
        let have = self
            .builder
            .ins()
            .load(I64, trusted(), self.parts.frame, field!(calldata_len));
        let is_short = self.builder.ins().icmp(IntCC::UnsignedGreaterThan, end, have);
        let (slow, fast) = (self.builder.create_block(), self.builder.create_block());
        let merged = block_with(self.builder, 4);
        self.builder.set_cold_block(slow);
        self.builder.ins().brif(is_short, slow, &[], fast, &[]);
        self.builder.switch_to_block(slow);
        let slot = self.operand_slot();
        let zero = self.number(0);
        for limb in 0..4 {
            let value = if limb == 0 { low } else { zero };
            self.builder.ins().stack_store(I64, value, slot, 8 * limb);
        }
        self.call_read_calldata();
        let word = self.result();
        self.jump_with_word(merged, &word);
        self.builder.switch_to_block(fast);
        let calldata = self
            .builder
            .ins()
            .load(I64, trusted(), self.parts.frame, field!(calldata));
        let place = self.builder.ins().iadd(calldata, low);
        let word = self.load_big_endian(place, 0);
        self.jump_with_word(merged, &word);
        self.builder.switch_to_block(merged);
        let params = self.builder.block_params(merged);
        Word([Some(params[0]), Some(params[1]), Some(params[2]), Some(params[3])])
    }

    fn jump_with_word(&mut self, block: Block, word: &Word) {
        let mut arguments = Vec::with_capacity(4);
        for limb in 0..4 {
            arguments.push(BlockArg::from(self.ops().limb(word, limb)));
        }
        self.builder.ins().jump(block, &arguments);
    }

    // --- control ---------------------------------------------------------------------------------------------------

    fn section(&mut self, section: &Section) {
        if section.when == WriteWhen::Always {
            let mut writes = section.writes.clone();
            if let Some(carrying) = &self.carrying {
                let stale = carrying.stale.iter().filter(|stale| {
                    section
                        .writes
                        .iter()
                        .all(|write| write.position != stale.position)
                });
                writes.extend(stale.copied().collect::<Vec<_>>());
            }
            self.write_all(&writes);
        }
        let writes = match section.when {
            WriteWhen::Always => &[],
            WriteWhen::OnExit => section.writes.as_slice(),
        };
        if self.options.forced_exits == ForcedExitPoints::Present {
            self.count_down(section.row, writes);
        }
        if section.gas == 0 {
            return;
        }
        let cost = self.number(u64::from(section.gas));
        let cannot_pay = self.builder.ins().icmp(IntCC::UnsignedLessThan, self.gas, cost);
        let left = self.builder.ins().isub(self.gas, cost);
        self.exit_writing_if(cannot_pay, section.row, writes);
        self.gas = left;
    }

    fn count_down(&mut self, row: Row, writes: &[Write]) {
        let place = field!(forced_exit_countdown);
        let count = self.builder.ins().load(I64, trusted(), self.parts.frame, place);
        let one = self.number(1);
        let count = self.builder.ins().isub(count, one);
        self.builder
            .ins()
            .store(trusted(), count, self.parts.frame, place);
        let zero = self.number(0);
        let is_over = self.builder.ins().icmp(IntCC::Equal, count, zero);
        self.exit_writing_if(is_over, row, writes);
    }

    fn exit_arguments(&mut self, row: Row) -> [BlockArg; 3] {
        let row = self.number(u64::from(row.0));
        [self.sp.into(), self.gas.into(), row.into()]
    }

    fn exit_if(&mut self, condition: Clif, row: Row) {
        let leave = self.builder.create_block();
        let stay = self.builder.create_block();
        self.builder.set_cold_block(leave);
        self.builder.ins().brif(condition, leave, &[], stay, &[]);
        self.builder.switch_to_block(leave);
        let arguments = self.exit_arguments(row);
        self.builder.ins().jump(self.parts.exit, &arguments);
        self.builder.switch_to_block(stay);
    }

    fn exit_writing_if(&mut self, condition: Clif, row: Row, writes: &[Write]) {
        if !self.writes_anything_aside(writes) {
            return self.exit_if(condition, row);
        }
        let leave = self.builder.create_block();
        let stay = self.builder.create_block();
        self.builder.set_cold_block(leave);
        self.builder.ins().brif(condition, leave, &[], stay, &[]);
        self.builder.switch_to_block(leave);
        self.write_aside(writes);
        let arguments = self.exit_arguments(row);
        self.builder.ins().jump(self.parts.exit, &arguments);
        self.builder.switch_to_block(stay);
    }

    fn by_table(&mut self, opcode: u8, pc: u32, height: i16) {
        let frame = self.parts.frame;
        self.evict_from(height - i16::from(inputs(opcode)));
        let sp = self.at_height(height);
        self.builder.ins().store(trusted(), sp, frame, field!(sp));
        self.builder.ins().store(trusted(), self.gas, frame, field!(gas));
        let operation = self.number(u64::from(opcode) << 32 | u64::from(pc));
        let function = self.builder.ins().load(I64, trusted(), frame, field!(table_op));
        let call =
            self.builder
                .ins()
                .call_indirect(self.parts.signatures.two_to_one, function, &[frame, operation]);
        let status = self.builder.inst_results(call)[0];
        let stay = self.builder.create_block();
        self.builder.ins().brif(status, self.parts.ended, &[], stay, &[]);
        self.builder.switch_to_block(stay);
        self.gas = self.builder.ins().load(I64, trusted(), frame, field!(gas));
        self.forget_registers();
    }

    /// An instruction is about to write over the words from `position` on.
    fn evict_from(&mut self, position: i16) {
        let mut positions: Vec<_> = self
            .residents
            .keys()
            .copied()
            .filter(|&at| at >= position)
            .collect();
        positions.sort_unstable_by(|a, b| b.cmp(a));
        for position in positions {
            self.evict(position);
        }
    }

    fn at_height(&mut self, height: i16) -> Clif {
        if height == 0 {
            return self.sp;
        }
        let bytes = self.number((i64::from(height) * i64::from(WORD_BYTES)).cast_unsigned());
        self.builder.ins().iadd(self.sp, bytes)
    }

    fn branch_if(&mut self, condition: Value, writes: &[Write], target: Target) {
        let condition = self.condition(condition);
        let stay = self.builder.create_block();
        match target {
            Target::Trace { id, height: 0 }
                if !self.writes_anything_aside(writes) && self.local(id).is_some() =>
            {
                let block = self.local(id).unwrap_or(self.parts.dispatch);
                self.builder
                    .ins()
                    .brif(condition, block, &[self.sp.into(), self.gas.into()], stay, &[]);
            }
            _ => {
                let leave = self.builder.create_block();
                self.builder.ins().brif(condition, leave, &[], stay, &[]);
                self.builder.switch_to_block(leave);
                if let Target::Exit(_) = target {
                    self.builder.set_cold_block(leave);
                }
                self.write_aside(writes);
                self.leave_aside(target);
            }
        }
        self.builder.switch_to_block(stay);
    }

    fn local(&self, id: crate::analysis::ir::TraceId) -> Option<Block> {
        let index = id.0.checked_sub(self.parts.first)?;
        self.parts.traces.get(index as usize).copied()
    }

    /// Ends the block by going to a target; the stack in memory is up to date.
    fn leave(&mut self, target: Target) {
        self.leave_aside(target);
    }

    fn leave_aside(&mut self, target: Target) {
        match target {
            Target::Exit(row) => {
                let arguments = self.exit_arguments(row);
                self.builder.ins().jump(self.parts.exit, &arguments);
            }
            Target::Trace { id, height } => {
                let sp = self.at_height(height);
                match self.local(id) {
                    Some(block) => {
                        self.builder.ins().jump(block, &[sp.into(), self.gas.into()]);
                    }
                    None => {
                        let entry = self.number(u64::from(id.0));
                        self.jump_to_dispatch(sp, entry);
                    }
                }
            }
            Target::Dynamic { pc, height, row } => self.leave_dynamically(pc, height, row),
        }
    }

    fn jump_to_dispatch(&mut self, sp: Clif, entry: Clif) {
        self.builder
            .ins()
            .jump(self.parts.dispatch, &[sp.into(), self.gas.into(), entry.into()]);
    }

    fn leave_dynamically(&mut self, pc: Value, height: i16, row: Row) {
        let word = self.peek_word(pc);
        let low = self.ops().limb(&word, 0);
        let len = self.number(self.analysis.entries.len() as u64);
        let mut upper = word;
        upper.0[0] = None;
        let is_far = self
            .builder
            .ins()
            .icmp(IntCC::UnsignedGreaterThanOrEqual, low, len);
        let upper = self.ops().merged(&upper);
        self.exit_if(is_far, row);
        if let Some(upper) = upper {
            self.exit_if(upper, row);
        }
        let (entry, is_none) = entry_at(self.builder, self.parts.frame, low);
        self.exit_if(is_none, row);
        let sp = self.at_height(height);
        self.jump_to_dispatch(sp, entry);
    }

    // --- loops -----------------------------------------------------------------------------------------------------

    /// If the trace comes back to its start and changes few words, these stay in registers from round to round.
    fn begin_loop(&mut self) {
        let carried = &self.trace.carried;
        let calls_others = self
            .trace
            .statements
            .iter()
            .any(|statement| matches!(statement, Statement::Table { .. }));
        if carried.is_empty() || carried.len() > CARRIED_MAX || calls_others {
            return;
        }
        let head = block_with(self.builder, 1 + 4 * carried.len());
        let mut arguments = vec![BlockArg::from(self.gas)];
        for carried in carried {
            let word = self.load_word(carried.position);
            arguments.extend(word.0.into_iter().flatten().map(BlockArg::from));
        }
        self.builder.ins().jump(head, &arguments);
        self.builder.switch_to_block(head);
        let params = self.builder.block_params(head).to_vec();
        self.gas = params[0];
        for (carried, limbs) in carried.iter().zip(params[1..].chunks_exact(4)) {
            let word = Word(std::array::from_fn(|limb| Some(limbs[limb])));
            self.words[carried.before.0 as usize] = Some(Lowered::Word(word));
        }
        let stale = carried
            .iter()
            .map(|carried| Write {
                position: carried.position,
                value: carried.before,
            })
            .collect();
        self.carrying = Some(Carrying { head, stale });
    }

    fn repeat(&mut self, writes: &[Write]) {
        let Some(carrying) = &self.carrying else {
            self.write_all(writes);
            let own = self.local_start().unwrap_or(self.parts.dispatch);
            self.builder.ins().jump(own, &[self.sp.into(), self.gas.into()]);
            return;
        };
        let head = carrying.head;
        let mut arguments = vec![BlockArg::from(self.gas)];
        for carried in &self.trace.carried {
            let word = self.peek_word(carried.after);
            for limb in 0..4 {
                arguments.push(self.ops().limb(&word, limb).into());
            }
        }
        self.builder.ins().jump(head, &arguments);
    }

    /// The block of this trace.
    fn local_start(&self) -> Option<Block> {
        let id = self
            .analysis
            .entries
            .get(self.trace.pc as usize)
            .copied()
            .flatten()?;
        self.local(id)
    }
}

/// The function for an operation that is not done in line.
const fn out_of_line(operation: Binary) -> Operation {
    match operation {
        Binary::Div => arithmetic::divide,
        Binary::SDiv => arithmetic::divide_signed,
        Binary::Mod => arithmetic::remainder,
        Binary::SMod => arithmetic::remainder_signed,
        Binary::SignExtend => arithmetic::extend_sign,
        Binary::Byte => arithmetic::byte,
        Binary::Shl => arithmetic::shift_left,
        Binary::Shr => arithmetic::shift_right,
        Binary::Sar => arithmetic::shift_right_signed,
        _ => arithmetic::multiply,
    }
}

/// Words that an instruction of the table takes.
const fn inputs(opcode: u8) -> u8 {
    crate::analysis::stack_io(opcode).0
}
