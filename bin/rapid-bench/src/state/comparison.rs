//! Comparisons, facts, and the tables they are shown in.

use super::{
    plan::{Row, StatePlan},
    turns::{Cost, Measured},
};
use crate::{
    compare::machine,
    measure::Spread,
    table::{Tabular, readable_time},
};
use serde::Serialize;

/// What was promised of a ratio.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// Ours is at least so many times cheaper than the reference: the ratio is the reference's cost to ours.
    Faster(f64),
    /// Ours costs at most so many times what the reference does: the ratio is our cost to the reference's.
    AtMost(f64),
}

impl Target {
    fn ratio(self, ours: f64, reference: f64) -> f64 {
        match self {
            Self::Faster(_) => reference / ours,
            Self::AtMost(_) => ours / reference,
        }
    }

    fn is_met(self, ratio: f64) -> bool {
        match self {
            Self::Faster(least) => ratio >= least,
            Self::AtMost(most) => ratio <= most,
        }
    }

    fn text(self) -> String {
        match self {
            Self::Faster(least) => format!(">= {least}x faster"),
            Self::AtMost(most) => format!("<= {most}x"),
        }
    }
}

/// What the numbers of a comparison count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    /// Nanoseconds.
    Nanoseconds,
    /// Bytes.
    Bytes,
}

impl Unit {
    fn text(self, value: f64) -> String {
        match self {
            Self::Nanoseconds => readable_time(value),
            Self::Bytes => format!("{value:.1} B"),
        }
    }
}

/// Ours against a reference.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Comparison {
    row: Row,
    what: String,
    unit: Unit,
    ours: Amounts,
    reference: Amounts,
    target: Target,
    ratio: Spread,
    /// The same by wall time.
    wall_ratio: Option<Spread>,
    is_met: bool,
}

/// What one side of a comparison came to.
#[derive(Clone, Debug, Serialize)]
struct Amounts {
    name: String,
    /// CPU time or bytes.
    amount: Spread,
    wall: Option<Spread>,
}

impl Amounts {
    fn of_times(side: &Measured) -> Self {
        Self {
            name: side.name.clone(),
            amount: Spread::of(side.costs.iter().map(|cost| cost.cpu_ns)),
            wall: Some(Spread::of(side.costs.iter().map(|cost| cost.wall_ns))),
        }
    }

    fn of_bytes(name: &str, bytes: f64) -> Self {
        Self {
            name: name.to_owned(),
            amount: Spread::of([bytes]),
            wall: None,
        }
    }
}

impl Comparison {
    /// Of times, round by round; the CPU's decide.
    pub(crate) fn of_times(
        row: Row,
        what: &str,
        ours: &Measured,
        reference: &Measured,
        target: Target,
    ) -> Self {
        let ratio = ratios(ours, reference, target, |cost| cost.cpu_ns);
        Self {
            row,
            what: what.to_owned(),
            unit: Unit::Nanoseconds,
            ours: Amounts::of_times(ours),
            reference: Amounts::of_times(reference),
            target,
            ratio,
            wall_ratio: Some(ratios(ours, reference, target, |cost| cost.wall_ns)),
            is_met: target.is_met(ratio.median),
        }
    }

    /// Of bytes.
    pub(crate) fn of_bytes(
        row: Row,
        what: &str,
        ours: (&str, f64),
        reference: (&str, f64),
        target: Target,
    ) -> Self {
        let ratio = target.ratio(ours.1, reference.1);
        Self {
            row,
            what: what.to_owned(),
            unit: Unit::Bytes,
            ours: Amounts::of_bytes(ours.0, ours.1),
            reference: Amounts::of_bytes(reference.0, reference.1),
            target,
            ratio: Spread::of([ratio]),
            wall_ratio: None,
            is_met: target.is_met(ratio),
        }
    }
}

fn ratios(ours: &Measured, reference: &Measured, target: Target, time: fn(&Cost) -> f64) -> Spread {
    let rounds = ours.costs.iter().zip(&reference.costs);
    Spread::of(rounds.map(|(ours, reference)| target.ratio(time(ours), time(reference))))
}

/// A number that explains the comparisons.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Fact {
    what: String,
    value: f64,
    unit: String,
}

/// What a group of rows came to.
#[derive(Debug, Default)]
pub(crate) struct Section {
    comparisons: Vec<Comparison>,
    facts: Vec<Fact>,
}

impl Section {
    /// Adds a comparison.
    pub(crate) fn compare(&mut self, comparison: Comparison) {
        self.comparisons.push(comparison);
    }

    /// Adds a fact.
    pub(crate) fn note(&mut self, what: impl Into<String>, value: f64, unit: &str) {
        self.facts.push(Fact {
            what: what.into(),
            value,
            unit: unit.to_owned(),
        });
    }
}

/// All rows that were measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: String,
    plan: StatePlan,
    comparisons: Vec<Comparison>,
    facts: Vec<Fact>,
}

