//! The sets of rules that EVMs in this process run under.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use revm::{
    context_interface::cfg::GasParams, interpreter::instructions::GasTable, primitives::hardfork::SpecId,
};

use crate::Rules;

/// Sets of rules. There are about twenty forks; an EVM with rules beyond these is interpreted.
const RULES_MAX: usize = 48;

/// Number of a set of rules in the [`RulesList`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct RulesId(u8);

/// Numbers the sets of rules as they come. Only grows; read without a lock, because every new EVM asks.
#[derive(Debug)]
pub(super) struct RulesList {
    known: [OnceLock<Box<Known>>; RULES_MAX],
    growing: Mutex<()>,
}

#[derive(Debug)]
struct Known {
    gas_table: GasTable,
    rules: Arc<Rules>,
}

impl Known {
    fn is(&self, spec: SpecId, gas_table: &GasTable, gas_params: &GasParams) -> bool {
        self.rules.spec() == spec && self.gas_table == *gas_table && self.rules.gas_params() == gas_params
    }
}

impl RulesList {
    pub(super) const fn new() -> Self {
        Self {
            known: [const { OnceLock::new() }; RULES_MAX],
            growing: Mutex::new(()),
        }
    }

    /// The number of these rules, unless the list is full.
    ///
    /// Compares tables, which takes a tenth of the time of hashing them.
    pub(super) fn id(&self, spec: SpecId, gas_table: &GasTable, gas_params: &GasParams) -> Option<RulesId> {
        self.find(|known| known.is(spec, gas_table, gas_params))
            .or_else(|| self.add(spec, gas_table, gas_params))
    }

    #[cold]
    fn add(&self, spec: SpecId, gas_table: &GasTable, gas_params: &GasParams) -> Option<RulesId> {
        let _growing = self.growing.lock();
        if let Some(id) = self.find(|known| known.is(spec, gas_table, gas_params)) {
            return Some(id);
        }
        let at = self.known.iter().position(|known| known.get().is_none())?;
        self.known[at].get_or_init(|| {
            Box::new(Known {
                gas_table: *gas_table,
                rules: Arc::new(Rules::new(spec, gas_table, gas_params)),
            })
        });
        u8::try_from(at).ok().map(RulesId)
    }

    fn find(&self, is: impl Fn(&Known) -> bool) -> Option<RulesId> {
        let at = self
            .known
            .iter()
            .map_while(OnceLock::get)
            .position(|known| is(known))?;
        u8::try_from(at).ok().map(RulesId)
    }

    /// The rules with a number that this list gave.
    pub(super) fn rules(&self, id: RulesId) -> Option<&Arc<Rules>> {
        self.known.get(usize::from(id.0))?.get().map(|known| &known.rules)
    }
}

#[cfg(test)]
mod tests {
    use revm::interpreter::instructions::gas_table_spec;

    use super::*;

    #[test]
    fn equal_rules_have_one_number() {
        let list = RulesList::new();
        let spec = SpecId::CANCUN;
        let (table, params) = (gas_table_spec(spec), GasParams::new_spec(spec));
        let id = list.id(spec, &table, &params);
        assert!(id.is_some());
        assert_eq!(list.id(spec, &table, &params), id);
        let mut dearer = table;
        dearer[1] += 1;
        assert_ne!(list.id(spec, &dearer, &params), id);
        assert_ne!(list.id(SpecId::OSAKA, &table, &params), id);
    }

    #[test]
    fn full_list_gives_no_number() {
        let list = RulesList::new();
        let spec = SpecId::CANCUN;
        let params = GasParams::new_spec(spec);
        let mut table = gas_table_spec(spec);
        for price in 0..RULES_MAX as u16 {
            table[1] = price;
            assert!(list.id(spec, &table, &params).is_some());
        }
        table[1] = u16::MAX;
        assert_eq!(list.id(spec, &table, &params), None);
        table[1] = 0;
        assert!(
            list.id(spec, &table, &params).is_some(),
            "what is known stays known"
        );
    }
}
