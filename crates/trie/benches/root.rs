//! What the root of a block costs, next to what its hashes alone would: `cargo bench -p rapid-trie`.
//!
//! One batch of changes (70 % updates, 20 % inserts, 10 % deletes) after the other: as blocks are, with the versions
//! before alive ("Kept"), and in place ("Alone"). `RAPID_TRIE_BENCH_KEYS` sets the sizes of the trie, in thousands.
//!
//! The state is a plain table; with `GLIBC_TUNABLES=glibc.malloc.hugetlb=1` it has huge pages as the real one.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_trie::{HashBuilder, Nibbles};
use rapid_keccak::{keccak256_many, keccak256_words};
use rapid_primitives::{Account, AccountChange};
use rapid_trie::{Forest, StateTrie, TrieError, TrieState};
use rayon::{ThreadPool, ThreadPoolBuilder};
use rustix::time::{ClockId, clock_gettime};

/// The account that has all slots.
const CONTRACT: Address = Address::repeat_byte(0xcc);

/// Rounds of which the median counts.
const ROUNDS: usize = 31;

/// Versions that are kept.
const KEPT: usize = 8;

/// A slot as the state holds it: key, value, and the rest of 80 bytes.
#[derive(Default)]
struct Entry([AtomicU64; 10]);

/// A state of one contract whose slot `n` has place `n`, or of accounts, of which the same holds.
#[derive(Clone)]
struct Table(Arc<Vec<Entry>>);

impl Table {
    fn new(count: usize) -> Self {
        let entries: Vec<Entry> = std::iter::repeat_with(Entry::default).take(count).collect();
        for (entry, number) in entries.iter().zip(0u64..) {
            entry.0[3].store(number.to_be(), Relaxed);
        }
        Self(Arc::new(entries))
    }

    fn set(&self, place: usize, value: u64) {
        for (word, shift) in self.0[place].0[4..8].iter().zip([0, 7, 13, 29]) {
            word.store(value << shift, Relaxed);
        }
    }

    fn value(&self, place: u32) -> U256 {
        U256::from_limbs([4, 5, 6, 7].map(|at| self.0[place as usize].0[at].load(Relaxed)))
    }

    fn word(&self, place: u32) -> B256 {
        let mut word = B256::ZERO;
        for (bytes, own) in word.chunks_exact_mut(8).zip(&self.0[place as usize].0) {
            bytes.copy_from_slice(&own.load(Relaxed).to_ne_bytes());
        }
        word
    }
}

/// The contract is account 0, the accounts follow. They have the values of the slots as balances.
impl TrieState for Table {
    fn check(&self) -> Result<(), TrieError> {
        Ok(())
    }

    fn account_ids(&self, addresses: &[Address], ids: &mut Vec<Option<u32>>) {
        let id = |address: &Address| match *address {
            CONTRACT => 0,
            _ => u32::from_be_bytes([address[16], address[17], address[18], address[19]]) + 1,
        };
        ids.extend(addresses.iter().map(|address| Some(id(address))));
    }

    fn addresses(&self, accounts: &[u32], addresses: &mut Vec<Address>) {
        let address = |id: u32| match id {
            0 => CONTRACT,
            _ => account_address(self.word(id - 1)[28..].try_into().map_or(0, u32::from_be_bytes)),
        };
        addresses.extend(accounts.iter().map(|id| address(*id)));
    }

    fn accounts(&self, accounts: &[u32], values: &mut Vec<Option<Account>>) -> Result<(), TrieError> {
        let account = |id: u32| {
            let balance = if id == 0 {
                U256::from(1)
            } else {
                self.value(id - 1)
            };
            let nonce = u64::from(id);
            let account = Account {
                nonce,
                balance,
                ..Account::default()
            };
            (!balance.is_zero()).then_some(account)
        };
        values.extend(accounts.iter().map(|id| account(*id)));
        Ok(())
    }

    fn storage_ids(&self, accounts: &[u32], ids: &mut Vec<u32>) -> Result<(), TrieError> {
        ids.extend(accounts.iter().map(|id| u32::from(*id == 0)));
        Ok(())
    }

    fn slot_ids(&self, slots: &[(u32, U256)], ids: &mut Vec<Option<u32>>) {
        ids.extend(slots.iter().map(|(_, slot)| Some(slot.as_limbs()[0] as u32)));
    }

    fn slots(&self, slots: &[u32], words: &mut Vec<B256>) {
        words.extend(slots.iter().map(|place| self.word(*place)));
    }

