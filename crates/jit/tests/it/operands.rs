//! Every operation on every pair of edge operands.

use rapid_jit::Tier;
use rapid_testing::differential::{Check, Mode, Sweep, Tally, operand_cases};

#[test]
fn operations_give_what_the_interpreter_gives() {
    let check = Check {
        modes: vec![Mode::Compiled(Tier::Fast), Mode::Compiled(Tier::Optimising)],
        sweep: Sweep::NONE,
    };
    let mut total = Tally::default();
    let mut wrong = Vec::new();
    for (name, case) in operand_cases() {
        match check.run(&case) {
            Ok(tally) => total += tally,
            Err(finding) => wrong.push(format!("{name}: {finding}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(total.refused, 0, "{total}");
    assert!(total.entered >= total.transactions, "{total}");
}
