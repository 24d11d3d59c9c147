//! Lanes: who gets in which, who goes first, and that nobody starves.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, TxKind};
use rapid_pool::{LANES, Lane, LaneConfig, Origin, PoolConfig, SubPoolLimit, Wake};

use crate::support::{Bench, GWEI, Spec, address, config};

const CRITICAL_TARGET: Address = Address::repeat_byte(0xc1);
const BULK_TARGET: Address = Address::repeat_byte(0xb1);

fn lanes() -> LaneConfig {
    let mut lanes = LaneConfig {
        paid_tip_min: Some(5 * GWEI),
        ..LaneConfig::default()
    };
    lanes.senders.insert(address(0), Lane::System);
    lanes.targets.insert(CRITICAL_TARGET, Lane::Critical);
    lanes.targets.insert(BULK_TARGET, Lane::Bulk);
    lanes
}

fn with_lanes() -> PoolConfig {
    PoolConfig {
        lanes: lanes(),
        account_slots_max: 1_000,
        ..config()
    }
}

fn in_lane(lane: Lane, nonce: u64) -> Spec {
    let spec = Spec::nonce(nonce);
    match lane {
        Lane::Critical => Spec {
            to: TxKind::Call(CRITICAL_TARGET),
            ..spec
        },
        Lane::Bulk => Spec {
            to: TxKind::Call(BULK_TARGET),
            ..spec
        },
        Lane::Paid => Spec {
            tip: 5 * GWEI,
            ..spec
        },
        Lane::System | Lane::Normal => spec,
    }
}

#[test]
fn sender_then_target_then_tip_decide() {
    let classify = |spec: &Spec, sender| lanes().classify(&spec.by(sender));
    let paid = |spec: Spec| Spec {
        tip: 6 * GWEI,
        ..spec
    };
    assert_eq!(classify(&in_lane(Lane::Bulk, 0), 0), Lane::System);
    assert_eq!(classify(&in_lane(Lane::Critical, 0), 1), Lane::Critical);
    assert_eq!(classify(&paid(in_lane(Lane::Bulk, 0)), 1), Lane::Bulk);
    assert_eq!(classify(&paid(Spec::default()), 1), Lane::Paid);
    assert_eq!(classify(&Spec::default(), 1), Lane::Normal);
    assert_eq!(
        classify(
            &Spec {
                to: TxKind::Create,
                ..Spec::default()
            },
            1
        ),
        Lane::Normal
    );
    assert_eq!(
        LaneConfig::default().classify(&paid(Spec::default()).by(1)),
        Lane::Normal
    );
}

#[test]
fn higher_lanes_go_first_and_equal_ones_in_arrival_order() {
    let mut bench = Bench::new(with_lanes());
    let submissions = [
        (4, Lane::Bulk),
        (3, Lane::Normal),
        (5, Lane::Normal),
        (2, Lane::Paid),
        (1, Lane::Critical),
        (0, Lane::System),
    ];
    for (sender, lane) in submissions {
        bench.submit(in_lane(lane, 0).by(sender)).unwrap();
    }
    let order: Vec<Address> = bench
        .drain()
        .iter()
        .map(|transaction| transaction.sender())
        .collect();
    assert_eq!(order, [0, 1, 2, 3, 5, 4].map(address));
}

#[test]
fn a_later_nonce_never_overtakes_whatever_its_lane() {
    let mut bench = Bench::new(with_lanes());
    bench.submit(in_lane(Lane::Bulk, 0).by(1)).unwrap();
    bench.submit(in_lane(Lane::Critical, 1).by(1)).unwrap();
    bench.submit(in_lane(Lane::Normal, 0).by(2)).unwrap();
    let order: Vec<_> = bench.drain().iter().map(|t| (t.sender(), t.nonce())).collect();
    assert_eq!(order, [(address(2), 0), (address(1), 0), (address(1), 1)]);
    // Once the earlier one is dispatched, the later one has its own lane.
    bench.submit(in_lane(Lane::Bulk, 2).by(1)).unwrap();
    bench.submit(in_lane(Lane::Normal, 1).by(2)).unwrap();
    assert_eq!(bench.ready.pop().unwrap().sender(), address(2));
    assert_eq!(bench.ready.pop().unwrap().nonce(), 2);
    bench.submit(in_lane(Lane::Normal, 2).by(2)).unwrap();
    bench.submit(in_lane(Lane::Critical, 3).by(1)).unwrap();
    assert_eq!(bench.ready.pop().unwrap().nonce(), 3);
}

#[test]
fn a_share_that_meets_a_later_nonce_hands_out_the_earlier_one() {
    // Bulk is served after each pop that passes it over.
    let mut config = with_lanes();
    config.lanes.passed_over_max = [1; LANES];
    let mut bench = Bench::new(config);
    for sender in [2, 3, 4] {
        bench.submit(in_lane(Lane::Critical, 0).by(sender)).unwrap();
    }
    bench.submit(in_lane(Lane::Critical, 0).by(1)).unwrap();
    bench.submit(in_lane(Lane::Bulk, 1).by(1)).unwrap();
    let order: Vec<_> = bench.drain().iter().map(|t| (t.sender(), t.nonce())).collect();
    let of = |sender, nonce| (address(sender), nonce);
    assert_eq!(order, [of(2, 0), of(1, 0), of(3, 0), of(1, 1), of(4, 0)]);
}

