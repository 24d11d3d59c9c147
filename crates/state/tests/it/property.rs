//! Random histories: every live view equals the model's copy, and nothing is left when the views are gone.

use std::collections::BTreeMap;

use alloy_primitives::{Address, KECCAK256_EMPTY, U256};
use proptest::{collection::vec, prelude::*, sample::Index};
use rapid_primitives::{AccountChange, CommitSequence, Fate, ReadState};
use rapid_state::{
    Commit, Conflict, Credit, Draft, ReadSet, Snapshot, State, StateConfig, StateKey, StateUsage, Writer,
};

use crate::model::{ADDRESSES, Model, SLOTS, address, code};

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<AccountChange>),
    /// By one of two writers, with credits and a fee withheld.
    Write {
        second: bool,
        changes: Vec<AccountChange>,
        credits: Vec<Credit>,
        withheld: u64,
    },
    WithholdFor(u8),
    Cut,
    Race {
        read: Vec<(Address, U256)>,
        between: Vec<AccountChange>,
        changes: Vec<AccountChange>,
    },
    Publish(Index),
    Hold(Index),
    Release(Index),
    Rewind(Index),
    Begin(Index),
    BeginOnNewest,
    BeginOn(Index),
    Apply(Index, Vec<AccountChange>),
    /// The same in parts, of changes of different accounts.
    TakeIn(Index, Vec<AccountChange>),
    Adopt(Index),
    Discard(Index),
}

fn change() -> impl Strategy<Value = AccountChange> {
    let fields = (
        proptest::option::of(0..3u64),
        proptest::option::of(0..3u64),
        proptest::option::weighted(0.2, 0..3u8),
        proptest::collection::btree_map(0..SLOTS, 0..3u64, 0..4),
    );
    (0..ADDRESSES, 0..10u8, fields).prop_map(|(index, fate, (nonce, balance, code_index, storage))| {
        let mut change = AccountChange::new(address(index));
        if fate == 0 {
            change.fate = Fate::Removed;
            return change;
        }
        change.nonce = nonce;
        change.balance = balance.map(U256::from);
        change.code = code_index.map(code);
        change.storage = storage
            .into_iter()
            .map(|(slot, value)| (U256::from(slot), U256::from(value)))
            .collect();
        if fate == 1 {
            change.fate = Fate::Wiped;
            change.nonce.get_or_insert(0);
            change.balance.get_or_insert(U256::ZERO);
            change.code.get_or_insert_with(|| code(0));
        } else if fate == 2 {
            change.fate = Fate::CreatedEmpty;
        }
        change
    })
}

fn changes() -> impl Strategy<Value = Vec<AccountChange>> {
    vec(change(), 0..4)
}

fn credit() -> impl Strategy<Value = Credit> {
    (0..ADDRESSES, 0..3u64).prop_map(|(index, wei)| Credit {
        address: address(index),
        wei: U256::from(wei),
    })
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    let keys = vec(
        (0..ADDRESSES, 0..SLOTS).prop_map(|(index, slot)| (address(index), U256::from(slot))),
        0..3,
    );
    prop_oneof![
        6 => changes().prop_map(Step::Commit),
        6 => (any::<bool>(), changes(), vec(credit(), 0..4), 0..3u64).prop_map(
            |(second, changes, credits, withheld)| Step::Write { second, changes, credits, withheld }
        ),
        1 => (0..ADDRESSES).prop_map(Step::WithholdFor),
        3 => Just(Step::Cut),
        2 => (keys, changes(), changes())
            .prop_map(|(read, between, changes)| Step::Race { read, between, changes }),
        4 => index().prop_map(Step::Publish),
        3 => index().prop_map(Step::Hold),
        2 => index().prop_map(Step::Release),
        1 => index().prop_map(Step::Rewind),
        1 => index().prop_map(Step::Begin),
        2 => Just(Step::BeginOnNewest),
        2 => index().prop_map(Step::BeginOn),
        4 => (index(), changes()).prop_map(|(draft, changes)| Step::Apply(draft, changes)),
        4 => (index(), changes()).prop_map(|(draft, changes)| Step::TakeIn(draft, changes)),
        3 => index().prop_map(Step::Adopt),
        1 => index().prop_map(Step::Discard),
    ]
}

