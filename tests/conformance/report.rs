//! What came out: counts by folder, failures with their reasons.

use std::{collections::BTreeMap, time::Duration};

use crate::suite::Suite;

/// What became of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Everything was as the test says.
    Passed,
    /// Something was not.
    Failed(String),
    /// Something was not, and [`crate::exceptions`] says why.
    Excepted(&'static str),
}

/// One case and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) suite: Suite,
    pub(crate) path: String,
    pub(crate) case: String,
    pub(crate) verdict: Verdict,
}

#[derive(Clone, Debug, Default)]
struct Tally {
    passed: usize,
    failed: usize,
    excepted: usize,
    busy: Duration,
}

/// What became of all of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    folders: BTreeMap<(Suite, String), Tally>,
    failures: Vec<Outcome>,
    apart: BTreeMap<String, usize>,
    /// From start to end.
    pub(crate) elapsed: Duration,
    /// What was compiled, if anything was.
    pub(crate) compilation: Option<String>,
    /// What production made, if it was asked to.
    pub(crate) production: Option<String>,
}

impl Report {
    /// Counts the cases of one file, which took `busy`.
    pub(crate) fn add(&mut self, outcomes: Vec<Outcome>, busy: Duration) {
        let Some(first) = outcomes.first() else {
            return;
        };
        let key = (first.suite, folder(&first.path));
        let tally = self.folders.entry(key).or_default();
        tally.busy += busy;
        for outcome in outcomes {
            match &outcome.verdict {
                Verdict::Passed => tally.passed += 1,
                Verdict::Failed(_) => {
                    tally.failed += 1;
                    self.failures.push(outcome);
                }
                Verdict::Excepted(reason) => {
                    tally.excepted += 1;
                    *self.apart.entry(format!("excepted: {reason}")).or_default() += 1;
                }
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.folders.is_empty()
    }

    pub(crate) const fn has_failures(&self) -> bool {
        !self.failures.is_empty()
    }

    /// Prints at most `failures_shown` failures, then the counts.
    pub(crate) fn print(&self, failures_shown: usize) {
        for failure in self.failures.iter().take(failures_shown) {
            if let Verdict::Failed(reason) = &failure.verdict {
                println!(
                    "FAILED {}\n       {}\n       {reason}",
                    failure.path, failure.case
                );
            }
        }
        if self.failures.len() > failures_shown {
            println!("and {} more failures", self.failures.len() - failures_shown);
        }
        let title = "folder";
        println!("\n{title:<66} passed failed except.  CPU s");
        let mut totals: BTreeMap<Suite, Tally> = BTreeMap::new();
        for ((suite, folder), tally) in &self.folders {
            print_line(folder, tally);
            totals.entry(*suite).or_default().absorb(tally);
        }
        println!();
        let mut total = Tally::default();
        for (suite, tally) in &totals {
            print_line(suite.name(), tally);
            total.absorb(tally);
        }
        print_line("all", &total);
        for (reason, count) in &self.apart {
            println!("{count} {reason}");
        }
        for line in self.compilation.iter().chain(&self.production) {
            println!("{line}");
        }
        println!("{:.1} s", self.elapsed.as_secs_f64());
    }
}

impl Tally {
    fn absorb(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.excepted += other.excepted;
        self.busy += other.busy;
    }
}

fn print_line(name: &str, tally: &Tally) {
    let Tally {
        passed,
        failed,
        excepted,
        busy,
    } = tally;
    println!(
        "{name:<66} {passed:>6} {failed:>6} {excepted:>7} {:>6.1}",
        busy.as_secs_f64()
    );
}

/// The folder a file is in, from the folder that names its suite on.
fn folder(path: &str) -> String {
    let folders: Vec<&str> = path.split('/').collect();
    let begin = folders
        .iter()
        .position(|folder| Suite::of_path(folder).is_some())
        .unwrap_or_default();
    folders[begin..folders.len() - 1].join("/")
}
