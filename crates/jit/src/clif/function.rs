//! One function of traces: the dispatch at its start, the ways out at its end.

use std::{mem::offset_of, ops::Range};

use cranelift_codegen::{
    Context,
    ir::{
        self, Block, BlockArg, BlockCall, ExtFuncData, ExternalName, FuncRef, InstBuilder, JumpTableData,
        MemFlagsData, SigRef, UserExternalName, UserFuncName, Value,
        types::{I16, I64},
    },
    isa::{CallConv, TargetFrontendConfig},
};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};

use super::{GROW, lower::TraceLowering, signature, trace_signature};
use crate::{
    CompileOptions, Frame,
    analysis::Analysis,
    frame::{ENDED, EXITED, NO_ENTRY},
};

/// Compiles the traces `range`.
#[derive(Debug)]
pub(super) struct FunctionCompiler<'a> {
    pub(super) analysis: &'a Analysis,
    pub(super) options: &'a CompileOptions,
    pub(super) range: Range<usize>,
}

/// The parts of a function that all its traces use.
pub(super) struct FunctionParts {
    pub(super) frame: Value,
    /// First trace of this function; its block is the first of `traces`.
    pub(super) first: u32,
    /// Blocks with parameters `sp` and `gas`.
    pub(super) traces: Vec<Block>,
    /// Block with parameters `sp`, `gas`, and the number of an entry somewhere.
    pub(super) dispatch: Block,
    /// Block with parameters `sp`, `gas` and row.
    pub(super) exit: Block,
    /// Block without parameters.
    pub(super) ended: Block,
    pub(super) grow: FuncRef,
    pub(super) signatures: Signatures,
}

/// Types of what is called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signatures {
    /// Tail: another function of traces.
    pub(super) trace: SigRef,
    /// `operation(result, operands)`.
    pub(super) two: SigRef,
    /// `hash(result, start, len)` and `read(result, frame, offset)`.
    pub(super) three: SigRef,
    /// `table_op(frame, operation) -> status`.
    pub(super) two_to_one: SigRef,
}

/// Loads and stores that cannot fault.
pub(super) const fn trusted() -> MemFlagsData {
    MemFlagsData::new().with_notrap()
}

/// Offset of a field of [`Frame`], as an instruction has it.
macro_rules! field {
    ($name:ident) => {
        std::mem::offset_of!(crate::Frame, $name) as i32
    };
}
pub(super) use field;

impl FunctionCompiler<'_> {
    pub(super) fn define(
        &self,
        context: &mut Context,
        builder_context: &mut FunctionBuilderContext,
        config: TargetFrontendConfig,
    ) {
        context.func.signature = trace_signature();
        context.func.name = UserFuncName::user(1, self.range.start as u32);
        let mut builder = FunctionBuilder::new(&mut context.func, builder_context);
        let parts = self.parts(&mut builder);
        for (index, trace) in self.analysis.program.traces[self.range.clone()]
            .iter()
            .enumerate()
        {
            TraceLowering::new(&mut builder, &parts, self.analysis, self.options, trace)
                .lower(parts.traces[index]);
        }
        define_dispatch(&mut builder, &parts);
        define_exits(&mut builder, &parts);
        builder.seal_all_blocks();
        builder.finalize(config);
    }

    fn parts(&self, builder: &mut FunctionBuilder<'_>) -> FunctionParts {
        let start = builder.create_block();
        builder.append_block_params_for_function_params(start);
        let &[frame, sp, gas, entry] = builder.block_params(start) else {
            unreachable!("the signature has four parameters");
        };
        let traces = self.range.clone().map(|_| block_with(builder, 2)).collect();
        let parts = FunctionParts {
            frame,
            first: self.range.start as u32,
            traces,
            dispatch: block_with(builder, 3),
            exit: block_with(builder, 3),
            ended: builder.create_block(),
            grow: import_grow(builder),
            signatures: Signatures {
                trace: builder.import_signature(trace_signature()),
                two: builder.import_signature(signature(CallConv::SystemV, 2, 0)),
                three: builder.import_signature(signature(CallConv::SystemV, 3, 0)),
                two_to_one: builder.import_signature(signature(CallConv::SystemV, 2, 1)),
            },
        };
        builder.switch_to_block(start);
        builder
            .ins()
            .jump(parts.dispatch, &[sp.into(), gas.into(), entry.into()]);
        parts
    }
}

/// A block with 64-bit parameters.
pub(super) fn block_with(builder: &mut FunctionBuilder<'_>, parameters: usize) -> Block {
    let block = builder.create_block();
    for _ in 0..parameters {
        builder.append_block_param(block, I64);
    }
    block
}

/// Goes to an entry: a block here, or another function.
fn define_dispatch(builder: &mut FunctionBuilder<'_>, parts: &FunctionParts) {
    builder.switch_to_block(parts.dispatch);
    let &[sp, gas, entry] = builder.block_params(parts.dispatch) else {
        unreachable!("made with three parameters");
    };
    let elsewhere = builder.create_block();
    let first = builder.ins().iconst(I64, i64::from(parts.first));
    let local = builder.ins().isub(entry, first);
    let local = builder.ins().ireduce(ir::types::I32, local);
    let arguments: [BlockArg; 2] = [sp.into(), gas.into()];
    let pool = &mut builder.func.dfg.value_lists;
    let table: Vec<_> = parts
        .traces
        .iter()
        .map(|&block| BlockCall::new(block, arguments, pool))
        .collect();
    let default = BlockCall::new(elsewhere, [], pool);
    let table = builder.create_jump_table(JumpTableData::new(default, &table));
    builder.ins().br_table(local, table);
    builder.switch_to_block(elsewhere);
    let targets = builder.ins().load(I64, trusted(), parts.frame, field!(targets));
    let three = builder.ins().iconst(I64, 3);
    let offset = builder.ins().ishl(entry, three);
    let place = builder.ins().iadd(targets, offset);
    let target = builder.ins().load(I64, trusted(), place, 0);
    builder
        .ins()
        .return_call_indirect(parts.signatures.trace, target, &[parts.frame, sp, gas, entry]);
}

