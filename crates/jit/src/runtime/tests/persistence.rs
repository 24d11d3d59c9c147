//! The profile over restarts.

use std::path::Path;

use super::*;

fn with_profile(path: &Path) -> RuntimeConfig {
    RuntimeConfig {
        profile: Some(path.to_owned()),
        ..blocking()
    }
}

#[test]
fn hot_contracts_are_compiled_at_first_sight_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("profile");
    let (fast, optimised, cold) = (Contract::new(1), Contract::new(2), Contract::new(3));
    {
        let bed = Bed::new(with_profile(&path), succeed);
        let mut session = bed.session();
        burn(&mut session, &fast, HOT);
        find(&mut session, &fast);
        burn(&mut session, &optimised, HOT);
        burn(&mut session, &optimised, 20 * HOT);
        find(&mut session, &optimised);
        burn(&mut session, &cold, HOT / 2);
        bed.runtime.shared().save_profile();
    }
    let bed = Bed::new(with_profile(&path), succeed);
    let mut other_rules = session_of(&bed.runtime, SpecId::OSAKA);
    assert_eq!(find(&mut other_rules, &fast), None);
    let mut session = bed.session();
    assert_eq!(find(&mut session, &fast), Some(Tier::Fast));
    assert_eq!(find(&mut session, &optimised), Some(Tier::Optimising));
    assert_eq!(find(&mut session, &cold), None);
    assert_eq!(bed.compiled(), [(1, Tier::Fast), (2, Tier::Optimising)]);
}

#[test]
fn unseen_contracts_are_carried_over_for_some_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("profile");
    {
        let bed = Bed::new(with_profile(&path), succeed);
        burn(&mut bed.session(), &Contract::new(1), HOT);
        find(&mut bed.session(), &Contract::new(1));
        burn(&mut bed.session(), &Contract::new(1), HOT);
        bed.runtime.shared().save_profile();
    }
    let mut restarts = 0;
    while !crate::runtime::profile::read(&path).unwrap().is_empty() {
        Bed::new(with_profile(&path), succeed)
            .runtime
            .shared()
            .save_profile();
        restarts += 1;
        assert!(restarts < 100, "never forgotten");
    }
    assert!(restarts > 1, "forgotten at once");
}

#[test]
fn damaged_profile_is_no_obstacle() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("profile");
    std::fs::write(&path, b"RJITPROF and then something else").unwrap();
    let bed = Bed::new(with_profile(&path), succeed);
    assert_eq!(find(&mut bed.session(), &Contract::new(1)), None);
    bed.runtime.shared().save_profile();
    assert!(crate::runtime::profile::read(&path).unwrap().is_empty());
}
