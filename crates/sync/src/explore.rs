//! How tests run under a checker.

/// Schedules of each kind, where `RAPID_ITERATIONS` does not say how many.
#[cfg(shuttle)]
const ITERATIONS: usize = 1_000;

/// Changes of thread at places that matter, in schedules with few: most bugs need one or two.
#[cfg(shuttle)]
const PCT_DEPTH: usize = 3;

/// Steps of a test, at most: one that takes more goes round in circles.
#[cfg(shuttle)]
const STEPS_MAX: usize = 1_000_000;

/// Runs a test under random schedules, and under schedules with few changes of thread at random places (PCT).
///
/// # Panics
/// If the test does, or does not end. It prints the schedule, which `shuttle::replay` takes.
#[cfg(shuttle)]
pub fn explore(test: impl Fn() + Send + Sync + Copy + 'static) {
    use shuttle::{
        Config, MaxSteps, Runner,
        scheduler::{PctScheduler, RandomScheduler},
    };

    let iterations = std::env::var("RAPID_ITERATIONS")
        .map_or(ITERATIONS, |iterations| iterations.parse().expect("a number"));
    let mut config = Config::new();
    config.stack_size = 1 << 20;
    config.silence_warnings = true;
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    Runner::new(RandomScheduler::new(iterations), config.clone()).run(test);
    Runner::new(PctScheduler::new(PCT_DEPTH, iterations), config).run(test);
}

/// Runs a test under every schedule with at most so many preemptions, or as many as `LOOM_MAX_PREEMPTIONS` says, and with every
/// value that a read may see.
///
/// # Panics
/// If the test does, or does not end.
#[cfg(loom)]
pub fn explore(preemptions: usize, test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 100_000;
    builder.preemption_bound.get_or_insert(preemptions);
    let test = std::sync::Arc::new(test);
    builder.check(move || {
        let test = std::sync::Arc::clone(&test);
        // On a stack with more room than the first thread's.
        let tested = crate::thread::spawn(move || test());
        tested.join().expect("a test that panics has failed");
    });
}
