//! From cold to compiled, refused or quarantined.

use std::sync::OnceLock;

use super::*;
use crate::{
    NoExecutableMemory,
    runtime::{CompilerState, Switch},
};

fn failures(runtime: &Runtime, kind: &str) -> u64 {
    let failures = runtime.status().failures;
    failures.iter().find(|count| count.what == kind).unwrap().count
}

#[test]
fn gas_decides_the_tier() {
    let bed = Bed::blocking();
    let (mut session, contract) = (bed.session(), Contract::new(1));
    assert_eq!(burn(&mut session, &contract, HOT - 1), None);
    assert_eq!(burn(&mut session, &contract, HOT / 16), None);
    assert_eq!(burn(&mut session, &contract, 19 * HOT), Some(Tier::Fast));
    assert_eq!(burn(&mut session, &contract, HOT), Some(Tier::Fast));
    assert_eq!(find(&mut session, &contract), Some(Tier::Optimising));
    assert_eq!(burn(&mut session, &contract, 1000 * HOT), Some(Tier::Optimising));
    assert_eq!(bed.compiled(), [(1, Tier::Fast), (1, Tier::Optimising)]);
    let status = bed.runtime.status();
    assert_eq!((status.fast_contracts, status.optimising_contracts), (0, 1));
    assert_eq!(status.resident_bytes, PAGE);
}

#[test]
fn many_small_frames_and_sessions_add_up() {
    let bed = Bed::blocking();
    let contract = Contract::new(1);
    for _ in 0..1000 {
        assert_eq!(burn(&mut bed.session(), &contract, HOT / 1000), None);
    }
    assert!(find(&mut bed.session(), &contract).is_some());
}

#[test]
fn calls_heat_a_sixteenth() {
    let bed = Bed::blocking();
    let contract = Contract::new(1);
    let mut session = bed.session().heated_by(HeatSource::Call);
    assert_eq!(burn(&mut session, &contract, 15 * HOT), None);
    assert_eq!(find(&mut session, &contract), None);
    burn(&mut session, &contract, HOT);
    assert_eq!(find(&mut session, &contract), Some(Tier::Fast));
}

#[test]
fn zero_threshold_compiles_at_first_sight() {
    let bed = Bed::new(at_once(), succeed);
    assert_eq!(find(&mut bed.session(), &Contract::new(1)), Some(Tier::Fast));
}

#[test]
fn rules_have_code_of_their_own() {
    let bed = Bed::new(at_once(), succeed);
    let contract = Contract::new(1);
    for spec in [SpecId::CANCUN, SpecId::OSAKA, SpecId::CANCUN] {
        assert!(find(&mut session_of(&bed.runtime, spec), &contract).is_some());
    }
    assert_eq!(bed.compiled().len(), 2);
}

#[test]
fn too_many_rules_are_interpreted() {
    let bed = Bed::new(at_once(), succeed);
    let spec = SpecId::CANCUN;
    let (mut table, params) = (gas_table_spec(spec), GasParams::new_spec(spec));
    let mut interpreted = 0;
    for price in 0..200 {
        table[1] = price;
        let mut session = Session::new(Arc::clone(&bed.runtime), spec, &table, &params);
        interpreted += usize::from(burn(&mut session, &Contract::new(1), HOT).is_none());
    }
    assert!(interpreted > 0);
    assert_eq!(bed.compiled().len(), 200 - interpreted);
}

#[test]
fn what_failed_is_not_tried_again() {
    let bed = Bed::new(blocking(), |bytecode, _| match number_of(bytecode) {
        0 => Err(CompileError::Codegen("it is odd".into())),
        1 => panic!("a bug in the compiler"),
        2 => Err(CompileError::TooLarge {
            what: "blocks",
            got: 2,
            limit: 1,
        }),
        _ => Err(CompileError::NotWorthwhile),
    });
    for _ in 0..3 {
        let mut session = bed.session();
        for number in 0..4 {
            assert_eq!(burn(&mut session, &Contract::new(number), 2 * HOT), None);
            assert_eq!(burn(&mut session, &Contract::new(number), 2 * HOT), None);
        }
    }
    assert_eq!(bed.compiled().len(), 4);
    for kind in ["codegen", "panic", "too_large"] {
        assert_eq!(failures(&bed.runtime, kind), 1, "{kind}");
    }
    let status = bed.runtime.status();
    assert_eq!((status.simple, status.refused), (1, 4));
    assert_eq!(status.compiler, CompilerState::Ready);
}

#[test]
fn code_under_a_wrong_hash_is_not_compiled() {
    let bed = Bed::new(at_once(), succeed);
    let lie = Contract {
        hash: Contract::new(1).hash,
        ..Contract::new(2)
    };
    assert_eq!(find(&mut bed.session(), &lie), None);
    assert!(bed.compiled().is_empty());
    assert_eq!(failures(&bed.runtime, "wrong_hash"), 1);
}

#[test]
fn refused_list_is_bounded_and_outlives_the_slot() {
    let config = RuntimeConfig {
        slots_max: 64,
        refused_len_max: 100,
        ..at_once()
    };
    let bed = Bed::new(config, |_, _| Err(CompileError::NotWorthwhile));
    let mut session = bed.session();
    for number in 0..1000 {
        find(&mut session, &Contract::new(number));
    }
    let status = bed.runtime.status();
    assert_eq!((status.refused, status.simple), (100, 1000));
    assert!(status.known_contracts <= 64);
    for number in 900..1000 {
        find(&mut bed.session(), &Contract::new(number));
    }
    assert_eq!(
        bed.compiled().len(),
        1000,
        "what is on the list is not tried again"
    );
    find(&mut bed.session(), &Contract::new(0));
    assert_eq!(bed.compiled().len(), 1001, "the oldest was forgotten");
}

