//! Bounds: code memory, idle code, the queue, known contracts.

use std::time::Duration;

use super::*;
use crate::runtime::queue::{Admit, Next};

fn at_once_in(code_bytes_max: usize) -> Bed {
    let config = RuntimeConfig {
        code_bytes_max,
        ..at_once()
    };
    Bed::new(config, succeed)
}

#[test]
fn least_recently_used_leaves_first() {
    let bed = at_once_in(4 * PAGE);
    let mut session = bed.session();
    for number in 0..4 {
        find(&mut session, &Contract::new(number));
    }
    for number in [0, 2, 3] {
        bed.runtime.shared().turn_epoch();
        find(&mut session, &Contract::new(number));
    }
    find(&mut session, &Contract::new(4));
    let status = bed.runtime.status();
    assert_eq!((status.evicted_full, status.resident_bytes), (2, 3 * PAGE));
    bed.runtime.set_enabled(false);
    bed.runtime.set_enabled(true);
    assert_eq!(bed.compiled().len(), 5);
    for number in [2, 3, 4] {
        find(&mut session, &Contract::new(number));
    }
    assert_eq!(bed.compiled().len(), 5, "these three are there");
    find(&mut session, &Contract::new(1));
    assert_eq!(bed.compiled().len(), 6, "this one had left");
}

#[test]
fn small_contracts_are_bounded_by_their_number() {
    let bed = at_once_in(1024 * PAGE);
    bed.runtime.shared().residents.lock().contracts_max = 32;
    let mut session = bed.session();
    for number in 0..32 {
        find(&mut session, &Contract::new(number));
    }
    assert_eq!(bed.runtime.status().evicted_full, 0);
    find(&mut session, &Contract::new(32));
    let status = bed.runtime.status();
    assert_eq!((status.evicted_full, status.resident_bytes), (3, 30 * PAGE));
}

#[test]
fn evicted_contract_has_to_heat_up_again() {
    let config = RuntimeConfig {
        code_bytes_max: PAGE,
        ..blocking()
    };
    let bed = Bed::new(config, succeed);
    let (mut session, first, second) = (bed.session(), Contract::new(1), Contract::new(2));
    burn(&mut session, &first, HOT);
    assert_eq!(find(&mut session, &first), Some(Tier::Fast));
    burn(&mut session, &second, HOT);
    assert_eq!(find(&mut session, &second), Some(Tier::Fast));
    assert_eq!(burn(&mut session, &first, HOT / 2), None);
    assert_eq!(burn(&mut session, &first, HOT / 2), None);
    assert_eq!(find(&mut session, &first), Some(Tier::Fast));
}

#[test]
fn failed_optimisation_is_remembered_over_an_eviction() {
    let config = RuntimeConfig {
        code_bytes_max: PAGE,
        optimising_factor: 1,
        ..blocking()
    };
    let bed = Bed::new(config, |bytecode, tier| match tier {
        Tier::Fast => succeed(bytecode, tier),
        Tier::Optimising => Err(CompileError::NotWorthwhile),
    });
    let (mut session, contract, other) = (bed.session(), Contract::new(1), Contract::new(2));
    for _ in 0..3 {
        for _ in 0..3 {
            burn(&mut session, &contract, HOT);
        }
        burn(&mut session, &other, HOT);
        assert_eq!(find(&mut session, &other), Some(Tier::Fast));
    }
    let optimised = bed
        .compiled()
        .into_iter()
        .filter(|&(_, tier)| tier == Tier::Optimising);
    assert_eq!(optimised.collect::<Vec<_>>(), [(1, Tier::Optimising)]);
    assert!(bed.compiled().len() > 4, "they drove each other out");
}

#[test]
fn replaced_code_stays_mapped_and_is_accounted_for() {
    let bed = Bed::blocking();
    let (mut session, contract) = (bed.session(), Contract::new(1));
    burn(&mut session, &contract, HOT);
    let Found::Compiled(code) = session.find(contract.hash, &contract.bytecode) else {
        panic!("hot enough");
    };
    burn(&mut bed.session(), &contract, 20 * HOT);
    assert_eq!(find(&mut bed.session(), &contract), Some(Tier::Optimising));
    assert_eq!(code.tier(), Tier::Fast);
    let status = bed.runtime.status();
    assert_eq!((status.resident_bytes, status.retired_bytes), (PAGE, PAGE as u64));
    assert_eq!(find(&mut session, &contract), Some(Tier::Optimising));
    assert_eq!(bed.runtime.status().retired_bytes, 0);
}

#[test]
fn memory_stays_bounded_in_a_storm_of_contracts() {
    let bed = at_once_in(32 * PAGE);
    let mut session = bed.session();
    for number in 0..1000 {
        find(&mut session, &Contract::new(number));
        assert!(bed.runtime.status().resident_bytes <= 32 * PAGE);
    }
    let status = bed.runtime.status();
    assert_eq!(
        status.evicted_full as usize + status.fast_contracts,
        1000,
        "every contract was evicted or is there"
    );
}

