//! Rows 7 to 11: the root after a block.

use super::{
    batch::Batch,
    comparison::{Comparison, Section, Target},
    leaves::{Leaves, Shape},
    memory::OtherMemory,
    node_trie::NodeState,
    ours::{OurBlock, OurState, OurTrie, hash_kernel},
    permutations::Messages,
    plan::{Row, StatePlan},
    pool::Pool,
    rebuild,
    turns::{Cost, Measured, Side, alternate, find},
};
use crate::{clock::timed, measure::Spread};
use alloy_primitives::B256;
use eyre::ensure;
use std::cell::RefCell;

/// What is measured here.
pub(crate) const ROWS: [Row; 5] = [Row(7), Row(8), Row(9), Row(10), Row(11)];

/// Threads of row 11.
const THREADS: usize = 2;

const ONE_THREAD: &str = "trie, 1 thread";
const MORE_THREADS: &str = "trie, 2 threads, the busier one";
const SCALAR: &str = "trie, one hash at a time";
const NODES: &str = "boxed nodes, scalar keccak";
const REBUILD: &str = "HashBuilder, all leaves";
const PERMUTATION: &str = "scalar permutation";
const BATCHED: &str = "permutation of a batch";
const SCALAR_BOUND: &str = "permutations x scalar";
const BATCHED_BOUND: &str = "permutations x batched";

/// Measures them on both shapes of state.
///
/// # Errors
/// If two sides come to different roots.
pub(crate) fn measure(plan: &StatePlan) -> eyre::Result<Section> {
    let mut section = Section::default();
    for shape in [Shape::one_storage(plan.leaves), Shape::many_storages(plan.leaves)] {
        let bench = RootBench::prepare(plan, shape)?;
        let measured = bench.run()?;
        bench.compare(measured, &mut section);
    }
    Ok(section)
}

/// A state in all its forms, and the blocks on it.
struct RootBench<'a> {
    plan: &'a StatePlan,
    shape: Shape,
    batches: Vec<Batch>,
    /// These three are changed and changed back.
    ours: RefCell<OurTrie>,
    nodes: RefCell<NodeState>,
    leaves: RefCell<Leaves>,
    roots: Roots,
    /// Permutations that each round's block needs.
    needed: RefCell<Vec<u64>>,
    messages: RefCell<Messages>,
    pool: Pool,
    memory: OtherMemory,
}

impl<'a> RootBench<'a> {
    fn prepare(plan: &'a StatePlan, shape: Shape) -> eyre::Result<Self> {
        let world = shape.world(plan.seed);
        let leaves = Leaves::of(world, shape);
        let pool = Pool::start(THREADS)?;
        let (ours, root) = OurState::of(&leaves)?.build_trie(pool.threads())?;
        let mut nodes = NodeState::of(&leaves);
        ensure!(root == nodes.root().0, "the roots before the blocks differ");
        Ok(Self {
            plan,
            shape,
            batches: (0..plan.rounds as u64)
                .map(|round| Batch::draw(world, shape, round, plan.changed))
                .collect(),
            ours: RefCell::new(ours),
            nodes: RefCell::new(nodes),
            leaves: RefCell::new(leaves),
            roots: Roots::default(),
            needed: RefCell::default(),
            messages: RefCell::new(Messages::new()),
            pool,
            memory: OtherMemory::new(),
        })
    }

    fn run(&self) -> eyre::Result<Vec<Measured>> {
        let mut sides = vec![
            Side::new(ONE_THREAD, |round| self.ours(round, OurTrie::root_after)),
            Side::new(NODES, |round| self.nodes(round)),
            Side::new(PERMUTATION, |_| Ok(self.messages.borrow_mut().scalar())),
            Side::new(BATCHED, |_| self.messages.borrow_mut().batched()),
        ];
        if self.plan.wants(Row(8)) {
            sides.push(Side::new(REBUILD, |round| self.rebuild(round)));
        }
        if self.plan.wants(Row(10)) {
            sides.push(Side::new(SCALAR, |round| {
                self.ours(round, OurTrie::root_after_scalar)
            }));
        }
        if self.plan.wants(Row(11)) {
            sides.push(Side::new(MORE_THREADS, |round| self.in_pool(round)));
        }
        alternate(self.plan.rounds, sides)
    }

    fn ours(
        &self,
        round: usize,
        root_after: fn(&mut OurTrie, &OurBlock) -> eyre::Result<B256>,
    ) -> eyre::Result<Cost> {
        let mut ours = self.ours.borrow_mut();
        let block = self.execute(&ours, round);
        let (root, elapsed) = timed(|| root_after(&mut ours, &block));
        self.undo(&mut ours, round)?;
        self.roots.agree(round, root?)?;
        Ok(Cost::of(elapsed))
    }

