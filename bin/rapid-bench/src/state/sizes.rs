//! Row 5: bytes of accounts, slots and leaves, in a process of their own.

use super::{
    comparison::{Comparison, Section, Target},
    leaves::{Leaves, Shape},
    memory::{forget_peak, peak_bytes, proportional_bytes},
    node_trie::NodeState,
    ours::OurState,
    plan::{Row, StatePlan},
    pool::Pool,
    sharded_map::ShardedMap,
    slots::{SlotStore, fill},
    world::World,
};
use clap::ValueEnum;
use eyre::{WrapErr, ensure};
use serde::{Deserialize, Serialize};
use std::{
    env,
    process::{Command, Stdio},
};

/// What is measured here.
pub(crate) const ROWS: [Row; 1] = [Row(5)];

/// Account id 4, key 32, value 32.
const SLOT_PAYLOAD: f64 = 68.0;
/// Address 20, nonce 8, balance 16, ids of code and storage 8.
const ACCOUNT_PAYLOAD: f64 = 52.0;

/// The allocator gives back at once what is freed, so that only what is in use is resident.
const ALLOCATOR: (&str, &str) = ("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0");

/// Whose memory is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SizeOf {
    /// The node's state and trie
    State,
    /// The hash map of row 2, slots only
    Map,
    /// The trie of boxed nodes of row 7
    Nodes,
}

/// Bytes that parts of a state have added to a process.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sizes {
    accounts: u64,
    slots: u64,
    /// The most that there was while the slots were written.
    slots_peak: u64,
    /// Accounts and slots as the state counts them itself.
    counted: u64,
    trie: Option<u64>,
    /// The trie as it counts itself.
    counted_trie: u64,
}

/// Measures the sizes in processes of their own.
///
/// # Errors
/// If a process fails, or runs out of memory.
pub(crate) fn measure(plan: &StatePlan) -> eyre::Result<Section> {
    let ours = in_process(plan, SizeOf::State)?;
    let map = in_process(plan, SizeOf::Map)?;
    let nodes = in_process(plan, SizeOf::Nodes)?;
    let mut section = compare(plan, &ours, &map);
    if let Some(trie) = nodes.trie {
        let leaf = trie as f64 / plan.leaves as f64;
        section.note(
            format!("leaf of a trie of boxed nodes, {} leaves", plan.leaves),
            leaf,
            "B",
        );
    }
    Ok(section)
}