fn define_exits(builder: &mut FunctionBuilder<'_>, parts: &FunctionParts) {
    builder.switch_to_block(parts.exit);
    let &[sp, gas, row] = builder.block_params(parts.exit) else {
        unreachable!("made with three parameters");
    };
    builder.ins().store(trusted(), sp, parts.frame, field!(sp));
    builder.ins().store(trusted(), gas, parts.frame, field!(gas));
    builder
        .ins()
        .istore32(trusted(), row, parts.frame, field!(exit_row));
    let status = builder.ins().iconst(I64, EXITED as i64);
    builder.ins().return_(&[status]);
    builder.switch_to_block(parts.ended);
    let status = builder.ins().iconst(I64, ENDED as i64);
    builder.ins().return_(&[status]);
}

/// The number of the entry at the jump destination `pc`, which is within the contract, and whether there is none.
pub(super) fn entry_at(builder: &mut FunctionBuilder<'_>, frame: Value, pc: Value) -> (Value, Value) {
    let destinations = builder.ins().load(I64, trusted(), frame, field!(destinations));
    let one = builder.ins().iconst(I64, 1);
    let offset = builder.ins().ishl(pc, one);
    let place = builder.ins().iadd(destinations, offset);
    let entry = builder.ins().load(I16, trusted(), place, 0);
    let entry = builder.ins().uextend(I64, entry);
    let none = builder.ins().iconst(I64, i64::from(NO_ENTRY));
    let is_none = builder.ins().icmp(ir::condcodes::IntCC::Equal, entry, none);
    (entry, is_none)
}

/// [`crate::frame::Enter`].
pub(super) fn define_enter(
    context: &mut Context,
    builder_context: &mut FunctionBuilderContext,
    config: TargetFrontendConfig,
) {
    context.func.signature = signature(CallConv::SystemV, 2, 1);
    context.func.name = UserFuncName::user(0, 1);
    let mut builder = FunctionBuilder::new(&mut context.func, builder_context);
    let start = builder.create_block();
    builder.append_block_params_for_function_params(start);
    builder.switch_to_block(start);
    let &[frame, entry] = builder.block_params(start) else {
        unreachable!("the signature has two parameters");
    };
    let trace = builder.import_signature(trace_signature());
    let sp = builder.ins().load(I64, trusted(), frame, field!(sp));
    let gas = builder.ins().load(I64, trusted(), frame, field!(gas));
    let targets = builder.ins().load(I64, trusted(), frame, field!(targets));
    let three = builder.ins().iconst(I64, 3);
    let offset = builder.ins().ishl(entry, three);
    let place = builder.ins().iadd(targets, offset);
    let target = builder.ins().load(I64, trusted(), place, 0);
    let call = builder
        .ins()
        .call_indirect(trace, target, &[frame, sp, gas, entry]);
    let status = builder.inst_results(call)[0];
    builder.ins().return_(&[status]);
    builder.seal_all_blocks();
    builder.finalize(config);
}

/// `grow(frame, gas, end)`: keeps all registers, so that code which seldom calls it need not.
pub(super) fn define_grow(
    context: &mut Context,
    builder_context: &mut FunctionBuilderContext,
    config: TargetFrontendConfig,
) {
    context.func.signature = grow_signature();
    context.func.name = UserFuncName::user(0, GROW);
    let mut builder = FunctionBuilder::new(&mut context.func, builder_context);
    let start = builder.create_block();
    builder.append_block_params_for_function_params(start);
    builder.switch_to_block(start);
    let &[frame, gas, end] = builder.block_params(start) else {
        unreachable!("the signature has three parameters");
    };
    let callee = builder.import_signature(signature(CallConv::SystemV, 2, 1));
    builder.ins().store(trusted(), gas, frame, field!(gas));
    let grow = builder
        .ins()
        .load(I64, trusted(), frame, offset_of!(Frame, grow) as i32);
    let call = builder.ins().call_indirect(callee, grow, &[frame, end]);
    let status = builder.inst_results(call)[0];
    builder.ins().store(trusted(), status, frame, field!(grow_status));
    builder.ins().return_(&[]);
    builder.seal_all_blocks();
    builder.finalize(config);
}

fn grow_signature() -> ir::Signature {
    signature(CallConv::PreserveAll, 3, 0)
}

fn import_grow(builder: &mut FunctionBuilder<'_>) -> FuncRef {
    let signature = builder.import_signature(grow_signature());
    let name = builder.func.declare_imported_user_function(UserExternalName {
        namespace: 0,
        index: GROW,
    });
    builder.import_function(ExtFuncData {
        name: ExternalName::user(name),
        signature,
        colocated: true,
        patchable: false,
    })
}