#[test]
fn code_over_the_bound_is_refused() {
    let bed = at_once_in(PAGE - 1);
    assert_eq!(find(&mut bed.session(), &Contract::new(1)), None);
    assert_eq!(find(&mut bed.session(), &Contract::new(1)), None);
    assert_eq!(bed.compiled().len(), 1);
    assert_eq!(bed.runtime.status().resident_bytes, 0);
}

#[test]
fn session_keeps_what_it_runs_mapped() {
    let bed = at_once_in(PAGE);
    let (mut session, contract) = (bed.session(), Contract::new(1));
    let Found::Compiled(code) = session.find(contract.hash, &contract.bytecode) else {
        panic!("compiled at first sight");
    };
    find(&mut bed.session(), &Contract::new(2));
    let status = bed.runtime.status();
    assert_eq!((status.evicted_full, status.resident_bytes), (1, PAGE));
    assert_eq!(status.retired_bytes, PAGE as u64);
    assert_eq!(code.code_bytes(), 2);
    // With its next look it lets go.
    find(&mut session, &Contract::new(2));
    assert_eq!(bed.runtime.status().retired_bytes, 0);
}

#[test]
fn idle_code_is_evicted_and_used_code_is_not() {
    let bed = at_once_in(1 << 20);
    let shared = bed.runtime.shared();
    let idle = shared.config.idle_evict;
    let (mut session, used, unused) = (bed.session(), Contract::new(1), Contract::new(2));
    find(&mut session, &used);
    find(&mut session, &unused);
    let start = Instant::now();
    shared.tick(start);
    find(&mut session, &used);
    shared.tick(start + idle - Duration::from_secs(1));
    assert_eq!(bed.runtime.status().evicted_idle, 0);
    shared.tick(start + idle);
    let status = bed.runtime.status();
    assert_eq!((status.evicted_idle, status.resident_bytes), (1, PAGE));
    let compiled = bed.compiled().len();
    find(&mut session, &used);
    assert_eq!(bed.compiled().len(), compiled);
}

fn background(queue_len_max: usize) -> Bed {
    let config = RuntimeConfig {
        queue_len_max,
        ..RuntimeConfig::default()
    };
    Bed::new(config, succeed)
}

/// Compiles what is queued.
fn drain(bed: &Bed) {
    let shared = bed.runtime.shared();
    while let Next::Job(job) = shared.queue.next(Admit::All, Duration::ZERO) {
        shared.run(&job);
    }
}

#[test]
fn storm_of_hot_contracts_drops_the_coldest() {
    let bed = background(8);
    let mut session = bed.session();
    for number in 0..100 {
        let contract = Contract::new(number);
        burn(&mut session, &contract, HOT * (1 + number as u64));
        assert_eq!(find(&mut session, &contract), None);
    }
    let status = bed.runtime.status();
    assert_eq!((status.queue_len, status.queue_dropped), (8, 92));
    drain(&bed);
    let compiled: Vec<usize> = bed.compiled().iter().map(|&(number, _)| number).collect();
    assert_eq!(
        compiled,
        [99, 98, 97, 96, 95, 94, 93, 92],
        "the hottest, hottest first"
    );
    // A dropped one heats up anew.
    let contract = Contract::new(0);
    assert_eq!(burn(&mut session, &contract, HOT / 2), None);
    assert_eq!(find(&mut session, &contract), None);
    assert_eq!(bed.runtime.status().queue_len, 0);
    burn(&mut session, &contract, HOT / 2);
    find(&mut session, &contract);
    assert_eq!(bed.runtime.status().queue_len, 1);
}

#[test]
fn contract_is_queued_once() {
    let bed = background(8);
    let contract = Contract::new(1);
    for _ in 0..10 {
        let mut session = bed.session();
        burn(&mut session, &contract, HOT);
        assert_eq!(find(&mut session, &contract), None);
    }
    assert_eq!(bed.runtime.status().queue_len, 1);
    drain(&bed);
    assert_eq!(find(&mut bed.session(), &contract), Some(Tier::Fast));
}

#[test]
fn known_contracts_stay_bounded_and_hot_ones_known() {
    let config = RuntimeConfig {
        slots_max: 256,
        ..blocking()
    };
    let bed = Bed::new(config, succeed);
    let (hot, mut session) = (Contract::new(0), bed.session());
    burn(&mut session, &hot, HOT / 2);
    drop(session);
    for number in 1..5000 {
        burn(&mut bed.session(), &Contract::new(number), 21_000);
    }
    assert!(bed.runtime.status().known_contracts <= 256);
    burn(&mut bed.session(), &hot, HOT / 2);
    assert!(
        find(&mut bed.session(), &hot).is_some(),
        "its first half was not forgotten"
    );
}

#[test]
fn spent_budget_admits_nothing_and_off_neither() {
    let bed = background(8);
    let (shared, now) = (bed.runtime.shared(), Instant::now());
    assert_eq!(shared.admitted(now).0, Admit::All);
    bed.runtime.set_enabled(false);
    assert_eq!(shared.admitted(now).0, Admit::Nothing);
    bed.runtime.set_enabled(true);
    shared.budget.lock().charge(Duration::from_secs(3));
    let (admit, wait) = shared.admitted(now);
    assert_eq!(admit, Admit::Nothing);
    assert_eq!(shared.admitted(now + wait.unwrap()).0, Admit::Paid);
}