    fn values(&self, slots: &[u32], values: &mut Vec<U256>) -> Result<(), TrieError> {
        values.extend(slots.iter().map(|place| self.value(*place)));
        Ok(())
    }
}

fn account_address(number: u32) -> Address {
    let mut address = Address::repeat_byte(0xaa);
    address[16..].copy_from_slice(&number.to_be_bytes());
    address
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// What a key is in a scenario.
#[derive(Clone, Copy, Debug)]
enum Keys {
    /// A slot of one contract.
    Slots,
    /// An account.
    Accounts,
}

/// A trie and the places of its state that have a value, and those that do not.
struct Chain {
    keys: Keys,
    table: Table,
    present: Vec<u32>,
    absent: Vec<u32>,
    kept: Vec<StateTrie<Table>>,
    trie: StateTrie<Table>,
    numbers: Numbers,
}

impl Chain {
    fn new(keys: Keys, count: usize, forest: &Forest) -> (Self, Duration) {
        let table = Table::new(count + count / 4);
        let mut numbers = Numbers(count as u64);
        for place in 0..count {
            table.set(place, numbers.next() >> 8 | 1 << 50);
        }
        let present: Vec<u32> = (0..count as u32).collect();
        let absent = (count as u32..table.0.len() as u32).collect();
        let accounts = match keys {
            Keys::Slots => vec![(0, present.clone())],
            Keys::Accounts => present.iter().map(|place| (place + 1, Vec::new())).collect(),
        };
        let (trie, time) = cpu_time(|| {
            let trie = StateTrie::build(forest, table.clone(), accounts).expect("memory");
            trie.root().expect("state");
            trie
        });
        let kept = Vec::new();
        let chain = Self {
            keys,
            table,
            present,
            absent,
            kept,
            trie,
            numbers,
        };
        (chain, time)
    }

    /// Changes of a block, which the table has already.
    fn block(&mut self, count: usize) -> Vec<AccountChange> {
        let mut writes = Vec::new();
        for n in 0..count {
            let at = self.numbers.below(self.present.len());
            let value = self.numbers.next() >> 8 | 1 << 50;
            match n % 10 {
                0..7 => writes.push((self.present[at], value)),
                7..9 => {
                    let from = self.numbers.below(self.absent.len());
                    let place = self.absent.swap_remove(from);
                    self.present.push(place);
                    writes.push((place, value));
                }
                _ => {
                    let place = self.present.swap_remove(at);
                    self.absent.push(place);
                    writes.push((place, 0));
                }
            }
        }
        // The last write of a place counts, as in the table.
        writes.reverse();
        writes.sort_by_key(|write| write.0);
        writes.dedup_by_key(|write| write.0);
        for (place, value) in &writes {
            self.table.set(*place as usize, *value);
        }
        let value = |place: u32| self.table.value(place);
        match self.keys {
            Keys::Slots => {
                let mut change = AccountChange::new(CONTRACT);
                change.storage = writes
                    .iter()
                    .map(|(place, _)| (U256::from(*place), value(*place)))
                    .collect();
                vec![change]
            }
            Keys::Accounts => writes
                .iter()
                .map(|(place, _)| {
                    let mut change = AccountChange::new(account_address(*place));
                    change.balance = Some(value(*place));
                    change
                })
                .collect(),
        }
    }

    fn keep(&mut self) {
        self.kept.push(self.trie.clone());
        if self.kept.len() > KEPT {
            self.kept.remove(0);
        }
    }

    fn values(&self) -> Vec<(B256, U256)> {
        let words: Vec<B256> = self.present.iter().map(|place| self.table.word(*place)).collect();
        let mut keys = vec![B256::ZERO; words.len()];
        keccak256_words(&words, &mut keys);
        let values = self.present.iter().map(|place| self.table.value(*place));
        let mut leaves: Vec<_> = keys.into_iter().zip(values).collect();
        leaves.sort_unstable();
        leaves
    }
}

fn cpu_time<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    let start = now();
    let result = run();
    (result, now() - start)
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

/// Nanoseconds of a permutation, alone and in a batch, here and now.
fn permutation_ns() -> (f64, f64) {
    let messages: Vec<[u8; 532]> = (0..512u32).map(|n| [n as u8; 532]).collect();
    let mut digests = vec![B256::ZERO; messages.len()];
    let permutations = (messages.len() * 4) as f64;
    let (mut alone, mut batched) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        let time = cpu_time(|| {
            black_box(&messages).iter().for_each(|message| {
                black_box(keccak256(message));
            })
        });
        alone.push(time.1);
        batched.push(cpu_time(|| keccak256_many(black_box(&messages), &mut digests)).1);
    }
    (
        median(&mut alone) * 1e6 / permutations,
        median(&mut batched) * 1e6 / permutations,
    )
}