/// Holders of views are dropped beyond this, oldest first, to keep the test fast.
const VIEWS_MAX: usize = 6;

struct Run {
    state: State,
    writers: [Writer; 2],
    beneficiary: Address,
    withheld: U256,
    /// The newest state.
    newest: Model,
    /// The model at each version: at each cut.
    versions: BTreeMap<CommitSequence, Model>,
    held: Vec<(Snapshot, Model)>,
    drafts: Vec<(Draft, Model)>,
}

impl Run {
    fn new(retained_bytes: usize) -> Self {
        let state = State::new(StateConfig {
            retained_bytes,
            leased_bytes: usize::MAX / 2,
        })
        .unwrap();
        state.withhold_for(address(0));
        Self {
            writers: [state.writer(), state.writer()],
            state,
            beneficiary: address(0),
            withheld: U256::ZERO,
            newest: Model::default(),
            versions: BTreeMap::from([(CommitSequence(0), Model::default())]),
            held: Vec::new(),
            drafts: Vec::new(),
        }
    }

    fn version(&self, index: &Index) -> CommitSequence {
        // Recent versions are the interesting ones: most older ones are trimmed.
        let back = index.index(self.versions.len().min(8));
        *self.versions.keys().nth_back(back).unwrap()
    }

    /// Fees are the beneficiary's.
    fn pay(&mut self) {
        self.newest.credit(&Credit {
            address: self.beneficiary,
            wei: std::mem::take(&mut self.withheld),
        });
    }

    /// The newest state is about to be made a version.
    fn will_cut(&mut self) {
        let paid = u64::from(!self.withheld.is_zero());
        self.pay();
        let version = CommitSequence(self.state.sequence().0 + paid);
        self.versions.insert(version, self.newest.clone());
    }

    /// Now, or at some point before, the newest state was made a version.
    fn cut(&mut self) {
        self.pay();
        self.versions.insert(self.state.sequence(), self.newest.clone());
    }

    fn commit(&mut self, reads: &ReadSet, changes: &[AccountChange]) {
        self.state.commit(reads, changes).unwrap();
        self.newest.apply(changes);
    }

    fn write(&mut self, second: bool, changes: &[AccountChange], credits: &[Credit], withheld: U256) {
        let before = self.newest.clone();
        let coded = |credit: &&Credit| {
            let account = before.account(&credit.address);
            account.is_some_and(|account| account.code_hash != KECCAK256_EMPTY)
        };
        let refused = credits.iter().find(coded).map(|credit| Conflict {
            key: StateKey::Account(credit.address),
        });
        let committed = self.writers[usize::from(second)].commit(&Commit {
            reads: &ReadSet::new(),
            changes,
            credits,
            withheld,
        });
        assert_eq!(committed.err(), refused);
        if let Ok(committed) = committed {
            self.newest.apply(changes);
            let balances: Vec<_> = credits.iter().map(|credit| self.newest.credit(credit)).collect();
            assert_eq!(committed.balances(), balances);
            self.withheld += withheld;
        }
    }

    fn get_at(&self, version: CommitSequence) -> Option<(Snapshot, Model)> {
        let snapshot = self.state.get_at(version);
        assert_eq!(snapshot.is_ok(), version >= self.state.oldest_sequence());
        snapshot
            .ok()
            .map(|snapshot| (snapshot, self.versions[&version].clone()))
    }