impl Report {
    /// A report of nothing yet.
    pub(crate) fn new(plan: &StatePlan) -> Self {
        Self {
            machine: machine(),
            plan: plan.clone(),
            comparisons: Vec::new(),
            facts: Vec::new(),
        }
    }

    /// Adds what a group of rows came to, without the rows that nobody asked for.
    pub(crate) fn add(&mut self, section: Section) {
        let wanted = section.comparisons.into_iter();
        self.comparisons
            .extend(wanted.filter(|comparison| self.plan.wants(comparison.row)));
        self.comparisons.sort_by_key(|comparison| comparison.row);
        self.facts.extend(section.facts);
    }
}

#[cfg(test)]
impl Report {
    /// How many comparisons there are.
    pub(crate) const fn comparison_count(&self) -> usize {
        self.comparisons.len()
    }
}

/// The comparisons: the first table.
#[derive(Serialize)]
pub(crate) struct Comparisons<'a>(pub(crate) &'a Report);

impl Tabular for Comparisons<'_> {
    fn title(&self) -> String {
        format!(
            "State and roots, {}, CPU time of the thread, medians of {} alternating rounds (lowest to highest), seed {}",
            self.0.machine, self.0.plan.rounds, self.0.plan.seed
        )
    }

    fn heads(&self) -> Vec<String> {
        [
            "row",
            "measured",
            "ours",
            "wall",
            "reference",
            "",
            "wall",
            "ratio",
            "ratio by wall",
            "target",
            "met",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.0.comparisons.iter().map(comparison_row).collect()
    }
}

fn comparison_row(comparison: &Comparison) -> Vec<String> {
    let wall = |amounts: &Amounts| {
        amounts
            .wall
            .map(|wall| comparison.unit.text(wall.median))
            .unwrap_or_default()
    };
    vec![
        comparison.row.0.to_string(),
        comparison.what.clone(),
        spread_cell(&comparison.ours.amount, |value| comparison.unit.text(value)),
        wall(&comparison.ours),
        comparison.reference.name.clone(),
        spread_cell(&comparison.reference.amount, |value| comparison.unit.text(value)),
        wall(&comparison.reference),
        spread_cell(&comparison.ratio, ratio_text),
        comparison
            .wall_ratio
            .map(|ratio| ratio_text(ratio.median))
            .unwrap_or_default(),
        comparison.target.text(),
        if comparison.is_met { "yes" } else { "no" }.to_owned(),
    ]
}

fn spread_cell(spread: &Spread, text: impl Fn(f64) -> String) -> String {
    if spread.low == spread.high {
        return text(spread.median);
    }
    let (median, low, high) = (text(spread.median), text(spread.low), text(spread.high));
    format!("{median} ({low} to {high})")
}

fn ratio_text(ratio: f64) -> String {
    if ratio >= 100.0 {
        format!("{ratio:.0}x")
    } else {
        format!("{ratio:.2}x")
    }
}

/// The facts: the second table.
#[derive(Serialize)]
pub(crate) struct Facts<'a>(pub(crate) &'a Report);

impl Tabular for Facts<'_> {
    fn title(&self) -> String {
        "What explains them".to_owned()
    }

    fn heads(&self) -> Vec<String> {
        vec!["measured".to_owned(), "value".to_owned()]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.0
            .facts
            .iter()
            .map(|fact| vec![fact.what.clone(), format!("{} {}", number(fact.value), fact.unit)])
            .collect()
    }
}

fn number(value: f64) -> String {
    if value >= 1000.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(name: &str, times: &[f64]) -> Measured {
        Measured {
            name: name.to_owned(),
            costs: times.iter().map(|&ns| Cost::calculated(ns)).collect(),
        }
    }

    #[test]
    fn ratios_are_of_rounds() {
        let (ours, reference) = (
            side("ours", &[10.0, 20.0, 10.0]),
            side("other", &[30.0, 60.0, 50.0]),
        );
        let faster = Comparison::of_times(Row(1), "", &ours, &reference, Target::Faster(3.0));
        assert_eq!((faster.ratio.median, faster.ratio.high), (3.0, 5.0));
        assert!(faster.is_met);
        let at_most = Comparison::of_times(Row(1), "", &reference, &ours, Target::AtMost(2.9));
        assert!(!at_most.is_met);
    }

    #[test]
    fn rows_are_in_order_and_wanted() {
        let mut report = Report::new(&StatePlan {
            rows: vec![Row(1), Row(5)],
            ..StatePlan::small()
        });
        let bytes = |row| Comparison::of_bytes(row, "", ("", 1.0), ("", 2.0), Target::AtMost(1.0));
        for row in [5, 3, 1] {
            let mut section = Section::default();
            section.compare(bytes(Row(row)));
            report.add(section);
        }
        let rows: Vec<_> = report
            .comparisons
            .iter()
            .map(|comparison| comparison.row.0)
            .collect();
        assert_eq!(rows, [1, 5]);
        assert_eq!(
            Comparisons(&report).rows()[0].len(),
            Comparisons(&report).heads().len()
        );
    }
}