/// Whether versions before the newest are alive, so that nodes are copied before they are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Versions {
    Kept,
    Alone,
}

fn measure(chain: &mut Chain, forest: &Forest, count: usize, versions: Versions, pool: &ThreadPool) {
    chain.kept.clear();
    forest.sweep();
    let (mut apply, mut root, mut total, mut wall, mut wall_two) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut changed, mut permutations) = (0, 0);
    for round in 0..2 * ROUNDS {
        let block = chain.block(count);
        if versions == Versions::Kept {
            chain.keep();
        }
        let before = forest.usage().permutations;
        let start = Instant::now();
        if round % 2 == 0 {
            let state = chain.table.clone();
            let applied = cpu_time(|| chain.trie.apply(state, &block).expect("memory")).1;
            let hashed = cpu_time(|| chain.trie.root().expect("state")).1;
            wall.push(start.elapsed());
            apply.push(applied);
            root.push(hashed);
            total.push(applied + hashed);
            changed = block.len().max(block[0].storage.len());
            permutations = forest.usage().permutations - before + changed as u64;
        } else {
            let state = chain.table.clone();
            chain.trie.apply_with(pool, state, &block).expect("memory");
            chain.trie.root_with(pool).expect("state");
            wall_two.push(start.elapsed());
        }
    }
    let (alone, batched) = permutation_ns();
    let total = median(&mut total);
    let bound = |ns: f64| permutations as f64 * ns / 1e6;
    println!(
        "  {changed:6} changed, {versions:?}: {total:6.2} ms cpu (apply {:.2}, root {:.2}), {:.0} ns a key; {permutations} permutations: \
         {:.2} x batched bound ({:.2} ms at {batched:.1} ns), {:.2} x scalar bound ({:.2} ms at {alone:.0} ns); \
         wall {:.2} ms, {} threads {:.2} ms",
        median(&mut apply),
        median(&mut root),
        total * 1e6 / changed as f64,
        total / bound(batched),
        bound(batched),
        total / bound(alone),
        bound(alone),
        median(&mut wall),
        pool.current_num_threads(),
        median(&mut wall_two),
    );
}

fn run(keys: Keys, count: usize, pool: &ThreadPool) {
    let forest = Forest::default();
    let (mut chain, built) = Chain::new(keys, count, &forest);
    let bytes = forest.usage().used_bytes as f64 / count as f64;
    println!("{keys:?}, {count} keys: {bytes:.1} bytes a leaf");
    if let Keys::Slots = keys {
        let (leaves, sorted) = cpu_time(|| chain.values());
        let (root, rebuilt) = cpu_time(|| {
            let mut builder = HashBuilder::default();
            for (key, value) in &leaves {
                builder.add_leaf(Nibbles::unpack(key), &alloy_rlp::encode(value));
            }
            builder.root()
        });
        assert_eq!(chain.trie.storage_root(CONTRACT), Ok(Some(root)));
        let [built, rebuilt, sorted] = [built, rebuilt, sorted].map(|time| time.as_secs_f64() * 1e3);
        println!(
            "  build {built:.0} ms with the hashing and sorting of keys; HashBuilder {rebuilt:.0} ms without ({:.2}), \
             {:.0} ms with, keys in batches ({:.2})",
            built / rebuilt,
            rebuilt + sorted,
            built / (rebuilt + sorted)
        );
    }
    for versions in [Versions::Kept, Versions::Alone] {
        for count in [10_000, 1_000] {
            measure(&mut chain, &forest, count, versions, pool);
        }
    }
    if let Keys::Slots = keys {
        let mut builder = HashBuilder::default();
        for (key, value) in chain.values() {
            builder.add_leaf(Nibbles::unpack(key), &alloy_rlp::encode(value));
        }
        assert_eq!(
            chain.trie.storage_root(CONTRACT),
            Ok(Some(builder.root())),
            "after all blocks"
        );
    }
}

fn main() {
    let sizes = std::env::var("RAPID_TRIE_BENCH_KEYS").unwrap_or_else(|_| "1000,5000".into());
    let pool = ThreadPoolBuilder::new().num_threads(2).build().expect("threads");
    for size in sizes
        .split(',')
        .filter_map(|size| size.trim().parse::<usize>().ok())
    {
        run(Keys::Slots, size * 1_000, &pool);
        run(Keys::Accounts, size * 1_000, &pool);
    }
}
