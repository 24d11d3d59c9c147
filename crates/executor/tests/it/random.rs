//! Random blocks with honest hints.

use rapid_executor::HintVerdict;

use crate::{
    bed::{FORKS, workers},
    programs::random_block,
};

/// Runs what a test runs for some seeds; more with `EXECUTOR_SEEDS`.
pub(crate) fn seeds(default: u64) -> std::ops::Range<u64> {
    let from_environment = std::env::var("EXECUTOR_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok());
    0..from_environment.unwrap_or(default)
}

#[test]
fn honest_hints_give_the_sequential_result() {
    let pools: Vec<_> = (1..=8).map(workers).collect();
    let (mut proven, mut valid, mut refused) = (0, 0, 0);
    for seed in seeds(150) {
        for fork in FORKS {
            let bed = random_block(seed, fork, 24);
            let pool = &pools[(seed % 8) as usize];
            let what = format!("seed {seed} of {fork:?} with {} workers", pool.count());
            match bed.assert_equal(pool, bed.hint(), &what) {
                Some(verdict) => {
                    valid += 1;
                    proven += u32::from(verdict == HintVerdict::Proven);
                }
                None => refused += 1,
            }
        }
    }
    assert!(refused > 0 && valid > refused, "{valid} valid, {refused} refused");
    assert!(proven * 10 > valid * 8, "{proven} of {valid} proven");
}

#[test]
fn an_empty_block_is_proven() {
    for fork in FORKS {
        let bed = random_block(1, fork, 0);
        let verdict = bed.assert_equal(&workers(2), bed.hint(), "nothing");
        assert_eq!(verdict, Some(HintVerdict::Proven), "{fork:?}");
    }
}
