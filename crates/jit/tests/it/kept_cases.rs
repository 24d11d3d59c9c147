//! Cases that were once found to differ, or that are worth keeping for another reason: `tests/cases/*.case`.

use std::{fs, path::Path};

use rapid_testing::differential::{Case, Check};

#[test]
fn kept_cases_run_as_interpreted() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("there are cases") {
        let path = entry.expect("readable").path();
        if path.extension().is_none_or(|extension| extension != "case") {
            continue;
        }
        count += 1;
        let text = fs::read_to_string(&path).expect("readable");
        let case: Case = text
            .parse()
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if let Err(finding) = Check::default().run(&case) {
            wrong.push(format!("{}: {finding}", path.display()));
        }
    }
    assert!(count > 0, "no cases in {}", folder.display());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
