//! What is promised of the ratios.

use super::sides::{SideId, SideKind};
use crate::scenario::ScenarioKind;
use serde::Serialize;

/// A promise: a side is at least so many times as fast as another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Target {
    /// Whom it is promised of.
    pub(crate) side: SideId,
    /// What it is compared with.
    pub(crate) against: SideId,
    /// The other's wall time to its own is at least this.
    pub(crate) at_least: f64,
}

/// Production with one worker is at least so fast compared with flat execution.
const ONE_WORKER: f64 = 0.97;

/// A hint that lies costs at most so many times what having none does.
const LIE_COST_MAX: f64 = 1.3;

/// Workers of the promises that were measured on two cores, and of those that were simulated.
const TWO: usize = 2;
const SIXTEEN: usize = 16;

/// What is promised of a block.
#[derive(Clone, Copy, Debug)]
struct Promised {
    /// At two workers, against revm's `State`.
    production: f64,
    /// At two workers, against revm's `State`.
    validation: f64,
    /// At two workers, against the list with the ordered committer.
    validation_against_committer: f64,
    /// At sixteen, against flat execution; from a model.
    production_of_sixteen: f64,
    /// At sixteen, against flat execution; from a model.
    validation_of_sixteen: f64,
}

const fn promised(kind: ScenarioKind) -> Option<Promised> {
    let (production, validation, validation_against_committer, production_of_sixteen) = match kind {
        ScenarioKind::Transfers => (4.5, 5.0, 5.0, 11.0),
        ScenarioKind::Erc20 => (2.1, 2.2, 2.5, 14.0),
        ScenarioKind::Erc20Hot16 => (2.0, 2.1, 2.4, 12.0),
        ScenarioKind::Erc20Hot1 => (1.15, 2.1, 2.4, 0.95),
        ScenarioKind::AmmHot => (0.98, 1.95, 1.2, 0.98),
        ScenarioKind::Amm => (1.95, 2.0, 1.2, 15.0),
        ScenarioKind::Counter => (2.0, 2.4, 3.0, 1.0),
        ScenarioKind::Chains100 => (1.9, 1.95, 1.9, 12.5),
        ScenarioKind::Mixed => (1.92, 1.98, 1.15, 11.0),
        ScenarioKind::Erc20Hot256
        | ScenarioKind::MixedShort
        | ScenarioKind::Hashing
        | ScenarioKind::Chain1
        | ScenarioKind::Circle => return None,
    };
    Some(Promised {
        production,
        validation,
        validation_against_committer,
        production_of_sixteen,
        validation_of_sixteen: 15.0,
    })
}

const fn side(kind: SideKind, workers: usize) -> SideId {
    SideId { kind, workers }
}

const fn target(own: SideId, against: SideId, at_least: f64) -> Target {
    Target {
        side: own,
        against,
        at_least,
    }
}

/// Everything that is promised of a block.
pub(crate) fn of_block(kind: ScenarioKind) -> Vec<Target> {
    let (revm, flat) = (
        SideId::sequential(SideKind::Revm),
        SideId::sequential(SideKind::Flat),
    );
    let mut targets = vec![target(side(SideKind::Production, 1), flat, ONE_WORKER)];
    if let Some(promised) = promised(kind) {
        let validation = side(SideKind::Validation, TWO);
        let committer = side(SideKind::Committer, TWO);
        targets.extend([
            target(side(SideKind::Production, TWO), revm, promised.production),
            target(validation, revm, promised.validation),
            target(validation, committer, promised.validation_against_committer),
            target(
                side(SideKind::Production, SIXTEEN),
                flat,
                promised.production_of_sixteen,
            ),
            target(
                side(SideKind::Validation, SIXTEEN),
                flat,
                promised.validation_of_sixteen,
            ),
        ]);
    }
    targets
}

/// Everything that is promised of a small block: as of a block, whatever the number of workers.
pub(crate) fn of_batch(workers: &[usize]) -> Vec<Target> {
    let flat = SideId::sequential(SideKind::Flat);
    let workers = workers.iter();
    workers
        .map(|&workers| target(side(SideKind::Production, workers), flat, ONE_WORKER))
        .collect()
}

/// Everything that is promised of a block whose hint lies.
pub(crate) fn of_lie(workers: &[usize]) -> Vec<Target> {
    let draft = SideId::sequential(SideKind::Draft);
    let workers = workers.iter();
    workers
        .map(|&workers| target(side(SideKind::Validation, workers), draft, 1.0 / LIE_COST_MAX))
        .collect()
}
