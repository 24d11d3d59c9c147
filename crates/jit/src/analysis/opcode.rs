//! What the compiler knows of each opcode.

use revm::{
    bytecode::opcode::{self as op, OPCODE_INFO},
    primitives::hardfork::SpecId,
};

use super::ir::{Binary, Environment, Ternary, Unary};

/// How an instruction is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Push(u8),
    Pop,
    Dup(u8),
    Swap(u8),
    /// DUPN, SWAPN, EXCHANGE (EIP-8024): the immediate says which words.
    DupN,
    SwapN,
    Exchange,
    Unary(Unary),
    Binary(Binary),
    Ternary(Ternary),
    Environment(Environment),
    CalldataLoad,
    CodeSize,
    MemorySize,
    ProgramCounter,
    Gas,
    Exp,
    Keccak256,
    MemoryLoad,
    MemoryStore,
    MemoryStoreByte,
    Jump,
    JumpIf,
    JumpDestination,
    /// Run by the EVM's table; goes on behind it.
    Table,
    /// Run by the EVM's table; suspends the frame, which goes on behind it as a new entry.
    Suspend,
    /// Ends the frame or fails: left to the interpreter.
    Exit,
}

/// Words an opcode takes and gives; nothing for undefined ones.
pub(crate) const fn stack_io(opcode: u8) -> (u8, u8) {
    match &OPCODE_INFO[opcode as usize] {
        Some(info) => (info.inputs(), info.outputs()),
        None => (0, 0),
    }
}

/// Bytes that follow an opcode.
pub(crate) const fn immediate_bytes(opcode: u8, spec: SpecId) -> usize {
    match opcode {
        op::PUSH1..=op::PUSH32 => (opcode - op::PUSH1) as usize + 1,
        op::DUPN | op::SWAPN | op::EXCHANGE if spec.is_enabled_in(SpecId::AMSTERDAM) => 1,
        _ => 0,
    }
}

/// How `opcode` is compiled under a fork. Opcodes that the fork does not know exit, so that the interpreter says how
/// they fail.
pub(crate) fn kind(opcode: u8, spec: SpecId) -> Kind {
    if !spec.is_enabled_in(activation(opcode)) {
        return Kind::Exit;
    }
    match opcode {
        op::PUSH0 => Kind::Push(0),
        op::PUSH1..=op::PUSH32 => Kind::Push(opcode - op::PUSH0),
        op::DUP1..=op::DUP16 => Kind::Dup(opcode - op::DUP1 + 1),
        op::SWAP1..=op::SWAP16 => Kind::Swap(opcode - op::SWAP1 + 1),
        op::DUPN => Kind::DupN,
        op::SWAPN => Kind::SwapN,
        op::EXCHANGE => Kind::Exchange,
        op::POP => Kind::Pop,
        op::ISZERO => Kind::Unary(Unary::IsZero),
        op::NOT => Kind::Unary(Unary::Not),
        op::CLZ => Kind::Unary(Unary::CountLeadingZeros),
        op::ADDMOD => Kind::Ternary(Ternary::AddMod),
        op::MULMOD => Kind::Ternary(Ternary::MulMod),
        op::EXP => Kind::Exp,
        op::KECCAK256 => Kind::Keccak256,
        op::ADDRESS => Kind::Environment(Environment::Address),
        op::CALLER => Kind::Environment(Environment::Caller),
        op::CALLVALUE => Kind::Environment(Environment::CallValue),
        op::CALLDATASIZE => Kind::Environment(Environment::CalldataSize),
        op::RETURNDATASIZE => Kind::Environment(Environment::ReturnDataSize),
        op::CALLDATALOAD => Kind::CalldataLoad,
        op::CODESIZE => Kind::CodeSize,
        op::MSIZE => Kind::MemorySize,
        op::ORIGIN
        | op::GASPRICE
        | op::COINBASE
        | op::TIMESTAMP
        | op::NUMBER
        | op::DIFFICULTY
        | op::GASLIMIT
        | op::CHAINID
        | op::BASEFEE
        | op::BLOBBASEFEE
        | op::SELFBALANCE
        | op::SLOTNUM => Kind::Environment(Environment::Host(opcode)),
        op::PC => Kind::ProgramCounter,
        op::GAS => Kind::Gas,
        op::MLOAD => Kind::MemoryLoad,
        op::MSTORE => Kind::MemoryStore,
        op::MSTORE8 => Kind::MemoryStoreByte,
        op::JUMP => Kind::Jump,
        op::JUMPI => Kind::JumpIf,
        op::JUMPDEST => Kind::JumpDestination,
        op::CALL | op::CALLCODE | op::DELEGATECALL | op::STATICCALL | op::CREATE | op::CREATE2 => {
            Kind::Suspend
        }
        op::STOP | op::RETURN | op::REVERT | op::INVALID | op::SELFDESTRUCT => Kind::Exit,
        _ => match binary(opcode) {
            Some(binary) => Kind::Binary(binary),
            None if OPCODE_INFO[opcode as usize].is_some() => Kind::Table,
            None => Kind::Exit,
        },
    }
}

const fn binary(opcode: u8) -> Option<Binary> {
    Some(match opcode {
        op::ADD => Binary::Add,
        op::MUL => Binary::Mul,
        op::SUB => Binary::Sub,
        op::DIV => Binary::Div,
        op::SDIV => Binary::SDiv,
        op::MOD => Binary::Mod,
        op::SMOD => Binary::SMod,
        op::SIGNEXTEND => Binary::SignExtend,
        op::LT => Binary::Lt,
        op::GT => Binary::Gt,
        op::SLT => Binary::Slt,
        op::SGT => Binary::Sgt,
        op::EQ => Binary::Eq,
        op::AND => Binary::And,
        op::OR => Binary::Or,
        op::XOR => Binary::Xor,
        op::BYTE => Binary::Byte,
        op::SHL => Binary::Shl,
        op::SHR => Binary::Shr,
        op::SAR => Binary::Sar,
        _ => return None,
    })
}

/// The fork that brought an opcode, for those that are compiled and not run by the table.
const fn activation(opcode: u8) -> SpecId {
    match opcode {
        op::RETURNDATASIZE => SpecId::BYZANTIUM,
        op::SHL | op::SHR | op::SAR => SpecId::PETERSBURG,
        op::CHAINID | op::SELFBALANCE => SpecId::ISTANBUL,
        op::BASEFEE => SpecId::LONDON,
        op::PUSH0 => SpecId::SHANGHAI,
        op::BLOBBASEFEE => SpecId::CANCUN,
        op::CLZ => SpecId::OSAKA,
        op::DUPN | op::SWAPN | op::EXCHANGE | op::SLOTNUM => SpecId::AMSTERDAM,
        _ => SpecId::FRONTIER,
    }
}

/// The word that DUPN copies and SWAPN exchanges with the top, counted from the top as DUP does; `None` for immediates that
/// are not valid (EIP-8024).
pub(crate) const fn single_operand(immediate: u8) -> Option<u16> {
    match immediate {
        0..=90 | 128..=255 => Some((immediate as u16 + 145) % 256),
        _ => None,
    }
}

/// The two words that EXCHANGE exchanges, counted from the top as SWAP does (EIP-8024).
pub(crate) const fn exchange_operands(immediate: u8) -> Option<(u16, u16)> {
    if immediate > 81 && immediate < 128 {
        return None;
    }
    let k = (immediate ^ 143) as u16;
    let (q, r) = (k / 16, k % 16);
    if q < r {
        Some((q + 1, r + 1))
    } else {
        Some((r + 1, 29 - q))
    }
}
