//! Sessions, workers, eviction, quarantine and the switch against each other.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use super::*;

const CONTRACTS: usize = 64;

/// Little memory and little heat, so that everything happens all the time.
fn churning() -> RuntimeConfig {
    RuntimeConfig {
        fast_gas: 1000,
        optimising_factor: 2,
        workers: 2,
        cpu_share_permille: 16_000,
        code_bytes_max: 16 * PAGE,
        queue_len_max: 8,
        slots_max: 64,
        ..RuntimeConfig::default()
    }
}

/// A contract sequence of a thread.
fn next(state: &mut u64) -> usize {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize % CONTRACTS
}

#[test]
fn right_code_or_none() {
    let compile = |bytecode: &Bytecode, _: &crate::Rules, options: &crate::CompileOptions| {
        succeed(bytecode, options.tier)
    };
    let runtime = Runtime::start_with(churning(), Box::new(compile)).unwrap();
    let contracts: Vec<_> = (0..CONTRACTS).map(Contract::new).collect();
    let quarantined: [AtomicBool; CONTRACTS] = std::array::from_fn(|_| AtomicBool::new(false));
    let (ran, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for seed in 0..4 {
            let (runtime, contracts, quarantined) = (&runtime, &contracts, &quarantined);
            let (ran, is_over) = (&ran, &is_over);
            scope.spawn(move || {
                let mut state = seed;
                let mut session = session(runtime);
                for round in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    let number = next(&mut state);
                    let is_barred = quarantined[number].load(Ordering::Acquire);
                    let tier = burn(&mut session, &contracts[number], 400);
                    assert!(!(is_barred && tier.is_some()), "ran code under quarantine");
                    ran.fetch_add(usize::from(tier.is_some()), Ordering::Relaxed);
                    if round % 100 == 0 {
                        session = super::session(runtime);
                    }
                    assert!(runtime.shared().residents.lock().bytes() <= 16 * PAGE);
                }
            });
        }
        for number in 0..CONTRACTS / 4 {
            let enough = ran.load(Ordering::Relaxed) + 50;
            while ran.load(Ordering::Relaxed) < enough {
                thread::yield_now();
            }
            runtime.quarantine(contracts[number].hash);
            quarantined[number].store(true, Ordering::Release);
            runtime.set_enabled(false);
            thread::yield_now();
            runtime.set_enabled(true);
        }
        while runtime.status().evicted_full == 0 {
            thread::yield_now();
        }
        is_over.store(true, Ordering::Relaxed);
    });
    runtime.stop();
    let status = runtime.status();
    assert_eq!(status.quarantined, CONTRACTS / 4);
    assert_eq!(status.retired_bytes, 0, "nobody holds evicted code");
    assert!(status.evicted_full > 0);
    assert!(status.hits > 0);
    let mut session = session(&runtime);
    for contract in &contracts[..CONTRACTS / 4] {
        assert_eq!(find(&mut session, contract), None);
    }
}
