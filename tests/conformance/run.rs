//! The run: one thread reads and unpacks, the others execute, one file of cases at a time.

use std::{
    any::Any,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::Instant,
};

use crossbeam_channel::{Receiver, Sender, bounded};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::{
    arguments::{Arguments, Selection},
    blockchain,
    compiled::Compilation,
    engine,
    executor::Executor,
    report::{Outcome, Report, Verdict},
    state,
    suite::Suite,
    transaction,
    vectors::{Vectors, for_each_file},
};

/// Files read ahead of the threads that execute them; some are tens of megabytes.
const READ_AHEAD: usize = 4;

/// Runs everything the arguments select, on all cores.
pub(crate) fn run(arguments: &Arguments) -> io::Result<Report> {
    let begun = Instant::now();
    let workers = thread::available_parallelism().map_or(2, Into::into);
    let (files, work) = bounded::<(Suite, Vectors)>(READ_AHEAD);
    let (done, results) = bounded(READ_AHEAD);
    let mut report = Report::default();
    let compilation = &Compilation::new(arguments.jit)?;
    let executor = &Executor::new(arguments.executor)?;
    thread::scope(|scope| {
        for _ in 0..workers {
            let (work, done) = (work.clone(), done.clone());
            scope.spawn(move || execute_files(&work, &done, &arguments.selection, compilation, executor));
        }
        drop((work, done));
        let reader = scope.spawn(move || {
            for_each_file(&arguments.paths, |vectors| {
                if let Some(suite) = Suite::of_path(&vectors.path) {
                    files.send((suite, vectors)).expect("workers outlive the reader");
                }
            })
        });
        for (outcomes, busy) in results {
            report.add(outcomes, busy);
        }
        reader.join().expect("the reader does not panic")
    })?;
    report.elapsed = begun.elapsed();
    report.compilation = compilation.summary();
    report.production = executor.summary();
    Ok(report)
}

fn execute_files(
    work: &Receiver<(Suite, Vectors)>,
    done: &Sender<(Vec<Outcome>, std::time::Duration)>,
    selection: &Selection,
    compilation: &Compilation,
    executor: &Executor,
) {
    for (suite, vectors) in work {
        let begun = Instant::now();
        let outcomes = match suite {
            Suite::Blockchain => execute_file(suite, &vectors, selection, |path, test| {
                blockchain::run(path, test, compilation, executor)
            }),
            Suite::State => execute_file(suite, &vectors, selection, |path, test| {
                state::run(path, test, compilation, executor)
            }),
            Suite::Transaction => execute_file(suite, &vectors, selection, transaction::run),
            Suite::Engine => execute_file(suite, &vectors, selection, |path, test| {
                engine::run(path, test, compilation, executor)
            }),
        };
        done.send((outcomes, begun.elapsed()))
            .expect("the report outlives the workers");
    }
}

fn execute_file<T: DeserializeOwned>(
    suite: Suite,
    vectors: &Vectors,
    selection: &Selection,
    run: impl Fn(&str, &T) -> Verdict,
) -> Vec<Outcome> {
    let path = &vectors.path;
    let outcome = |case: &str, verdict| Outcome {
        suite,
        path: path.clone(),
        case: case.to_owned(),
        verdict,
    };
    let unreadable = |error: serde_json::Error| Verdict::Failed(format!("cannot read the test: {error}"));
    // Cases that are not selected are not parsed.
    let cases: std::collections::BTreeMap<String, &RawValue> = match serde_json::from_slice(&vectors.json) {
        Ok(cases) => cases,
        Err(error) => return vec![outcome("", unreadable(error))],
    };
    cases
        .iter()
        .filter(|(case, _)| selection.contains(path, case))
        .map(|(case, json)| {
            let verdict = match serde_json::from_str::<T>(json.get()) {
                Ok(test) => catch_unwind(AssertUnwindSafe(|| run(path, &test)))
                    .unwrap_or_else(|panic| Verdict::Failed(format!("panicked: {}", message(&*panic)))),
                Err(error) => unreadable(error),
            };
            outcome(case, verdict)
        })
        .collect()
}

fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message")
}
