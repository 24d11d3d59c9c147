//! Runs a case in all modes.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use rapid_jit::Tier;

use crate::differential::{
    Call, Case, Choices, CodeCache, CodeKey, Compiled, Interpreted, Mismatch, Observation, Prestate, Sweep,
    choices::mix, mismatches, panics::panic_message,
};

/// A way to run compiled code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As in use.
    Compiled(Tier),
    /// Leaving it again and again at places that the case's seed and this number decide.
    Forced(Tier, u64),
}

impl Mode {
    /// The tier.
    #[must_use]
    pub const fn tier(self) -> Tier {
        match self {
            Self::Compiled(tier) | Self::Forced(tier, _) => tier,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compiled(tier) => write!(text, "{tier:?}"),
            Self::Forced(tier, number) => write!(text, "{tier:?}, exits forced ({number})"),
        }
    }
}

/// How a case is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The modes.
    pub modes: Vec<Mode>,
    /// Which gas limits.
    pub sweep: Sweep,
}

impl Default for Check {
    /// Both tiers, with and without forced exits.
    fn default() -> Self {
        Self {
            modes: vec![
                Mode::Compiled(Tier::Fast),
                Mode::Compiled(Tier::Optimising),
                Mode::Forced(Tier::Fast, 0),
                Mode::Forced(Tier::Optimising, 1),
            ],
            sweep: Sweep::default(),
        }
    }
}

/// A difference between compiled code and the interpreter.
#[derive(Clone, Debug)]
pub struct Finding {
    /// In which mode; `None` if the compiler itself failed.
    pub mode: Option<Mode>,
    /// Which of the case's calls.
    pub call: usize,
    /// With which gas limit.
    pub gas_limit: u64,
    /// What differs; empty if there was a panic or the compiler failed.
    pub mismatches: Vec<Mismatch>,
    /// What the panic or the compiler said.
    pub failure: Option<String>,
}

impl Finding {
    /// Whether two findings may have one cause: the same mode, the same kind of difference, the same panic.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let what = |finding: &Self| {
            let failure = finding.failure.as_deref().unwrap_or_default();
            failure.split(": ").take(2).collect::<Vec<_>>().join(": ")
        };
        let aspect = |finding: &Self| finding.mismatches.first().map(|mismatch| mismatch.aspect);
        self.mode == other.mode && aspect(self) == aspect(other) && what(self) == what(other)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mode {
            Some(mode) => write!(text, "{mode}: call {} with gas {}", self.call, self.gas_limit)?,
            None => write!(text, "compilation")?,
        }
        if let Some(failure) = &self.failure {
            write!(text, "\n  {failure}")?;
        }
        for mismatch in &self.mismatches {
            write!(
                text,
                "\n  {:?}, {}\n    expected {}\n    found    {}",
                mismatch.aspect, mismatch.place, mismatch.expected, mismatch.found
            )?;
        }
        Ok(())
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Cases.
    pub cases: u64,
    /// Transactions, the reference's not counted.
    pub transactions: u64,
    /// Times compiled code was entered.
    pub entered: u64,
    /// Times it was left for the interpreter.
    pub exits: u64,
    /// Contracts compiled.
    pub compiled: u64,
    /// Contracts that the compiler refused.
    pub refused: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.cases += other.cases;
        self.transactions += other.transactions;
        self.entered += other.entered;
        self.exits += other.exits;
        self.compiled += other.compiled;
        self.refused += other.refused;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            text,
            "{} cases, {} transactions, {} entries of compiled code, {} exits, {} compilations, {} refused",
            self.cases, self.transactions, self.entered, self.exits, self.compiled, self.refused
        )
    }
}

/// Contracts compiled for a case at most: its own and those it creates, per mode.
const CODES_MAX: usize = 512;

impl Check {
    /// Runs a case in every mode.
    ///
    /// # Errors
    /// The first difference.
    pub fn run(&self, case: &Case) -> Result<Tally, Box<Finding>> {
        let prestate = Prestate::new(case);
        let codes = CodeCache::new(CODES_MAX);
        let mut tally = Tally {
            cases: 1,
            ..Tally::default()
        };
        for (index, call) in case.calls.iter().enumerate() {
            let references = self.references(case, &prestate, call, index);
            for mode in &self.modes {
                let run = Run {
                    case,
                    prestate: &prestate,
                    codes: &codes,
                    mode: *mode,
                    call: index,
                };
                tally += run.compare(&references)?;
            }
        }
        if let Some(failure) = codes.failures().into_iter().next() {
            return Err(Box::new(Finding {
                mode: None,
                call: 0,
                gas_limit: 0,
                mismatches: Vec::new(),
                failure: Some(failure),
            }));
        }
        tally.compiled = codes.compiled();
        tally.refused = codes.refused();
        Ok(tally)
    }

    /// What the interpreter does with each gas limit.
    fn references(
        &self,
        case: &Case,
        prestate: &Prestate<'_>,
        call: &Call,
        index: usize,
    ) -> Vec<(u64, Observation)> {
        let mut evm = prestate.evm(Interpreted);
        let mut observe = |gas| evm.observe(prestate.transaction(call, gas));
        let ample = observe(call.gas);
        let mut choices = Choices::seeded(mix(case.seed, index as u64));
        let limits = self.sweep.limits(&mut choices, call.gas, &ample, &mut observe);
        let mut references = vec![(call.gas, ample)];
        references.extend(limits.into_iter().map(|gas| (gas, observe(gas))));
        references
    }
}

/// One call in one mode.
struct Run<'r> {
    case: &'r Case,
    prestate: &'r Prestate<'r>,
    codes: &'r CodeCache,
    mode: Mode,
    call: usize,
}

impl Run<'_> {
    fn compare(&self, references: &[(u64, Observation)]) -> Result<Tally, Box<Finding>> {
        let rules = self.case.prices.rules(self.case.spec);
        let runner = Compiled::new(|hash, bytecode| {
            let key = CodeKey {
                hash,
                rules: rules.fingerprint(),
                tier: self.mode.tier(),
                forcible: matches!(self.mode, Mode::Forced(..)),
            };
            self.codes.get(key, bytecode, &rules)
        });
        let mut evm = self.prestate.evm(runner);
        let call = &self.case.calls[self.call];
        for (gas_limit, expected) in references {
            if let Mode::Forced(_, number) = self.mode {
                evm.runner
                    .force_exits(mix(self.case.seed, mix(number, *gas_limit)));
            }
            let transaction = self.prestate.transaction(call, *gas_limit);
            let found = catch_unwind(AssertUnwindSafe(|| evm.observe(transaction)))
                .map_err(|panic| self.finding(*gas_limit, Vec::new(), Some(panic_message(&*panic))))?;
            let mismatches = mismatches(expected, &found);
            if !mismatches.is_empty() {
                return Err(self.finding(*gas_limit, mismatches, None));
            }
        }
        Ok(Tally {
            transactions: references.len() as u64,
            entered: evm.runner.counts.entered,
            exits: evm.runner.counts.exits.iter().sum(),
            ..Tally::default()
        })
    }

    fn finding(&self, gas_limit: u64, mismatches: Vec<Mismatch>, failure: Option<String>) -> Box<Finding> {
        Box::new(Finding {
            mode: Some(self.mode),
            call: self.call,
            gas_limit,
            mismatches,
            failure,
        })
    }
}
