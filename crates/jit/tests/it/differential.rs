//! Random programs.

use rapid_testing::differential::{Check, Choices, Dimensions, Sweep, Tally, disassemble, generate};

/// Cases: about ten seconds of work. `jit-differential` runs more.
const CASES: u64 = 500;

#[test]
fn random_programs_run_as_interpreted() {
    let check = Check {
        sweep: Sweep {
            limits_max: 120,
            gas_max: 2_000_000,
        },
        ..Check::default()
    };
    let mut total = Tally::default();
    for seed in 0..CASES {
        let case = generate(&mut Choices::seeded(seed), &Dimensions::default());
        match check.run(&case) {
            Ok(tally) => total += tally,
            Err(finding) => panic!(
                "seed {seed}: {finding}\n{case}\n{}",
                disassemble(&case.contracts[0].code)
            ),
        }
    }
    println!("{total}");
    assert_eq!(total.cases, CASES);
    // That nothing differs says something only if compiled code ran, and was left and entered again.
    assert!(total.compiled > CASES, "{total}");
    assert!(total.entered > total.transactions, "{total}");
    assert!(total.exits > total.transactions / 4, "{total}");
}
