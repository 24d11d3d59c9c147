//! The workers.

use std::{sync::mpsc, thread};

use super::*;
use crate::runtime::{CodeSource, CompilerState};

/// Lets other threads run until it is so. A hang is the test runner's to end.
fn wait_until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

fn start(config: RuntimeConfig) -> Arc<Runtime> {
    let compile = |bytecode: &Bytecode, _: &crate::Rules, options: &crate::CompileOptions| {
        succeed(bytecode, options.tier)
    };
    Runtime::start_with(config, Box::new(compile)).unwrap()
}

fn hot_at_once() -> RuntimeConfig {
    RuntimeConfig {
        compiling: Compiling::Background,
        ..at_once()
    }
}

#[test]
fn worker_compiles_what_is_queued() {
    let runtime = start(hot_at_once());
    let (mut session, contract) = (session(&runtime), Contract::new(1));
    wait_until(|| find(&mut session, &contract).is_some());
    runtime.stop();
    runtime.stop();
    assert_eq!(runtime.status().compiler, CompilerState::Stopped);
    assert!(
        find(&mut session, &contract).is_some(),
        "code outlives the workers"
    );
    assert_eq!(find(&mut session, &Contract::new(2)), None);
    assert_eq!(runtime.status().fast_compiled, 1);
}

#[test]
fn worker_survives_a_panicking_compiler() {
    let compile = |bytecode: &Bytecode, _: &crate::Rules, options: &crate::CompileOptions| {
        assert_ne!(number_of(bytecode), 1, "a bug in the compiler");
        succeed(bytecode, options.tier)
    };
    let runtime = Runtime::start_with(hot_at_once(), Box::new(compile)).unwrap();
    let mut session = session(&runtime);
    find(&mut session, &Contract::new(1));
    wait_until(|| find(&mut session, &Contract::new(2)).is_some());
    wait_until(|| runtime.status().refused == 1);
    assert_eq!(find(&mut session, &Contract::new(1)), None);
}

#[test]
fn interpreter_goes_on_while_the_worker_is_busy() {
    let (release, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let compile = move |bytecode: &Bytecode, _: &crate::Rules, options: &crate::CompileOptions| {
        let _ = wait.lock().recv();
        succeed(bytecode, options.tier)
    };
    let runtime = Runtime::start_with(hot_at_once(), Box::new(compile)).unwrap();
    let mut session = session(&runtime);
    for number in 0..5000 {
        assert_eq!(find(&mut session, &Contract::new(number)), None);
    }
    let status = runtime.status();
    assert!(status.queue_len <= status.queue_len_max);
    assert!(status.queue_dropped > 0);
    drop(release);
    wait_until(|| runtime.status().queue_len == 0);
}

#[test]
fn profile_and_source_compile_before_anybody_asks() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("profile");
    let config = RuntimeConfig {
        profile: Some(path),
        ..hot_at_once()
    };
    {
        let runtime = start(config.clone());
        let mut session = session(&runtime);
        for number in 1..=3 {
            wait_until(|| find(&mut session, &Contract::new(number)).is_some());
        }
        runtime.stop();
    }
    // It has one contract, knows another one's code by a wrong hash, and fails at the third.
    let source = CodeSource::new(|hash| match hash {
        hash if hash == Contract::new(1).hash => Some(Contract::new(1).bytecode),
        hash if hash == Contract::new(2).hash => Some(Contract::new(9).bytecode),
        _ => panic!("a bug in the source"),
    });
    let runtime = start(RuntimeConfig {
        code_source: Some(source),
        ..config
    });
    wait_until(|| runtime.status().fast_compiled == 1);
    runtime.stop();
    let status = runtime.status();
    assert_eq!((status.fast_contracts, status.queue_dropped), (1, 0));
}

#[test]
fn configuration_out_of_range_is_refused() {
    for config in [
        RuntimeConfig {
            workers: 0,
            ..RuntimeConfig::default()
        },
        RuntimeConfig {
            queue_len_max: 0,
            ..RuntimeConfig::default()
        },
    ] {
        assert!(Runtime::start(config).is_err());
    }
}