    fn race(&mut self, read: &[(Address, U256)], between: &[AccountChange], changes: &[AccountChange]) {
        let reader = self.state.recording();
        for (address, slot) in read {
            reader.account(address).unwrap();
            reader.storage(address, slot).unwrap();
        }
        let before = self.newest.clone();
        self.commit(&ReadSet::new(), between);
        let same = |(address, slot): &(Address, U256)| {
            before.account(address) == self.newest.account(address)
                && before.slot(address, slot) == self.newest.slot(address, slot)
        };
        let holds = read.iter().all(same);
        let entries = |usage: StateUsage| (usage.account_entries, usage.slot_entries, usage.retained_bytes);
        let before = entries(self.state.usage());
        match self.state.commit(&reader.take_reads(), changes) {
            Ok(_) => {
                assert!(holds, "a commit on changed reads was accepted");
                self.newest.apply(changes);
            }
            Err(_) => assert_eq!(entries(self.state.usage()), before),
        }
    }

    fn rewind(&mut self, version: CommitSequence) {
        // Rewinding makes the state before it a version too.
        self.will_cut();
        let rewound = self.state.rewind_to(version);
        assert_eq!(rewound.is_ok(), version >= self.state.oldest_sequence());
        let Ok((sequence, changes)) = rewound else { return };
        let mut applied = self.newest.clone();
        applied.apply(&changes);
        assert_eq!(
            applied, self.versions[&version],
            "net changes of a rewind lead to its target"
        );
        self.newest = applied;
        assert_eq!(sequence, self.state.sequence());
        self.cut();
    }

    fn begin(&mut self, draft: Draft, model: Model) {
        if self.drafts.len() == VIEWS_MAX {
            self.drafts.remove(0);
        }
        self.drafts.push((draft, model));
    }

    fn apply(&mut self, draft: usize, changes: &[AccountChange]) {
        let (draft, model) = &mut self.drafts[draft];
        draft.apply(changes).unwrap();
        model.apply(changes);
    }

    fn take_in(&mut self, draft: usize, mut changes: Vec<AccountChange>) {
        changes.sort_by_key(|change| change.address);
        changes.dedup_by_key(|change| change.address);
        let (draft, model) = &mut self.drafts[draft];
        let (filling, reader) = (draft.filling(changes.len(), 1), draft.reader());
        for change in &changes {
            let mut change = change.clone();
            let stays = change.fate == Fate::Kept && reader.has_storage(&change.address).unwrap();
            if stays && change.storage.len() > 1 {
                let others = change.storage.split_off(1);
                filling.write(&change.address, &others).unwrap();
            }
            filling.change(&[change]).unwrap();
        }
        draft.take_in(filling).unwrap();
        model.apply(&changes);
    }

    fn adopt(&mut self, draft: usize) {
        // Whether it is adopted or not, the state before it becomes a version.
        self.will_cut();
        let (draft, model) = &self.drafts[draft];
        if let Ok(sequence) = draft.adopt(&self.state) {
            self.newest = model.clone();
            assert_eq!(sequence, self.state.sequence());
            self.cut();
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Commit(changes) => self.commit(&ReadSet::new(), &changes),
            Step::Race {
                read,
                between,
                changes,
            } => self.race(&read, &between, &changes),
            Step::Cut => {
                let before = self.state.sequence();
                let cut = self.state.cut();
                assert_eq!(cut, self.state.sequence());
                assert_eq!(cut.0 - before.0, u64::from(!self.withheld.is_zero()));
                self.cut();
            }
            Step::Write {
                second,
                changes,
                credits,
                withheld,
            } => self.write(second, &changes, &credits, U256::from(withheld)),
            Step::WithholdFor(index) => {
                self.state.withhold_for(address(index));
                if self.beneficiary != address(index) {
                    self.pay();
                    self.beneficiary = address(index);
                }
            }
            Step::Publish(index) => {
                self.state.publish(self.version(&index));
                self.cut();
            }
            Step::Hold(index) => {
                self.held.extend(self.get_at(self.version(&index)));
                if self.held.len() > VIEWS_MAX {
                    self.held.remove(0);
                }
            }
            Step::Release(index) if !self.held.is_empty() => {
                self.held.swap_remove(index.index(self.held.len()));
            }
            Step::Rewind(index) => self.rewind(self.version(&index)),
            Step::Begin(index) => {
                if let Some((snapshot, model)) = self.get_at(self.version(&index)) {
                    self.begin(Draft::begin(snapshot), model);
                }
            }
            Step::BeginOnNewest => {
                let newest = self.state.get_at(self.state.sequence());
                assert_eq!(newest.is_ok(), self.withheld.is_zero());
                let snapshot = newest.or_else(|_| self.state.get_at(self.state.cut())).unwrap();
                self.cut();
                self.begin(Draft::begin(snapshot), self.newest.clone());
            }
            _ if self.drafts.is_empty() => {}
            Step::BeginOn(index) => {
                let (parent, model) = &self.drafts[index.index(self.drafts.len())];
                let (child, model) = (Draft::begin_on(parent), model.clone());
                self.begin(child, model);
            }
            Step::Apply(index, changes) => self.apply(index.index(self.drafts.len()), &changes),
            Step::TakeIn(index, changes) => self.take_in(index.index(self.drafts.len()), changes),
            Step::Adopt(index) => self.adopt(index.index(self.drafts.len())),
            Step::Discard(index) => {
                let (draft, _) = self.drafts.swap_remove(index.index(self.drafts.len()));
                draft.discard();
            }
            Step::Release(_) => {}
        }
    }

