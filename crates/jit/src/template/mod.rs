//! Traces to x86-64 machine code, statement by statement, in one pass over each.
//!
//! Values stay where they come to be for as long as that is possible: words of the EVM's stack in memory, results in
//! registers until others need these more, then in cells of the native stack. What happens rarely (exits, growing memory)
//! is put into a second stream of code behind the first.
//!
//! ```text
//!  traces | routines | cold parts of traces | constants
//! ```

mod arithmetic;
mod assembler;
mod compare;
mod control;
mod encoding;
mod input;
mod limbs;
mod loops;
mod memory;
mod multiply;
mod places;
mod routines;
mod scalar;
mod shift;
#[cfg(test)]
mod tests;
mod trace;
mod uses;
mod wide;
mod writes;

use self::{
    assembler::{Assembled, Assembler, Label},
    limbs::ConstantPool,
    places::{CELLS_MAX, Places},
    routines::Routines,
    trace::Emitter,
    uses::Uses,
    wide::Features,
};
use crate::{
    CompileError, CompileOptions,
    analysis::{Analysis, ir::Trace},
    emitted::Emitted,
};

/// Compiles all traces.
///
/// # Errors
/// [`CompileError::TooLarge`] if a trace needs more of the native stack than there is for it.
pub(crate) fn emit(analysis: &Analysis, options: &CompileOptions) -> Result<Emitted, CompileError> {
    emit_for(analysis, options, Features::detect())
}

fn emit_for(
    analysis: &Analysis,
    options: &CompileOptions,
    features: Features,
) -> Result<Emitted, CompileError> {
    let mut asm = Assembler::with_capacity(analysis.entries.len() * 12);
    let mut label_each = || -> Vec<Label> {
        let traces = analysis.program.traces.iter();
        traces.map(|_| asm.new_label()).collect()
    };
    let (traces, checked) = (label_each(), label_each());
    let routines = Routines::new(&mut asm);
    let mut emitter = Emitter {
        asm,
        features,
        forced_exits: options.forced_exits,
        code_len: analysis.entries.len(),
        traces: &traces,
        checked: &checked,
        program: &analysis.program,
        exits: vec![None; analysis.program.rows.len()],
        routines,
        pool: ConstantPool::default(),
        trace: &NO_TRACE,
        at: 0,
        uses: Uses::default(),
        places: Places::default(),
        widths: Vec::new(),
        carried: Vec::new(),
        counting: None,
        pending: Vec::new(),
    };
    for (number, trace) in analysis.program.traces.iter().enumerate() {
        emitter.trace(number, trace);
        emitter.check_cells()?;
    }
    let enter = emitter.routines();
    let assembled = emitter.finish();
    Ok(emitted(assembled, enter, &traces))
}

fn emitted(assembled: Assembled, enter: Label, traces: &[Label]) -> Emitted {
    Emitted {
        enter_offset: assembled.offset_of(enter) as usize,
        target_offsets: traces.iter().map(|&label| assembled.offset_of(label)).collect(),
        code: assembled.code,
    }
}

/// What an emitter is at before the first trace.
static NO_TRACE: Trace = Trace {
    stack_need: 0,
    stack_growth: 0,
    stack_row: crate::analysis::ir::Row(0),
    values: Vec::new(),
    statements: Vec::new(),
    carried: Vec::new(),
    instructions: 0,
};

impl Emitter<'_> {
    fn check_cells(&self) -> Result<(), CompileError> {
        let got = self.places.cells_high();
        if got > CELLS_MAX {
            return Err(CompileError::TooLarge {
                what: "cells of native stack",
                got: usize::from(got),
                limit: usize::from(CELLS_MAX),
            });
        }
        Ok(())
    }
}