#[test]
fn replacement_moves_to_the_new_lane() {
    let mut bench = Bench::new(with_lanes());
    bench.submit(Spec::nonce(0).by(2)).unwrap();
    bench.submit(Spec::nonce(0).by(1)).unwrap();
    bench.submit(Spec::nonce(1).by(1)).unwrap();
    bench
        .submit(
            Spec {
                tip: 6 * GWEI,
                fee_cap: 200 * GWEI,
                ..Spec::nonce(0)
            }
            .by(1),
        )
        .unwrap();
    let order: Vec<_> = bench.drain().iter().map(|t| (t.sender(), t.nonce())).collect();
    assert_eq!(order, [(address(1), 0), (address(2), 0), (address(1), 1)]);
    assert_eq!(bench.pool.status().pending, 3);
}

/// With every lane above saturated, a lane waits at most its bound plus the number of lanes.
#[test]
fn no_lane_starves() {
    for passed_over_max in [LaneConfig::default().passed_over_max, [1; LANES], [0, 9, 2, 2, 2]] {
        let mut config = with_lanes();
        config.lanes.passed_over_max = passed_over_max;
        let mut bench = Bench::new(config);
        let senders = [
            (Lane::System, 0),
            (Lane::Critical, 1),
            (Lane::Paid, 2),
            (Lane::Normal, 3),
            (Lane::Bulk, 4),
        ];
        let mut nonces = [0u64; LANES];
        let mut waited = [0u32; LANES];
        let mut served = [0u32; LANES];
        for _ in 0..600 {
            // Every lane always has something.
            for (lane, sender) in senders {
                if nonces[lane.index()] < u64::from(served[lane.index()]) + 2 {
                    bench
                        .submit_local(in_lane(lane, nonces[lane.index()]).by(sender))
                        .unwrap();
                    nonces[lane.index()] += 1;
                }
            }
            let popped = bench
                .ready
                .pop()
                .expect("all lanes have something")
                .lane()
                .index();
            served[popped] += 1;
            for lane in 0..LANES {
                waited[lane] = if lane == popped { 0 } else { waited[lane] + 1 };
                let bound = passed_over_max[lane].max(1) + LANES as u32;
                assert!(
                    lane == 0 || waited[lane] <= bound,
                    "lane {lane} waited {waited:?}"
                );
            }
        }
        assert!(served.iter().all(|count| *count > 0), "{served:?}");
        // The shares hold: nobody above has more than its bound allows the lower ones.
        for lane in 1..LANES {
            assert!(
                served[lane] >= 600 / (passed_over_max[lane].max(1) + LANES as u32 + 1),
                "{served:?}"
            );
        }
    }
}

