//! The command line.

use std::{path::PathBuf, str::FromStr};

use alloy_primitives::keccak256;

pub(crate) const USAGE: &str = "usage: conformance PATH.. [--sample N] [--seed S] [--only TEXT] [--failures N] [--jit off|always|exits] \
     [--executor sequential|validation|production|production-amsterdam]";

/// What to run.
#[derive(Clone, Debug)]
pub(crate) struct Arguments {
    /// Archives and folders.
    pub(crate) paths: Vec<PathBuf>,
    /// Which of their cases.
    pub(crate) selection: Selection,
    /// Most failures printed with their reason.
    pub(crate) failures_shown: usize,
    /// What runs contracts.
    pub(crate) jit: JitMode,
    /// Who executes blocks.
    pub(crate) executor: ExecutorMode,
}

/// Who executes blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExecutorMode {
    /// One transaction after the other.
    Sequential,
    /// All workers at once, with a hint that sequential execution made.
    Validation,
    /// One after the other, and then made again by production from the state of the parent.
    Production,
    /// As before, and once more by the rules of Amsterdam.
    ProductionAmsterdam,
}

/// What runs contracts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JitMode {
    /// The interpreter.
    Off,
    /// Compiled code, from the first time on.
    Always,
    /// Compiled code that is left and entered again at random places.
    Exits,
}

/// Which cases to run.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    one_in: u64,
    seed: u64,
    only: Option<String>,
}

impl Arguments {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut parsed = Self {
            paths: Vec::new(),
            selection: Selection {
                one_in: 1,
                seed: 0,
                only: None,
            },
            failures_shown: 200,
            jit: JitMode::Off,
            executor: ExecutorMode::Sequential,
        };
        while let Some(argument) = arguments.next() {
            if !argument.starts_with("--") {
                parsed.paths.push(argument.into());
                continue;
            }
            let value = arguments
                .next()
                .ok_or_else(|| format!("{argument} needs a value"))?;
            match argument.as_str() {
                "--sample" => parsed.selection.one_in = number(&value)?,
                "--seed" => parsed.selection.seed = number(&value)?,
                "--failures" => parsed.failures_shown = number(&value)?,
                "--jit" => parsed.jit = value.parse()?,
                "--executor" => parsed.executor = value.parse()?,
                "--only" => parsed.selection.only = Some(value),
                other => return Err(format!("unknown option {other}")),
            }
        }
        if parsed.paths.is_empty() || parsed.selection.one_in == 0 {
            return Err("there must be a path, and --sample must be at least 1".to_owned());
        }
        Ok(parsed)
    }
}

impl FromStr for JitMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self::Off),
            "always" => Ok(Self::Always),
            "exits" => Ok(Self::Exits),
            other => Err(format!("--jit cannot be {other:?}")),
        }
    }
}

impl FromStr for ExecutorMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "sequential" => Ok(Self::Sequential),
            "validation" => Ok(Self::Validation),
            "production" => Ok(Self::Production),
            "production-amsterdam" => Ok(Self::ProductionAmsterdam),
            other => Err(format!("--executor cannot be {other:?}")),
        }
    }
}

impl Selection {
    /// Whether to run this case.
    pub(crate) fn contains(&self, path: &str, case: &str) -> bool {
        if let Some(only) = &self.only
            && !path.contains(only)
            && !case.contains(only)
        {
            return false;
        }
        if self.one_in == 1 {
            return true;
        }
        let hash = keccak256(format!("{}/{path}/{case}", self.seed));
        u64::from_be_bytes(hash[..8].try_into().expect("eight bytes")) % self.one_in == 0
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is not a number"))
}
