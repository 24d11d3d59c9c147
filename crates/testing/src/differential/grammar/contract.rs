//! The code of one contract: a main program, functions it calls, data behind them.

use revm::{
    bytecode::opcode::{self, OPCODE_INFO},
    primitives::{U256, hardfork::SpecId},
};

use super::{
    assembler::{Assembler, Label},
    values,
};
use crate::differential::Choices;

/// Writes code, and follows how many words are on the stack as long as the program behaves.
#[derive(Debug)]
pub(super) struct Generator<'g, 'c> {
    pub(super) choices: &'g mut Choices<'c>,
    pub(super) code: Assembler,
    pub(super) spec: SpecId,
    /// Contracts there are to call.
    pub(super) contracts: usize,
    /// Words on the stack of the program or function being written.
    pub(super) height: usize,
    /// Words at the bottom that statements read but leave alone, such as loop counters.
    pub(super) floor: usize,
    /// Statements left to write.
    pub(super) budget: usize,
    pub(super) nesting: usize,
    pub(super) functions: Vec<Function>,
    /// The function being written. Functions call later ones only.
    pub(super) function: Option<usize>,
    pub(super) data: Vec<(Label, Vec<u8>)>,
    /// Whether this is code that another generator's contract creates: it creates none.
    pub(super) created: bool,
    weights: Vec<u32>,
}

/// A function within the code: reached by a jump, with its return address below its arguments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Function {
    pub(super) entry: Label,
    pub(super) arguments: usize,
    pub(super) results: usize,
}

type Statement = for<'s, 'g, 'c> fn(&'s mut Generator<'g, 'c>);

/// What programs are made of, and how often.
const STATEMENTS: &[(u32, Statement)] = &[
    (10, |it| it.keep()),
    (5, |it| it.drop_word()),
    (8, |it| it.shuffle()),
    (12, |it| it.operate()),
    (8, |it| it.store()),
    (6, |it| it.memory_medley()),
    (2, |it| it.guarded(Generator::stale_pointer)),
    (4, |it| it.copy()),
    (4, |it| it.write_state()),
    (2, |it| it.log()),
    (7, |it| it.branch()),
    (4, |it| it.two_branches()),
    (5, |it| it.counted_loop()),
    (4, |it| it.loop_with_values()),
    (2, |it| it.self_loop()),
    (7, |it| it.call_function()),
    (3, |it| it.return_early()),
    (3, |it| it.switch()),
    (2, |it| it.chosen_jump()),
    (5, |it| it.call_contract()),
    (2, |it| it.create()),
    (2, |it| it.pay_attention_to_gas()),
    (2, |it| it.fall_through()),
    (1, |it| it.dead_code()),
    (1, |it| it.guarded(Generator::huge_memory)),
    (1, |it| it.guarded(Generator::odd_jump)),
    (1, |it| it.guarded(Generator::terminate)),
    (1, |it| it.guarded(Generator::raw)),
    (1, |it| it.guarded(Generator::runaway_stack)),
    (1, |it| it.deep_stack()),
    (1, |it| it.fill_stack()),
    (1, |it| it.recursion()),
];

/// Words that a program keeps on the stack at most.
const HEIGHT_MAX: usize = 14;
/// Bytes after which no more statements are written.
const CODE_MAX: usize = 6_000;

impl<'g, 'c> Generator<'g, 'c> {
    pub(super) fn new(choices: &'g mut Choices<'c>, spec: SpecId, contracts: usize) -> Self {
        let weights = STATEMENTS
            .iter()
            .map(|(weight, _)| weight * choices.pick(&[1, 1, 2, 4, 0]))
            .collect();
        Self {
            choices,
            code: Assembler::default(),
            spec,
            contracts,
            height: 0,
            floor: 0,
            budget: 0,
            nesting: 0,
            functions: Vec::new(),
            function: None,
            data: Vec::new(),
            created: false,
            weights,
        }
    }

    /// A whole contract.
    pub(super) fn program(mut self, statements: usize) -> Vec<u8> {
        self.budget = statements;
        for _ in 0..self.choices.below(4) {
            let entry = self.code.label();
            self.functions.push(Function {
                entry,
                arguments: self.choices.below(4),
                results: self.choices.below(3),
            });
        }
        while self.budget > 0 {
            self.statement();
        }
        self.end();
        for index in 0..self.functions.len() {
            self.write_function(index);
        }
        self.write_data();
        self.code.finish()
    }

    pub(super) fn statement(&mut self) {
        if self.budget == 0 || self.code.len() > CODE_MAX {
            self.budget = 0;
            return;
        }
        self.budget -= 1;
        let index = self.choices.weighted(&self.weights);
        STATEMENTS[index].1(self);
        while self.height > HEIGHT_MAX && self.height > self.floor {
            self.op(opcode::POP);
        }
    }

    /// A few statements that leave the stack as high as it was.
    pub(super) fn block(&mut self, statements_max: usize) {
        let height = self.height;
        self.nesting += 1;
        for _ in 0..self.choices.between(1, statements_max) {
            self.statement();
        }
        self.nesting -= 1;
        self.restore_height(height);
    }

    /// Makes the stack as high as it should be.
    pub(super) fn restore_height(&mut self, height: usize) {
        while self.height > height {
            let folds = self.height > height + 1 && self.choices.percent(50);
            self.op(if folds { opcode::XOR } else { opcode::POP });
        }
        while self.height < height {
            self.constant();
        }
    }