#[test]
fn the_same_input_gives_the_same_order() {
    let run = || {
        let mut bench = Bench::new(with_lanes());
        for nonce in 0..40 {
            for (sender, lane) in [
                (4, Lane::Bulk),
                (3, Lane::Normal),
                (2, Lane::Paid),
                (1, Lane::Critical),
            ] {
                bench.submit(in_lane(lane, nonce).by(sender)).unwrap();
            }
        }
        bench
            .drain()
            .iter()
            .map(|transaction| transaction.hash())
            .collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

#[test]
fn a_full_lane_takes_no_room_from_another() {
    let mut config = with_lanes();
    config.pending = SubPoolLimit {
        count_max: 2,
        ..SubPoolLimit::default()
    };
    let bench = Bench::new(config);
    for sender in [5, 6] {
        bench.submit(in_lane(Lane::Bulk, 0).by(sender)).unwrap();
    }
    assert_eq!(
        bench
            .submit(in_lane(Lane::Bulk, 0).by(7))
            .expect_err("full")
            .to_string(),
        "txpool is full"
    );
    bench.submit(in_lane(Lane::Critical, 0).by(7)).unwrap();
    // A replacement needs no room.
    let replacement = Spec {
        fee_cap: 200 * GWEI,
        tip: 2 * GWEI,
        ..in_lane(Lane::Bulk, 0)
    };
    bench
        .pool
        .submit(
            Origin::External,
            replacement.by(5),
            &bench.accounts,
            &crate::support::head(),
        )
        .unwrap();
    assert_eq!(bench.pool.status().pending, 3);
}

#[test]
fn a_lane_below_is_served_in_time_however_few_the_pops() {
    let mut config = with_lanes();
    config.lanes.passed_over_max = [u32::MAX; LANES];
    let mut bench = Bench::new(config);
    for nonce in 0..40 {
        bench.submit(in_lane(Lane::System, nonce).by(0)).unwrap();
    }
    bench.submit(in_lane(Lane::Bulk, 0).by(1)).unwrap();
    let start = Instant::now();
    let waited = (0..40u32)
        .map(|pop| Duration::from_millis(150) * pop)
        .find(|at| bench.ready.pop_at(start + *at).unwrap().lane() == Lane::Bulk)
        .expect("the lane starves");
    assert!(
        (Duration::from_secs(1)..=Duration::from_secs(2)).contains(&waited),
        "{waited:?}"
    );
    let [system, .., bulk] = &bench.pool.lanes()[..] else {
        panic!("there are five lanes")
    };
    assert_eq!((bulk.served, bulk.served_by_age, bulk.depth), (1, 1, 0));
    assert_eq!(bulk.passed_over, system.served);
    assert!(bulk.waits.longest() >= Duration::from_secs(1));
}

#[test]
fn what_is_urgent_waits_while_a_lane_below_is_late() {
    let mut config = with_lanes();
    config.lanes.passed_over_max = [u32::MAX; LANES];
    let mut bench = Bench::new(config);
    for nonce in 0..4 {
        bench.submit(in_lane(Lane::Critical, nonce).by(2)).unwrap();
    }
    bench.submit(in_lane(Lane::Normal, 0).by(1)).unwrap();
    let start = Instant::now();
    let late = start + Duration::from_secs(1);
    assert!(bench.ready.pop_urgent_at(start).is_some());
    assert!(
        bench
            .ready
            .pop_urgent_at(start + Duration::from_millis(999))
            .is_some()
    );
    assert!(bench.ready.pop_urgent_at(late).is_none());
    assert_eq!(bench.ready.pop_at(late).unwrap().lane(), Lane::Normal);
    assert_eq!(bench.ready.pop_urgent_at(late).unwrap().lane(), Lane::Critical);
}

#[test]
fn what_is_pressing_is_urgent_or_late() {
    let mut config = with_lanes();
    config.lanes.passed_over_max = [1; LANES];
    let mut bench = Bench::new(config);
    let start = Instant::now();
    bench.submit(in_lane(Lane::Normal, 0).by(1)).unwrap();
    bench.submit(in_lane(Lane::Normal, 1).by(1)).unwrap();
    // From now on it waits.
    assert!(bench.ready.pop_pressing_at(start).is_none());
    let soon = Instant::now() + Duration::from_millis(5);
    assert_eq!(bench.ready.wait_for_pressing_until(soon), Wake::Deadline);

    for nonce in 0..3 {
        bench.submit(in_lane(Lane::Critical, nonce).by(2)).unwrap();
    }
    let later = Instant::now() + Duration::from_secs(60);
    assert_eq!(bench.ready.wait_for_pressing_until(later), Wake::Ready);
    let mut next_at = |at| bench.ready.pop_pressing_at(at).map(|next| next.lane());
    assert_eq!(next_at(start), Some(Lane::Critical));
    assert_eq!(next_at(start + Duration::from_millis(999)), Some(Lane::Critical));
    let late = start + Duration::from_secs(1);
    assert_eq!(next_at(late), Some(Lane::Normal));
    assert_eq!(next_at(late), Some(Lane::Critical));
    assert_eq!(next_at(late), None);
}

#[test]
fn lanes_age_while_nothing_is_urgent() {
    let mut bench = Bench::new(with_lanes());
    bench.submit(in_lane(Lane::Bulk, 0).by(1)).unwrap();
    let start = Instant::now();
    assert!(bench.ready.pop_pressing_at(start).is_none());
    let soon = start + Duration::from_millis(999);
    assert!(bench.ready.pop_pressing_at(soon).is_none());
    // It sleeps no longer than until the lane is late.
    assert_eq!(
        bench
            .ready
            .wait_for_pressing_until(start + Duration::from_secs(60)),
        Wake::Ready
    );
    let late = start + Duration::from_secs(1);
    assert!(Instant::now() >= late);
    assert_eq!(bench.ready.pop_pressing_at(late).unwrap().lane(), Lane::Bulk);
}

#[test]
fn lanes_tell_what_they_hold() {
    let mut bench = Bench::new(with_lanes());
    for sender in 1..=3 {
        bench.submit(in_lane(Lane::Bulk, 0).by(sender)).unwrap();
    }
    let bulk = |bench: &Bench| bench.pool.lanes()[Lane::Bulk.index()].clone();
    assert_eq!(
        (bulk(&bench).depth, bulk(&bench).pending, bulk(&bench).served),
        (3, 3, 0)
    );
    let taken = bench.ready.pop().unwrap();
    assert_eq!(
        (bulk(&bench).depth, bulk(&bench).pending, bulk(&bench).served),
        (2, 3, 1)
    );
    bench.ready.requeue_front(Arc::clone(&taken));
    assert_eq!(bulk(&bench).depth, 3);
    let taken = bench.ready.pop().unwrap();
    bench.publish(&[taken]);
    assert_eq!((bulk(&bench).depth, bulk(&bench).pending), (2, 2));
}