    fn check(&self) {
        assert_eq!(&Model::read(&self.state.newest()).unwrap(), &self.newest);
        let published = self.state.published();
        assert_eq!(
            Model::read(&published).unwrap(),
            self.versions[&published.sequence()]
        );
        for (snapshot, model) in &self.held {
            assert_eq!(&Model::read(snapshot).unwrap(), model);
            assert_eq!(&Model::scan(snapshot).unwrap(), model);
        }
        for (draft, model) in &self.drafts {
            assert_eq!(&Model::read(draft).unwrap(), model);
        }
    }

    /// When nobody looks at the past any more, the state holds what exists and nothing else.
    fn finish(mut self) {
        self.held.clear();
        self.drafts.clear();
        self.pay();
        self.state.commit(&ReadSet::new(), &[]).unwrap();
        self.state.publish(self.state.cut());
        assert_eq!(&Model::scan(&self.state.published()).unwrap(), &self.newest);
        let usage = self.state.usage();
        assert_eq!(usage.leased_versions, 1);
        if usage.retained_bytes == 0 {
            assert_eq!(usage.account_entries, self.newest.0.len());
            assert_eq!(usage.slot_entries, self.newest.slot_count());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_view_equals_the_model(
        steps in vec(step(), 1..80),
        retained_bytes in prop_oneof![Just(0), Just(2_000), Just(usize::MAX / 2)],
    ) {
        let mut run = Run::new(retained_bytes);
        for step in steps {
            run.step(step);
            run.check();
        }
        if retained_bytes == 0 {
            let state = run.state.clone();
            run.finish();
            prop_assert_eq!(state.usage().retained_bytes, 0);
        } else {
            run.finish();
        }
    }

    /// A draft's net changes lead from its base to what it reads, also when they are applied twice.
    #[test]
    fn draft_changes_lead_from_its_base(base in vec(changes(), 0..4), applied in vec(changes(), 0..6)) {
        let state = State::new(StateConfig::default()).unwrap();
        let mut model = Model::default();
        for changes in &base {
            model.apply(changes);
            state.commit(&ReadSet::new(), changes).unwrap();
        }
        let mut draft = Draft::begin(state.get_at(state.sequence()).unwrap());
        for changes in &applied {
            draft.apply(changes).unwrap();
        }
        let net = draft.changes();
        model.apply(&net);
        prop_assert_eq!(&model, &Model::read(&draft).unwrap());
        prop_assert!(net.is_sorted_by(|a, b| a.address < b.address));
        draft.adopt(&state).unwrap();
        prop_assert_eq!(&model, &Model::read(&state.newest()).unwrap());
    }
}
