//! What a contract says of its jump destinations, read off without following it.

use revm::{bytecode::opcode as op, primitives::hardfork::SpecId};

use super::{contract::Contract, opcode::immediate_bytes};

/// How often a destination is named, and whether it begins a loop.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reference {
    pub(crate) count: u16,
    pub(crate) is_loop_start: bool,
}

/// For each program counter what is pushed of it anywhere in the code. Data that looks like code can add to it, which costs
/// nothing but a worse guess.
#[derive(Debug)]
pub(crate) struct References {
    by_pc: Vec<Reference>,
}

impl References {
    pub(crate) fn of(contract: &Contract<'_>) -> Self {
        let mut by_pc = vec![Reference::default(); contract.len()];
        let mut pc = 0;
        while pc < contract.len() {
            let opcode = contract.opcode(pc);
            let next = pc + 1 + immediate_bytes(opcode, contract.spec());
            if matches!(opcode, op::PUSH1..=op::PUSH4)
                && let Some(target) = contract.destination(contract.pushed(pc))
            {
                let jumps_now = matches!(contract.opcode(next), op::JUMP | op::JUMPI);
                let reference = &mut by_pc[target];
                reference.count = reference.count.saturating_add(1);
                reference.is_loop_start |= jumps_now && target <= pc;
            }
            pc = next;
        }
        Self { by_pc }
    }

    pub(crate) fn at(&self, pc: usize) -> Reference {
        self.by_pc.get(pc).copied().unwrap_or_default()
    }
}

/// Instructions from `pc` to the first that does not go straight on, at most `max`.
pub(crate) fn straight_length(contract: &Contract<'_>, mut pc: usize, max: usize) -> usize {
    let spec: SpecId = contract.spec();
    let mut count = 0;
    while count < max && pc < contract.len() {
        let opcode = contract.opcode(pc);
        count += 1;
        if matches!(
            opcode,
            op::JUMP | op::STOP | op::RETURN | op::REVERT | op::INVALID | op::SELFDESTRUCT
        ) {
            break;
        }
        pc += 1 + immediate_bytes(opcode, spec);
    }
    count
}
