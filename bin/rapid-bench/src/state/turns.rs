//! Sides that take turns.

use crate::clock::Elapsed;
use serde::Serialize;

/// What an operation costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Cost {
    /// CPU time of the measuring thread in nanoseconds.
    pub(crate) cpu_ns: f64,
    /// Wall time in nanoseconds.
    pub(crate) wall_ns: f64,
}

impl Cost {
    /// Of each of `operations` that took so long together.
    pub(crate) fn per_operation(elapsed: Elapsed, operations: u64) -> Self {
        let per = |time: std::time::Duration| time.as_secs_f64() * 1e9 / operations as f64;
        Self {
            cpu_ns: per(elapsed.cpu),
            wall_ns: per(elapsed.wall),
        }
    }

    /// Of a whole piece of work.
    pub(crate) fn of(elapsed: Elapsed) -> Self {
        Self::per_operation(elapsed, 1)
    }

    /// Of work that was not done, from the time that its parts take.
    pub(crate) const fn calculated(ns: f64) -> Self {
        Self {
            cpu_ns: ns,
            wall_ns: ns,
        }
    }
}

/// One way of doing the work of a comparison, and what it cost in each round.
pub(crate) struct Side<'a> {
    /// Its name.
    pub(crate) name: String,
    sample: Box<dyn FnMut(usize) -> eyre::Result<Cost> + 'a>,
    costs: Vec<Cost>,
}

impl<'a> Side<'a> {
    /// A side whose cost in a round `sample` measures.
    pub(crate) fn new(name: &str, sample: impl FnMut(usize) -> eyre::Result<Cost> + 'a) -> Self {
        Self {
            name: name.to_owned(),
            sample: Box::new(sample),
            costs: Vec::new(),
        }
    }

    /// What it cost, without the means to go on.
    pub(crate) fn measured(self) -> Measured {
        Measured {
            name: self.name,
            costs: self.costs,
        }
    }
}

/// A side after its last round.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// Its name.
    pub(crate) name: String,
    /// What it cost in each round.
    pub(crate) costs: Vec<Cost>,
}

/// Lets the sides take turns; who begins changes with each round.
///
/// # Errors
/// The first error of a side.
pub(crate) fn alternate(rounds: usize, mut sides: Vec<Side<'_>>) -> eyre::Result<Vec<Measured>> {
    let count = sides.len();
    for round in 0..rounds {
        for turn in 0..count {
            let side = &mut sides[(round + turn) % count];
            let cost = (side.sample)(round)?;
            side.costs.push(cost);
        }
    }
    Ok(sides.into_iter().map(Side::measured).collect())
}

/// The side of this name, if it took part.
pub(crate) fn find<'a>(measured: &'a [Measured], name: &str) -> Option<&'a Measured> {
    measured.iter().find(|side| side.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn who_begins_changes() {
        let order = RefCell::new(Vec::new());
        let side = |name: &'static str| {
            let order = &order;
            Side::new(name, move |round| {
                order.borrow_mut().push(name);
                Ok(Cost::calculated(round as f64))
            })
        };
        let measured = alternate(2, vec![side("a"), side("b")]).unwrap();
        assert_eq!(measured[1].costs, [Cost::calculated(0.0), Cost::calculated(1.0)]);
        assert_eq!(order.into_inner(), ["a", "b", "b", "a"]);
    }
}
