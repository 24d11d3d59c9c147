//! What machine code depends on besides the bytecode: fork, gas table and dynamic gas parameters.

use std::hash::{DefaultHasher, Hash, Hasher};

use revm::{
    context_interface::cfg::GasParams,
    interpreter::instructions::{GasTable, gas_table_spec},
    primitives::hardfork::SpecId,
};

/// The EVM's configuration as far as compiled code depends on it. Part of the key of every compilation: two EVMs
/// share code only if their [`fingerprint`](Self::fingerprint)s agree.
///
/// The instruction table is not part of it: compiled code calls the table of the EVM it runs in, and knows the meaning
/// of the opcodes it handles itself. An EVM whose table was customised must not run compiled code.
#[derive(Clone, Debug)]
pub struct Rules {
    spec: SpecId,
    gas_table: GasTable,
    gas_params: GasParams,
    fingerprint: u64,
}

impl Rules {
    /// The rules of an EVM.
    #[must_use]
    pub fn new(spec: SpecId, gas_table: &GasTable, gas_params: &GasParams) -> Self {
        let mut hasher = DefaultHasher::new();
        (spec as u8).hash(&mut hasher);
        gas_table.hash(&mut hasher);
        gas_params.table().hash(&mut hasher);
        Self {
            spec,
            gas_table: *gas_table,
            gas_params: gas_params.clone(),
            fingerprint: hasher.finish(),
        }
    }

    /// The rules of a fork of Ethereum.
    #[must_use]
    pub fn ethereum(spec: SpecId) -> Self {
        Self::new(spec, &gas_table_spec(spec), &GasParams::new_spec(spec))
    }

    /// Which fork's opcodes are active.
    #[must_use]
    pub const fn spec(&self) -> SpecId {
        self.spec
    }

    /// Static gas of an opcode.
    #[must_use]
    pub const fn static_gas(&self, opcode: u8) -> u64 {
        self.gas_table[opcode as usize] as u64
    }

    /// Parameters of dynamic gas.
    #[must_use]
    pub const fn gas_params(&self) -> &GasParams {
        &self.gas_params
    }

    /// Equal for equal rules, within one build of this program.
    #[must_use]
    pub const fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}