fn in_process(plan: &StatePlan, subject: SizeOf) -> eyre::Result<Sizes> {
    let name = subject.to_possible_value();
    let name = name.as_ref().map_or("", |name| name.get_name());
    let output = Command::new(env::current_exe()?)
        .env(ALLOCATOR.0, ALLOCATOR.1)
        .args(["state", "--size-of", name])
        .args(["--size-accounts", &plan.size_accounts.to_string()])
        .args(["--size-slots", &plan.size_slots.to_string()])
        .args(["--storages", &plan.storages.to_string()])
        .args(["--leaves", &plan.leaves.to_string()])
        .args(["--seed", &plan.seed.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .wrap_err("process for sizes")?;
    ensure!(
        output.status.success(),
        "the process that measures the size of {name} ended with {}",
        output.status
    );
    serde_json::from_slice(&output.stdout).wrap_err("sizes from the process")
}

/// Fills a state in this process and measures what it adds.
///
/// # Errors
/// If the kernel does not tell the process's memory.
pub(crate) fn weigh(plan: &StatePlan, subject: SizeOf) -> eyre::Result<Sizes> {
    let world = World::new(plan.seed, plan.storages);
    match subject {
        SizeOf::Map => weigh_slots(&mut ShardedMap::new(), world, plan.size_slots),
        SizeOf::State => weigh_state(plan, world),
        SizeOf::Nodes => weigh_nodes(plan),
    }
}

fn weigh_state(plan: &StatePlan, world: World) -> eyre::Result<Sizes> {
    /// Hardly any of the past.
    const WINDOW_BYTES: usize = 1 << 20;
    const ACCOUNTS_PER_VERSION: u64 = 1 << 12;
    let before = proportional_bytes()?;
    let mut state = OurState::new(WINDOW_BYTES, 0)?;
    for account in 0..plan.size_accounts.max(plan.storages) {
        state.put(world.address(account), world.account(account, 0));
        if account % ACCOUNTS_PER_VERSION == 0 {
            state.publish();
        }
    }
    state.publish();
    let accounts = proportional_bytes()?.saturating_sub(before);
    let slots = weigh_slots(&mut state, world, plan.size_slots)?;
    let before_trie = proportional_bytes()?;
    let pool = Pool::start(1)?;
    let (trie, _) = state.build_trie(pool.threads())?;
    let sizes = Sizes {
        accounts,
        counted: state.counted_bytes(),
        trie: Some(proportional_bytes()?.saturating_sub(before_trie)),
        counted_trie: trie.counted_bytes(),
        ..slots
    };
    Ok(sizes)
}

fn weigh_nodes(plan: &StatePlan) -> eyre::Result<Sizes> {
    let shape = Shape::many_storages(plan.leaves);
    let leaves = Leaves::of(shape.world(plan.seed), shape);
    let before = proportional_bytes()?;
    let mut nodes = NodeState::of(&leaves);
    nodes.root();
    Ok(Sizes {
        trie: Some(proportional_bytes()?.saturating_sub(before)),
        ..Sizes::default()
    })
}

fn weigh_slots(store: &mut dyn SlotStore, world: World, count: u64) -> eyre::Result<Sizes> {
    let before = proportional_bytes()?;
    forget_peak()?;
    fill(store, world, count)?;
    let peak = peak_bytes()?;
    Ok(Sizes {
        slots: proportional_bytes()?.saturating_sub(before),
        slots_peak: peak.saturating_sub(before),
        ..Sizes::default()
    })
}

fn compare(plan: &StatePlan, ours: &Sizes, map: &Sizes) -> Section {
    let slots = plan.size_slots as f64;
    let accounts = plan.size_accounts.max(plan.storages) as f64;
    let (flat, peak) = (ours.slots as f64 / slots, ours.slots_peak as f64 / slots);
    let mut section = Section::default();
    let payload = ("payload", SLOT_PAYLOAD);
    let count = format!("{} slots beside {accounts} accounts", plan.size_slots);
    section.compare(Comparison::of_bytes(
        Row(5),
        &format!("bytes of a slot, flat, {count}"),
        ("state", flat),
        payload,
        Target::AtMost(1.25),
    ));
    if let Some(trie) = ours.trie {
        let leaf = trie as f64 / (slots + accounts);
        section.compare(Comparison::of_bytes(
            Row(5),
            &format!("bytes of a slot with its leaf in the trie, {count}"),
            ("state and trie", flat + leaf),
            payload,
            Target::AtMost(2.0),
        ));
        section.note("leaf of the trie", leaf, "B");
    }
    section.compare(Comparison::of_bytes(
        Row(5),
        "peak while slots are added",
        ("state, peak", peak),
        ("state, at the end", flat),
        Target::AtMost(1.05),
    ));
    section.note(
        format!("account, flat, payload {ACCOUNT_PAYLOAD} B"),
        ours.accounts as f64 / accounts,
        "B",
    );
    for (what, bytes) in [
        ("state as it counts itself", ours.counted),
        ("state by the kernel", ours.accounts + ours.slots),
        ("trie as it counts itself", ours.counted_trie),
        ("trie by the kernel", ours.trie.unwrap_or_default()),
    ] {
        section.note(what, bytes as f64 / 1e6, "MB");
    }
    section.note("slot in 256 x RwLock<hashbrown>", map.slots as f64 / slots, "B");
    section.note(
        "its peak while slots are added",
        map.slots_peak as f64 / slots,
        "B per slot",
    );
    section
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_state_weighs_something() {
        let plan = StatePlan {
            size_slots: 40_000,
            ..StatePlan::small()
        };
        // Other tests run beside this one, so the numbers mean nothing, but for the order of magnitude.
        let ours = weigh(&plan, SizeOf::State).unwrap();
        let map = weigh(&plan, SizeOf::Map).unwrap();
        let nodes = weigh(&plan, SizeOf::Nodes).unwrap();
        assert!(ours.trie.is_some() && nodes.trie.is_some());
        let mut report = crate::state::comparison::Report::new(&plan);
        report.add(compare(&plan, &ours, &map));
        assert_eq!(report.comparison_count(), 3);
    }
}
