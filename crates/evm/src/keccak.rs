//! The KECCAK256 instruction with a memo of one and two words: the keys of arrays and mappings.

use alloy_primitives::KECCAK256_EMPTY;
use rapid_jit::keccak_memo;
use revm::{
    bytecode::opcode::KECCAK256,
    context_interface::Host,
    handler::instructions::EthInstructions,
    interpreter::{
        Instruction, InstructionContext, InstructionResult,
        interpreter::{EthInterpreter, resize_memory},
    },
    primitives::{U256, hardfork::SpecId},
};

/// The instructions of a fork. They are revm's own but for KECCAK256, which differs from it in speed alone: compiled
/// code may rely on what every opcode means and on the gas table.
pub(crate) fn instructions<H: Host>(spec: SpecId) -> EthInstructions<EthInterpreter, H> {
    let mut instructions = EthInstructions::new_mainnet_with_spec(spec);
    let gas = instructions.gas_table()[KECCAK256 as usize];
    instructions.insert_instruction(KECCAK256, Instruction::new(keccak256), gas);
    instructions
}

/// Hashes memory: same gas, same errors in the same order as revm's.
fn keccak256<H: Host + ?Sized>(
    context: InstructionContext<'_, H, EthInterpreter>,
) -> Result<(), InstructionResult> {
    let InstructionContext { interpreter, host } = context;
    let Some(([offset], top)) = interpreter.stack.popn_top::<1>() else {
        return Err(InstructionResult::StackUnderflow);
    };
    let len = index(top)?;
    if !interpreter
        .gas
        .record_regular_cost(host.gas_params().keccak256_cost(len))
    {
        return Err(InstructionResult::OutOfGas);
    }
    let hash = if len == 0 {
        KECCAK256_EMPTY
    } else {
        let offset = index(&offset)?;
        resize_memory(
            &mut interpreter.gas,
            &mut interpreter.memory,
            host.gas_params(),
            offset,
            len,
        )?;
        keccak_memo(&interpreter.memory.slice_len(offset, len))
    };
    *top = hash.into();
    Ok(())
}

/// A place in memory.
fn index(word: &U256) -> Result<usize, InstructionResult> {
    usize::try_from(*word).map_err(|_| InstructionResult::InvalidOperandOOG)
}