    fn write_function(&mut self, index: usize) {
        let function = self.functions[index];
        self.function = Some(index);
        self.height = function.arguments;
        self.floor = 0;
        self.code.destination(function.entry);
        self.budget = self.choices.below(6);
        while self.budget > 0 {
            self.statement();
        }
        self.return_from(function);
    }

    /// Leaves a function with its results.
    pub(super) fn return_from(&mut self, function: Function) {
        self.restore_height(function.results);
        if function.results > 0 {
            self.code.op(opcode::SWAP1 + function.results as u8 - 1);
        }
        self.code.op(opcode::JUMP);
    }

    /// The end of the program: what is on the stack is shown in one way or another, usually.
    fn end(&mut self) {
        match self.choices.below(10) {
            0..=5 => {
                let words = self.store_stack();
                self.push(U256::from(32 * words));
                self.push(U256::ZERO);
                let reverts = self.choices.percent(20) && self.active(opcode::REVERT);
                self.op(if reverts { opcode::REVERT } else { opcode::RETURN });
            }
            6 => self.op(opcode::STOP),
            7 => self.terminate(),
            8 => {
                // Truncated PUSH.
                let width = self.choices.between(1, 32);
                self.code.op(opcode::PUSH1 + width as u8 - 1);
                let bytes = self.choices.below(width);
                let bytes = self.choices.bytes(bytes);
                if self.functions.is_empty() && self.data.is_empty() {
                    self.code.raw(&bytes);
                }
            }
            _ => {}
        }
    }

    /// Moves the stack to memory; the number of words.
    fn store_stack(&mut self) -> usize {
        let words = self.height;
        for index in 0..words {
            self.push(U256::from(32 * index));
            self.op(opcode::MSTORE);
        }
        words
    }

    fn write_data(&mut self) {
        if self.data.is_empty() {
            return;
        }
        self.code.op(opcode::INVALID);
        for (label, bytes) in std::mem::take(&mut self.data) {
            self.code.mark(label);
            self.code.raw(&bytes);
        }
    }

    /// Writes an opcode without immediate.
    pub(super) fn op(&mut self, opcode: u8) {
        self.code.op(opcode);
        let (inputs, outputs) = OPCODE_INFO[usize::from(opcode)].map_or((0, 0), |info| {
            (usize::from(info.inputs()), usize::from(info.outputs()))
        });
        self.height = self.height.saturating_sub(inputs) + outputs;
    }

    pub(super) fn ops(&mut self, opcodes: &[u8]) {
        opcodes.iter().for_each(|opcode| self.op(*opcode));
    }

    pub(super) fn push(&mut self, value: U256) {
        let short = value.is_zero() && self.active(opcode::PUSH0) && self.choices.percent(70);
        if short {
            self.op(opcode::PUSH0);
            return;
        }
        let width = match self.choices.percent(10) {
            true => self.choices.between(1, 32),
            false => 1,
        };
        self.code.push(value, width);
        self.height += 1;
    }

    pub(super) fn push_number(&mut self, value: usize) {
        self.push(U256::from(value));
    }

    pub(super) fn push_label(&mut self, label: Label) {
        let width = match self.choices.percent(5) {
            true => self.choices.between(3, 32),
            false => 2,
        };
        self.code.push_labels(&[label], width);
        self.height += 1;
    }

    pub(super) fn constant(&mut self) {
        let value = values::word(self.choices);
        self.push(value);
    }

    /// Jumps; what follows is reached in another way.
    pub(super) fn jump(&mut self, label: Label) {
        self.push_label(label);
        self.op(opcode::JUMP);
    }

    /// Jumps if the word on the stack is not zero.
    pub(super) fn jump_if(&mut self, label: Label) {
        self.push_label(label);
        self.op(opcode::JUMPI);
    }

    /// Words that a statement may change.
    pub(super) const fn free_words(&self) -> usize {
        self.height.saturating_sub(self.floor)
    }

    /// Whether the fork has the opcode.
    pub(super) fn active(&self, opcode: u8) -> bool {
        self.spec.is_enabled_in(since(opcode))
    }

    /// One of several opcodes, seldom one that the fork does not have; the first must be in all forks.
    pub(super) fn pick_opcode(&mut self, opcodes: &[u8]) -> u8 {
        let opcode = *self.choices.pick(opcodes);
        if self.active(opcode) || self.choices.percent(2) {
            opcode
        } else {
            opcodes[0]
        }
    }
}

/// The first fork that has an opcode.
const fn since(opcode: u8) -> SpecId {
    match opcode {
        opcode::DELEGATECALL => SpecId::HOMESTEAD,
        opcode::RETURNDATASIZE | opcode::RETURNDATACOPY | opcode::STATICCALL | opcode::REVERT => {
            SpecId::BYZANTIUM
        }
        opcode::SHL | opcode::SHR | opcode::SAR | opcode::EXTCODEHASH | opcode::CREATE2 => SpecId::PETERSBURG,
        opcode::CHAINID | opcode::SELFBALANCE => SpecId::ISTANBUL,
        opcode::BASEFEE => SpecId::LONDON,
        opcode::PUSH0 => SpecId::SHANGHAI,
        opcode::TLOAD | opcode::TSTORE | opcode::MCOPY | opcode::BLOBHASH | opcode::BLOBBASEFEE => {
            SpecId::CANCUN
        }
        opcode::CLZ => SpecId::OSAKA,
        opcode::DUPN | opcode::SWAPN | opcode::EXCHANGE | opcode::SLOTNUM => SpecId::AMSTERDAM,
        _ => SpecId::FRONTIER,
    }
}
