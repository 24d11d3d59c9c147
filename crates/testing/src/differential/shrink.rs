//! Makes a failing case small.

use revm::primitives::{U256, hardfork::SpecId};

use crate::differential::{
    Case, Contract, Prices, Target,
    program::{Instruction, decode, encode},
};

/// The smallest case found that still fails, after at most so many attempts.
#[must_use]
pub fn shrink(case: &Case, attempts_max: usize, fails: &mut dyn FnMut(&Case) -> bool) -> Case {
    let mut search = Search {
        best: case.clone(),
        attempts: attempts_max,
        fails,
    };
    loop {
        let before = search.best.clone();
        search.calls();
        search.contracts();
        for index in 0..search.best.contracts.len() {
            search.delete_instructions(index);
        }
        search.surroundings();
        for index in 0..search.best.contracts.len() {
            search.simplify_instructions(index);
        }
        if search.best == before || search.attempts == 0 {
            return search.best;
        }
    }
}

struct Search<'f> {
    best: Case,
    attempts: usize,
    fails: &'f mut dyn FnMut(&Case) -> bool,
}

impl Search<'_> {
    /// Changes the best case if it fails then too.
    fn attempt(&mut self, change: impl FnOnce(&mut Case)) -> bool {
        if self.attempts == 0 {
            return false;
        }
        let mut candidate = self.best.clone();
        change(&mut candidate);
        if candidate == self.best {
            return false;
        }
        self.attempts -= 1;
        let better = (self.fails)(&candidate);
        if better {
            self.best = candidate;
        }
        better
    }

    fn calls(&mut self) {
        let mut index = 0;
        while self.best.calls.len() > 1 && index < self.best.calls.len() {
            let removed = self.attempt(|case| {
                case.calls.remove(index);
            });
            index += usize::from(!removed);
        }
    }

    fn contracts(&mut self) {
        while self.best.contracts.len() > 1
            && self.attempt(|case| {
                case.contracts.pop();
            })
        {}
        for index in 0..self.best.contracts.len() {
            self.attempt(|case| case.contracts[index] = Contract::default());
            self.attempt(|case| case.contracts[index].storage.clear());
            self.attempt(|case| case.contracts[index].balance = 0);
        }
    }

    fn surroundings(&mut self) {
        self.attempt(|case| case.gas_cap = None);
        self.attempt(|case| case.prices = Prices::Fork);
        self.attempt(|case| case.memory_limit = None);
        self.attempt(|case| case.spec = SpecId::OSAKA);
        for index in 0..self.best.calls.len() {
            self.attempt(|case| case.calls[index].value = 0);
            self.attempt(|case| case.calls[index].target = Target::Contract);
            self.attempt(|case| case.calls[index].data.clear());
            self.attempt(|case| {
                let half = case.calls[index].data.len() / 2;
                case.calls[index].data.truncate(half);
            });
            for at in (0..self.best.calls[index].data.len()).step_by(32) {
                self.attempt(|case| {
                    let data = &mut case.calls[index].data;
                    let end = (at + 32).min(data.len());
                    data[at..end].fill(0);
                });
            }
        }
    }

    /// Deletes runs of instructions, long ones first.
    fn delete_instructions(&mut self, contract: usize) {
        let mut run = decode(&self.best.contracts[contract].code).len();
        while run > 0 {
            let mut at = 0;
            loop {
                let instructions = decode(&self.best.contracts[contract].code);
                if at >= instructions.len() {
                    break;
                }
                let end = (at + run).min(instructions.len());
                let deleted = self.edit(contract, |instructions| {
                    instructions.drain(at..end);
                });
                if !deleted {
                    at += run;
                }
            }
            run /= 2;
        }
    }

    fn edit(&mut self, contract: usize, edit: impl FnOnce(&mut Vec<Instruction>)) -> bool {
        self.attempt(|case| {
            let mut instructions = decode(&case.contracts[contract].code);
            edit(&mut instructions);
            case.contracts[contract].code = encode(&instructions);
        })
    }

    /// Makes what is pushed simpler, and replaces what cannot be deleted.
    fn simplify_instructions(&mut self, contract: usize) {
        let mut at = 0;
        while at < decode(&self.best.contracts[contract].code).len() {
            let immediate = decode(&self.best.contracts[contract].code)[at].immediate.clone();
            if immediate.is_empty() {
                self.edit(contract, |instructions| instructions[at] = Instruction::nothing());
            } else {
                self.simplify_immediate(contract, at, &immediate);
            }
            at += 1;
        }
    }

    fn simplify_immediate(&mut self, contract: usize, at: usize, immediate: &[u8]) {
        let value = U256::try_from_be_slice(immediate).unwrap_or_default();
        for simpler in [
            U256::ZERO,
            U256::ONE,
            U256::from(2),
            value >> 128,
            value >> 8,
            value >> 1,
        ] {
            let replaced = self.edit(contract, |instructions| {
                let bytes = simpler.to_be_bytes::<32>();
                instructions[at].immediate = bytes[32 - immediate.len()..].to_vec();
            });
            if replaced {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::differential::{Choices, Dimensions, generate};
    use revm::bytecode::opcode::MULMOD;

    #[test]
    fn a_case_shrinks_to_what_makes_it_fail() {
        let uses_it = |case: &Case| {
            let code = |contract: &Contract| decode(&contract.code).iter().any(|it| it.opcode == MULMOD);
            case.contracts.iter().any(code)
        };
        let case = (0..)
            .map(|seed| generate(&mut Choices::seeded(seed), &Dimensions::default()))
            .find(uses_it)
            .expect("endless");
        let small = shrink(&case, 10_000, &mut |case| uses_it(case));
        let code: Vec<_> = small
            .contracts
            .iter()
            .flat_map(|contract| &contract.code)
            .collect();
        assert_eq!(code, [&MULMOD]);
        assert_eq!(small.calls.len(), 1);
        assert!(small.calls[0].data.is_empty());
    }
}