    fn execute(&self, ours: &OurTrie, round: usize) -> OurBlock {
        let block = ours.execute(&self.batches[round].changes);
        self.memory.displace();
        block
    }

    fn undo(&self, ours: &mut OurTrie, round: usize) -> eyre::Result<()> {
        let undo = ours.execute(&self.batches[round].undo);
        ours.root_after(&undo).map(drop)
    }

    fn in_pool(&self, round: usize) -> eyre::Result<Cost> {
        let ours = &mut *self.ours.borrow_mut();
        let block = self.execute(ours, round);
        let (root, cost) = self.pool.timed(|pool| ours.root_after_with(&block, pool))?;
        self.undo(ours, round)?;
        self.roots.agree(round, root?)?;
        Ok(cost)
    }

    fn nodes(&self, round: usize) -> eyre::Result<Cost> {
        let mut nodes = self.nodes.borrow_mut();
        let batch = &self.batches[round];
        self.memory.displace();
        let ((root, permutations), elapsed) = timed(|| {
            nodes.apply(&batch.changes);
            nodes.root()
        });
        // Keys take a permutation each.
        self.needed.borrow_mut().push(permutations + batch.keys);
        nodes.apply(&batch.undo);
        nodes.root();
        self.roots.agree(round, root)?;
        Ok(Cost::of(elapsed))
    }

    fn rebuild(&self, round: usize) -> eyre::Result<Cost> {
        let mut leaves = self.leaves.borrow_mut();
        leaves.apply(&self.batches[round].changes);
        let (root, elapsed) = timed(|| rebuild::root(&leaves));
        leaves.apply(&self.batches[round].undo);
        self.roots.agree(round, root)?;
        Ok(Cost::of(elapsed))
    }

    fn compare(&self, mut measured: Vec<Measured>, section: &mut Section) {
        let needed = self.needed.borrow();
        for (name, permutation) in [(SCALAR_BOUND, PERMUTATION), (BATCHED_BOUND, BATCHED)] {
            let bound = find(&measured, permutation).map(|cost| bound(name, &needed, cost));
            measured.extend(bound);
        }
        let what = format!(
            "root after {} keys, {} leaves in {}",
            self.plan.changed,
            self.shape.leaves(),
            self.shape.name
        );
        for (row, ours, reference, target) in [
            (7, ONE_THREAD, NODES, Target::Faster(6.0)),
            (8, ONE_THREAD, REBUILD, Target::Faster(150.0)),
            (9, ONE_THREAD, BATCHED_BOUND, Target::AtMost(3.0)),
            (9, ONE_THREAD, SCALAR_BOUND, Target::AtMost(0.6)),
            (10, SCALAR, SCALAR_BOUND, Target::AtMost(1.5)),
            (11, MORE_THREADS, ONE_THREAD, Target::Faster(1.8)),
        ] {
            if let (Some(ours), Some(reference)) = (find(&measured, ours), find(&measured, reference)) {
                section.compare(Comparison::of_times(Row(row), &what, ours, reference, target));
            }
        }
        self.note(&measured, section);
    }

    fn note(&self, measured: &[Measured], section: &mut Section) {
        let name = self.shape.name;
        let needed = Spread::of(self.needed.borrow().iter().map(|&count| count as f64)).median;
        section.note(format!("permutations of a block, {name}"), needed, "");
        let median = |side| {
            let side = find(measured, side);
            side.map(|side| Spread::of(side.costs.iter().map(|cost| cost.cpu_ns)).median)
        };
        if let Some(ns) = median(PERMUTATION) {
            section.note(format!("{PERMUTATION}, {name}"), ns, "ns");
        }
        if let Some(ns) = median(BATCHED) {
            section.note(format!("{BATCHED} ({}), {name}", hash_kernel()), ns, "ns");
        }
        for side in [ONE_THREAD, NODES] {
            if let Some(ns) = median(side) {
                let per_key = ns / self.plan.changed as f64;
                section.note(format!("root by {side}, per changed key, {name}"), per_key, "ns");
            }
        }
    }
}

/// Work that consists of permutations and nothing else.
fn bound(name: &str, needed: &[u64], permutation: &Measured) -> Measured {
    let rounds = needed.iter().zip(&permutation.costs);
    Measured {
        name: name.to_owned(),
        costs: rounds
            .map(|(&count, cost)| Cost::calculated(count as f64 * cost.cpu_ns))
            .collect(),
    }
}

/// The roots after each round's block.
#[derive(Default)]
struct Roots(RefCell<Vec<B256>>);

impl Roots {
    fn agree(&self, round: usize, root: B256) -> eyre::Result<()> {
        let mut roots = self.0.borrow_mut();
        if roots.len() == round {
            roots.push(root);
        }
        ensure!(
            roots[round] == root,
            "two sides have different roots in round {round}"
        );
        Ok(())
    }
}
