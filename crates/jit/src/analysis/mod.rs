//! From bytecode to traces: only what can be reached is decoded, and each trace runs on as far as its way is known.

mod contract;
pub(crate) mod ir;
mod memory;
mod opcode;
mod references;
mod stack;
mod trace;
pub(crate) mod values;

use revm::bytecode::Bytecode;

use self::{
    contract::Contract,
    ir::{Program, Row, Statement, Target, TraceId},
    references::{References, straight_length},
    trace::TraceBuilder,
};
use crate::{
    CompileError, CompileOptions, EndedStack, ExitReason, ExitRow, Limits, Rules, Tier, frame::NO_ENTRY,
};

/// Entries have numbers of 16 bits, of which one means none.
const ENTRIES_MAX: usize = NO_ENTRY as usize;

/// Instructions of a destination with several callers that are still copied into each, up to the next jump.
const COPIED_MAX: usize = 48;

/// Analyses a contract.
///
/// # Errors
/// [`CompileError::NotLegacy`] or [`CompileError::TooLarge`].
pub(crate) fn analyse(
    bytecode: &Bytecode,
    rules: &Rules,
    options: &CompileOptions,
) -> Result<Analysis, CompileError> {
    let contract = Contract::new(bytecode, rules, &options.limits)?;
    let references = References::of(&contract);
    let mut analysis = Analyser {
        entries: vec![None; contract.len()],
        covered: vec![false; contract.len()],
        queue: Vec::new(),
        program: Program::default(),
        copies_left: copies_allowed(contract.len(), options.tier),
        limits: options.limits,
        ended_stack: options.ended_stack,
        has_all_entries: false,
        references,
        contract,
    };
    analysis.run()?;
    let mut destinations = vec![false; analysis.contract.len()];
    for pc in analysis.contract.destinations() {
        destinations[pc] = true;
    }
    Ok(Analysis {
        destinations,
        entries: analysis.entries,
        program: analysis.program,
    })
}

/// Instructions that may be compiled more than once, for straight code without jumps and with known return addresses.
const fn copies_allowed(code_bytes: usize, tier: Tier) -> usize {
    match tier {
        Tier::Fast => code_bytes / 32,
        Tier::Optimising => code_bytes / 8 + 64,
    }
}

/// An analysed contract.
#[derive(Debug)]
pub(crate) struct Analysis {
    pub(crate) program: Program,
    /// The trace at each program counter.
    pub(crate) entries: Vec<Option<TraceId>>,
    /// Whether a jump may go to a program counter.
    pub(crate) destinations: Vec<bool>,
}

/// Code of so few instructions is not compiled if it has no loop: an entry and an exit cost what some 15 of the
/// interpreter's instructions do.
const SIMPLE_INSTRUCTIONS_MAX: usize = 20;

impl Analysis {
    /// Whether there is too little in the contract for compiled code to be faster.
    pub(crate) fn is_simple(&self) -> bool {
        self.program.instructions <= SIMPLE_INSTRUCTIONS_MAX
            && !self.program.traces.iter().enumerate().any(|(number, trace)| {
                trace.statements.iter().any(|statement| match statement {
                    Statement::Jump(target) | Statement::BranchIf { target, .. } => match target {
                        Target::Trace { id, .. } => id.0 as usize <= number,
                        Target::Dynamic { .. } => true,
                        Target::Exit(_) => false,
                    },
                    Statement::Repeat { .. } => true,
                    _ => false,
                })
            })
    }
}

/// The analysis at work.
#[derive(Debug)]
struct Analyser<'a> {
    contract: Contract<'a>,
    references: References,
    entries: Vec<Option<TraceId>>,
    /// Instructions that some trace has.
    covered: Vec<bool>,
    /// Traces to be built, with their place.
    queue: Vec<(TraceId, usize)>,
    program: Program,
    copies_left: usize,
    limits: Limits,
    ended_stack: EndedStack,
    /// Whether every jump destination is an entry.
    has_all_entries: bool,
}

impl Analyser<'_> {
    fn run(&mut self) -> Result<(), CompileError> {
        if self.contract.len() > 0 {
            self.entry(0);
        }
        let mut next = 0;
        while next < self.queue.len() {
            let (id, pc) = self.queue[next];
            debug_assert_eq!(id.0 as usize, self.program.traces.len());
            let trace = TraceBuilder::new(self, pc).build();
            self.program.instructions += trace.instructions;
            self.program.traces.push(trace);
            next += 1;
            self.check("blocks", self.queue.len(), self.limits.blocks.min(ENTRIES_MAX))?;
            self.check(
                "instructions",
                self.program.instructions,
                self.limits.instructions,
            )?;
        }
        Ok(())
    }

    const fn check(&self, what: &'static str, got: usize, limit: usize) -> Result<(), CompileError> {
        if got > limit {
            return Err(CompileError::TooLarge { what, got, limit });
        }
        Ok(())
    }

    /// The trace that starts at `pc`, to be built if it is not yet.
    fn entry(&mut self, pc: usize) -> TraceId {
        *self.entries[pc].get_or_insert_with(|| {
            let id = TraceId(self.queue.len() as u32);
            self.queue.push((id, pc));
            id
        })
    }

    /// Every jump destination becomes an entry: some jump computes where it goes.
    fn all_destinations_are_entries(&mut self) {
        if std::mem::replace(&mut self.has_all_entries, true) {
            return;
        }
        for pc in self.contract.destinations() {
            self.entry(pc);
        }
    }

    /// Whether a trace goes on at a destination instead of jumping to it.
    fn runs_on_into(&self, pc: usize) -> bool {
        let reference = self.references.at(pc);
        if reference.is_loop_start {
            return false;
        }
        if !self.covered[pc] && reference.count <= 1 {
            return true;
        }
        self.copies_left > 0 && straight_length(&self.contract, pc, COPIED_MAX + 1) <= COPIED_MAX
    }

    /// A trace has the instruction at `pc`.
    fn cover(&mut self, pc: usize) {
        if let Some(covered) = self.covered.get_mut(pc)
            && std::mem::replace(covered, true)
        {
            self.copies_left = self.copies_left.saturating_sub(1);
        }
    }

    fn row(&mut self, row: ExitRow) -> Row {
        self.program.rows.push(row);
        Row(self.program.rows.len() as u32 - 1)
    }

    fn refund(&mut self, row: Row, gas: u32) {
        self.program.rows[row.0 as usize].gas_refund = gas;
    }
}

/// A row without refund.
const fn exit_at(pc: usize, stack_delta: i16, reason: ExitReason) -> ExitRow {
    ExitRow {
        pc: pc as u32,
        gas_refund: 0,
        stack_delta,
        reason,
    }
}
