//! What instructions cost.

use rapid_jit::Rules;
use revm::{
    context_interface::cfg::{GasParams, gas_params::GasId},
    interpreter::instructions::{GasTable, gas_table_spec},
    primitives::hardfork::SpecId,
};

/// Gas of a case's instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prices {
    /// The fork's.
    #[default]
    Fork,
    /// Others, as a chain with prices of its own would have them: whoever knows the fork's by heart is found out.
    Odd,
}

impl Prices {
    /// Static gas of each opcode.
    pub(crate) fn gas_table(self, spec: SpecId) -> GasTable {
        let mut table = gas_table_spec(spec);
        if self == Self::Odd {
            for (opcode, gas) in table.iter_mut().enumerate() {
                *gas += 1 + (opcode * 7 % 5) as u16;
            }
        }
        table
    }

    /// Parameters of dynamic gas.
    pub(crate) fn gas_params(self, spec: SpecId) -> GasParams {
        let mut params = GasParams::new_spec(spec);
        if self == Self::Odd {
            params.override_gas([
                (GasId::memory_linear_cost(), 5),
                (GasId::memory_quadratic_reduction(), 300),
                (GasId::keccak256_per_word(), 11),
                (GasId::exp_byte_gas(), 17),
                (GasId::copy_per_word(), 4),
                (GasId::logdata(), 3),
            ]);
        }
        params
    }

    /// The rules of an EVM with these prices.
    #[must_use]
    pub fn rules(self, spec: SpecId) -> Rules {
        Rules::new(spec, &self.gas_table(spec), &self.gas_params(spec))
    }
}
