//! A case as text, so that one that was found can be kept.
//!
//! One statement a line; `#` starts a comment:
//!
//! ```text
//! spec CANCUN
//! seed 12
//! gas-cap 60000
//! prices odd
//! memory-limit 4096
//! contract 0x6000..       code; `balance` and `slot` belong to the contract before them
//! balance 1000
//! slot 0x0 0x2a
//! call gas 100000 value 0 data 0x1234
//! create gas 100000 value 0 data 0x
//! ```

use std::{
    fmt::{self, Write as _},
    str::{FromStr, SplitWhitespace},
};

use revm::primitives::{U256, hardfork::SpecId, hex};

use crate::differential::{Call, Case, Contract, Prices, Target};

/// A line that is not understood.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct CaseTextError {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Case {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(text, "spec {:?}\nseed {}", self.spec, self.seed)?;
        if let Some(cap) = self.gas_cap {
            writeln!(text, "gas-cap {cap}")?;
        }
        if self.prices == Prices::Odd {
            writeln!(text, "prices odd")?;
        }
        if let Some(limit) = self.memory_limit {
            writeln!(text, "memory-limit {limit}")?;
        }
        for contract in &self.contracts {
            writeln!(text, "contract {}", hex::encode_prefixed(&contract.code))?;
            if contract.balance > 0 {
                writeln!(text, "balance {}", contract.balance)?;
            }
            for (key, value) in &contract.storage {
                writeln!(text, "slot {key:#x} {value:#x}")?;
            }
        }
        for call in &self.calls {
            let kind = match call.target {
                Target::Contract => "call",
                Target::Create => "create",
            };
            let data = hex::encode_prefixed(&call.data);
            writeln!(text, "{kind} gas {} value {} data {data}", call.gas, call.value)?;
        }
        Ok(())
    }
}

impl FromStr for Case {
    type Err = CaseTextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut case = Self {
            spec: SpecId::default(),
            seed: 0,
            gas_cap: None,
            prices: Prices::Fork,
            memory_limit: None,
            contracts: Vec::new(),
            calls: Vec::new(),
        };
        for (index, line) in text.lines().enumerate() {
            let statement = line.split('#').next().unwrap_or_default();
            case.add(&mut statement.split_whitespace())
                .map_err(|what| CaseTextError {
                    line: index + 1,
                    what,
                })?;
        }
        Ok(case)
    }
}

impl Case {
    /// The case with a comment, a line or more, above it.
    #[must_use]
    pub fn with_comment(&self, comment: &str) -> String {
        let mut text = String::new();
        for line in comment.lines() {
            let _ = writeln!(text, "# {line}");
        }
        let _ = write!(text, "{self}");
        text
    }

    fn add(&mut self, words: &mut SplitWhitespace<'_>) -> Result<(), String> {
        let Some(keyword) = words.next() else {
            return Ok(());
        };
        match keyword {
            "spec" => self.spec = spec(words)?,
            "seed" => self.seed = number(words)?,
            "gas-cap" => self.gas_cap = Some(number(words)?),
            "prices" => {
                self.prices = match next(words)? {
                    "odd" => Prices::Odd,
                    other => return Err(format!("no prices {other}")),
                };
            }
            "memory-limit" => self.memory_limit = Some(number(words)?),
            "contract" => self.contracts.push(Contract {
                code: bytes(words)?,
                ..Contract::default()
            }),
            "balance" => self.last_contract()?.balance = number(words)?,
            "slot" => {
                let slot = (word(words)?, word(words)?);
                self.last_contract()?.storage.push(slot);
            }
            "call" => self.calls.push(call(Target::Contract, words)?),
            "create" => self.calls.push(call(Target::Create, words)?),
            other => return Err(format!("no statement {other}")),
        }
        match words.next() {
            None => Ok(()),
            Some(extra) => Err(format!("{extra} is too much")),
        }
    }

    fn last_contract(&mut self) -> Result<&mut Contract, String> {
        self.contracts
            .last_mut()
            .ok_or_else(|| "belongs to a contract".to_owned())
    }
}

fn next<'t>(words: &mut SplitWhitespace<'t>) -> Result<&'t str, String> {
    words.next().ok_or_else(|| "something is missing".to_owned())
}

fn parse<T: FromStr<Err: fmt::Display>>(words: &mut SplitWhitespace<'_>) -> Result<T, String> {
    let word = next(words)?;
    word.parse().map_err(|error| format!("{word}: {error}"))
}

fn number(words: &mut SplitWhitespace<'_>) -> Result<u64, String> {
    parse(words)
}

fn word(words: &mut SplitWhitespace<'_>) -> Result<U256, String> {
    parse(words)
}

fn bytes(words: &mut SplitWhitespace<'_>) -> Result<Vec<u8>, String> {
    let word = next(words)?;
    hex::decode(word).map_err(|error| format!("{word}: {error}"))
}

fn spec(words: &mut SplitWhitespace<'_>) -> Result<SpecId, String> {
    let name = next(words)?;
    Case::spec_of_name(name).ok_or_else(|| format!("no fork {name}"))
}

fn call(target: Target, words: &mut SplitWhitespace<'_>) -> Result<Call, String> {
    let mut call = Call {
        target,
        gas: 0,
        value: 0,
        data: Vec::new(),
    };
    while let Some(field) = words.next() {
        match field {
            "gas" => call.gas = number(words)?,
            "value" => call.value = number(words)?,
            "data" => call.data = bytes(words)?,
            other => return Err(format!("a call has no {other}")),
        }
    }
    Ok(call)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::differential::{Choices, Dimensions, generate};

    #[test]
    fn a_case_survives_its_text() {
        for seed in 0..50 {
            let case = generate(&mut Choices::seeded(seed), &Dimensions::default());
            let text = case.with_comment("two\nlines");
            assert_eq!(text.parse::<Case>().expect("own text"), case, "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_its_line() {
        for (text, line) in [
            ("spec LONDON\nbalance 1", 2),
            ("spec NOWHERE", 1),
            ("contract 0x0", 1),
            ("\n\ncall gas", 3),
            ("seed 1 2", 1),
            ("call price 2", 1),
        ] {
            let error = text.parse::<Case>().expect_err(text);
            assert_eq!(error.line, line, "{text}: {error}");
        }
    }
}