#[test]
fn failed_optimisation_keeps_the_fast_code() {
    let bed = Bed::new(blocking(), |bytecode, tier| match tier {
        Tier::Fast => succeed(bytecode, tier),
        Tier::Optimising => Err(CompileError::Codegen("too clever".into())),
    });
    let (mut session, contract) = (bed.session(), Contract::new(1));
    burn(&mut session, &contract, HOT);
    for _ in 0..3 {
        assert_eq!(burn(&mut session, &contract, 40 * HOT), Some(Tier::Fast));
    }
    assert_eq!(bed.compiled(), [(1, Tier::Fast), (1, Tier::Optimising)]);
}

#[test]
fn denied_memory_ends_compiling_until_switched_on() {
    let bed = Bed::new(at_once(), |bytecode, tier| match number_of(bytecode) {
        13 => Err(NoExecutableMemory(rustix::io::Errno::ACCESS).into()),
        _ => succeed(bytecode, tier),
    });
    let mut session = bed.session();
    assert!(find(&mut session, &Contract::new(1)).is_some());
    assert_eq!(find(&mut session, &Contract::new(13)), None);
    assert_eq!(bed.runtime.status().compiler, CompilerState::Unavailable);
    assert_eq!(find(&mut session, &Contract::new(2)), None);
    assert!(
        find(&mut session, &Contract::new(1)).is_some(),
        "what there is goes on"
    );
    assert_eq!(bed.compiled().len(), 2);
    assert_eq!(failures(&bed.runtime, "machine"), 1);
    assert_eq!(bed.runtime.status().refused, 0, "the contract has no part in it");
    bed.runtime.set_enabled(Switch::On);
    assert!(find(&mut session, &Contract::new(2)).is_some());
}

#[test]
fn switched_off_everything_is_interpreted() {
    let bed = Bed::new(at_once(), succeed);
    let (mut session, contract) = (bed.session(), Contract::new(1));
    assert!(find(&mut session, &contract).is_some());
    bed.runtime.set_enabled(false);
    assert!(!bed.runtime.is_enabled());
    assert_eq!(find(&mut session, &contract), None);
    assert_eq!(find(&mut session, &Contract::new(2)), None);
    bed.runtime.set_enabled(true);
    assert!(find(&mut session, &contract).is_some());
    assert_eq!(bed.compiled(), [(1, Tier::Fast)]);
}

#[test]
fn quarantine_takes_the_code_away_for_good() {
    let bed = Bed::new(at_once(), succeed);
    let (known, unseen) = (Contract::new(1), Contract::new(2));
    let mut sessions = [SpecId::CANCUN, SpecId::OSAKA].map(|spec| session_of(&bed.runtime, spec));
    for session in &mut sessions {
        assert!(find(session, &known).is_some());
    }
    // Once more, so that what the sessions know is of this epoch.
    for session in &mut sessions {
        assert!(find(session, &known).is_some());
    }
    bed.runtime.quarantine(known.hash);
    bed.runtime.quarantine(unseen.hash);
    let compiled = bed.compiled().len();
    for session in &mut sessions {
        for contract in [&known, &unseen] {
            assert_eq!(burn(session, contract, 100 * HOT), None);
            assert_eq!(find(session, contract), None);
        }
    }
    assert_eq!(find(&mut session_of(&bed.runtime, SpecId::PRAGUE), &known), None);
    assert_eq!(bed.compiled().len(), compiled);
    let status = bed.runtime.status();
    assert_eq!((status.quarantined, status.resident_bytes), (2, 0));
    assert!(
        find(&mut sessions[0], &Contract::new(3)).is_some(),
        "others are not concerned"
    );
}

#[test]
fn quarantine_during_compilation_wins() {
    let cell: Arc<OnceLock<Arc<Runtime>>> = Arc::default();
    let inner = Arc::clone(&cell);
    let bed = Bed::new(at_once(), move |bytecode, tier| {
        if let Some(runtime) = inner.get() {
            runtime.quarantine(bytecode.hash_slow());
        }
        succeed(bytecode, tier)
    });
    cell.set(Arc::clone(&bed.runtime)).unwrap();
    let mut session = bed.session();
    assert_eq!(find(&mut session, &Contract::new(1)), None);
    assert_eq!(find(&mut session, &Contract::new(1)), None);
    assert_eq!(bed.compiled().len(), 1);
}

#[test]
fn overflowing_quarantine_switches_off_for_good() {
    let bed = Bed::new(at_once(), succeed);
    let mut session = bed.session();
    for number in 0..5000u64 {
        bed.runtime.quarantine(B256::from(U256::from(number)));
    }
    assert!(!bed.runtime.is_enabled());
    bed.runtime.set_enabled(Switch::On);
    assert!(!bed.runtime.is_enabled());
    assert_eq!(find(&mut session, &Contract::new(1)), None);
}

#[test]
fn counts_reach_the_status() {
    let bed = Bed::blocking();
    let (mut session, contract) = (bed.session(), Contract::new(1));
    burn(&mut session, &contract, HOT);
    find(&mut session, &contract);
    find(&mut session, &contract);
    let mut counts = crate::RunCounts {
        entered: 5,
        ..Default::default()
    };
    counts.exits[crate::ExitReason::Jump as usize] = 3;
    session.record(&counts);
    drop(session);
    let status = bed.runtime.status();
    assert_eq!((status.misses, status.hits, status.entered), (1, 2, 5));
    let jumps = status.exits.iter().find(|count| count.what == "jump").unwrap();
    assert_eq!(jumps.count, 3);
}
