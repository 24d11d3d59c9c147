//! What a look-up costs. Run alone, optimised:
//! `cargo test --release -p rapid-jit --lib -- --ignored --nocapture runtime::tests::measure`

use std::hint::black_box;

use super::*;

/// Of so many batches the fastest counts: others share the machine.
const BATCHES: u32 = 400;
const BATCH: u32 = 10_000;

fn measure(what: &str, mut step: impl FnMut()) {
    let mut batch = || {
        let started = Instant::now();
        (0..BATCH).for_each(|_| step());
        started.elapsed()
    };
    let fastest = (0..BATCHES).map(|_| batch()).min().unwrap();
    let nanoseconds = fastest.as_nanos() as f64 / f64::from(BATCH);
    println!("{what}: {nanoseconds:.1} ns");
}

#[test]
#[ignore = "measures; prints the result"]
fn look_ups() {
    let bed = Bed::new(at_once(), succeed);
    let contracts: Vec<_> = (0..64).map(Contract::new).collect();
    let mut session = bed.session();
    for contract in &contracts {
        find(&mut session, contract);
    }
    let mut at = 0;
    measure("compiled, one contract", || {
        black_box(session.find(contracts[0].hash, &contracts[0].bytecode));
    });
    measure("compiled, 64 contracts", || {
        at = (at + 1) % contracts.len();
        black_box(session.find(contracts[at].hash, &contracts[at].bytecode));
    });
    let cold = Bed::blocking();
    let mut cold_session = cold.session();
    measure("interpreted, telling the heat", || {
        if let Found::Interpret(heat) = cold_session.find(contracts[0].hash, &contracts[0].bytecode) {
            heat.add(black_box(0));
        }
    });
    let spec = SpecId::CANCUN;
    let (table, params) = (gas_table_spec(spec), GasParams::new_spec(spec));
    measure("session made and dropped", || {
        black_box(Session::new(Arc::clone(&bed.runtime), spec, &table, &params));
    });
    measure("session made, one look-up, dropped", || {
        let mut session = Session::new(Arc::clone(&bed.runtime), spec, &table, &params);
        black_box(session.find(contracts[0].hash, &contracts[0].bytecode));
    });
    measure("epoch turned, one look-up", || {
        bed.runtime.shared().turn_epoch();
        black_box(session.find(contracts[0].hash, &contracts[0].bytecode));
    });
}
