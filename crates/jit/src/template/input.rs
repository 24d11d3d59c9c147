//! What a frame was called with.

use std::mem::offset_of;

use revm::{interpreter::InputsImpl, primitives::U256};

use super::{
    assembler::{Label, Part},
    control::FRAME,
    encoding::{Mem, RAX, RCX, Reg},
    limbs::Limb,
    routines::{CALLDATA, CALLDATA_LEN, INPUT, MEMORY_LEN, RETURN_DATA_LEN, Routine},
    scalar::{Alu, Condition, Shift},
    trace::Emitter,
};
use crate::analysis::ir::{Environment, Value};

const TARGET_ADDRESS: i32 = offset_of!(InputsImpl, target_address) as i32;
const CALLER_ADDRESS: i32 = offset_of!(InputsImpl, caller_address) as i32;
const CALL_VALUE: i32 = offset_of!(InputsImpl, call_value) as i32;

impl Emitter<'_> {
    /// CALLDATALOAD. A word that is not wholly within the input is read by a routine.
    pub(super) fn calldata_word(&mut self, value: Value, offset: Value) {
        let to = self.destination(value, None, &[offset]);
        let slow = self.asm.new_label();
        let done = self.asm.new_label();
        self.end_in_input(offset, slow);
        self.asm.alu(Alu::Cmp, RAX, Mem::At(FRAME, CALLDATA_LEN));
        self.asm.jump_if(Condition::Above, slow);
        self.asm.alu(Alu::Add, RAX, Mem::At(FRAME, CALLDATA));
        self.asm.bind(done);
        self.load_reversed(&to, Mem::At(RAX, -32));
        let part = self.asm.switch_to(Part::Cold);
        self.asm.bind(slow);
        self.asm.call(self.routines.label(Routine::Calldata));
        self.asm.jump(done);
        self.asm.switch_to(part);
    }

    /// The end of the word in rax. An offset that is not one limb becomes one behind any input.
    fn end_in_input(&mut self, offset: Value, slow: Label) {
        if let Some(constant) = self.constant(offset) {
            let end = constant.saturating_add(U256::from(32));
            let end = u64::try_from(end).unwrap_or(u64::MAX);
            return self.load(RAX, Limb::Constant(end));
        }
        let limbs = self.limbs(offset);
        if limbs > 1 {
            let limb = self.limb(offset, 1);
            self.load(RAX, limb);
            for index in 2..limbs {
                let limb = self.limb(offset, index);
                self.alu(Alu::Or, RAX, limb);
            }
            self.asm.test(RAX);
            let far = self.asm.new_label();
            self.asm.jump_if(Condition::NotZero, far);
            let part = self.asm.switch_to(Part::Cold);
            self.asm.bind(far);
            self.asm.mov_immediate(RAX, u64::MAX);
            self.asm.jump(slow);
            self.asm.switch_to(part);
        }
        let low = self.limb(offset, 0);
        self.load(RAX, low);
        self.asm.alu_immediate(Alu::Add, RAX, 32);
        if self.width(offset) >= 64 {
            self.asm.jump_if(Condition::Below, slow);
        }
    }

    pub(super) fn environment(&mut self, value: Value, environment: Environment) {
        if let Environment::Host(opcode) = environment {
            self.asm.mov_immediate(RCX, u64::from(opcode));
            self.asm.call(self.routines.label(Routine::HostWord));
            return self.load_result(value, &[]);
        }
        let to = self.destination(value, None, &[]);
        match environment {
            Environment::Host(_) => {}
            Environment::Address => self.address_of_input(&to, TARGET_ADDRESS),
            Environment::Caller => self.address_of_input(&to, CALLER_ADDRESS),
            Environment::CallValue => {
                self.asm.mov(RCX, Mem::At(FRAME, INPUT));
                for (index, &reg) in to.iter().enumerate() {
                    self.asm.mov(reg, Mem::At(RCX, CALL_VALUE + 8 * index as i32));
                }
            }
            Environment::CalldataSize => self.length(&to, CALLDATA_LEN),
            Environment::ReturnDataSize => self.length(&to, RETURN_DATA_LEN),
        }
    }

    pub(super) fn memory_size(&mut self, value: Value) {
        let to = self.destination(value, None, &[]);
        self.length(&to, MEMORY_LEN);
    }

    fn length(&mut self, to: &[Reg], field: i32) {
        if let [to] = *to {
            self.asm.mov(to, Mem::At(FRAME, field));
        }
    }

    /// An address has 20 bytes.
    fn address_of_input(&mut self, to: &[Reg], field: i32) {
        let &[low, middle, high] = to else {
            return debug_assert!(false, "an address has three limbs");
        };
        self.asm.mov(RCX, Mem::At(FRAME, INPUT));
        self.load_limb_reversed(low, Mem::At(RCX, field + 12));
        self.load_limb_reversed(middle, Mem::At(RCX, field + 4));
        self.asm.mov_short(high, Mem::At(RCX, field));
        self.asm.swap_bytes(high);
        self.asm.shift(Shift::Right, high, 32);
    }
}
