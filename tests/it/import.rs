//! `import`, `export` and `stage` of the built binary: files in, blocks back, `kill -9` anywhere in between.

use crate::{
    kill9::{SplitMix, number_from_environment, time_seed},
    process::{binary, run, run_well},
    workspace,
};
use alloy_consensus::{
    EMPTY_OMMER_ROOT_HASH, SignableTransaction, TxLegacy, proofs::calculate_transaction_root,
    transaction::SignerRecoverable,
};
use alloy_primitives::{Address, B256, Signature, U256, b256};
use rapid_chain::{Chain, ChainConfig, ImportError, Importer};
use rapid_chainspec::ChainSpec;
use rapid_consensus::{PostExecutionError, next_difficulty};
use rapid_primitives::{Block, BlockBody, Header, TransactionSigned};
use rapid_stages::write_block;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, LazyLock},
    thread,
    time::Duration,
};

/// Blocks of the test's chain, and transfers in each.
const BLOCKS: u64 = 120;
const TRANSFERS: usize = 8;

/// Kills without `RAPID_KILL_ROUNDS`, and when they come after the start of the process.
const DEFAULT_ROUNDS: u64 = 6;
const KILL_AFTER_MS: std::ops::Range<u64> = 1..400;

/// The head of the published chain.
const CONFORMANCE_HEAD: B256 = b256!("d226371d0b1551adb03fb52b71f08e3e11247fe9b1af994768af8cdaa8e7dcd7");

/// A chain made once for all tests: its genesis, and its blocks.
static CHAIN: LazyLock<(String, Vec<Block>)> = LazyLock::new(make_chain);

/// The first transaction of an account that a made-up signature decides on.
fn transfer(salt: u64) -> TransactionSigned {
    let transaction = TxLegacy {
        gas_limit: 21_000,
        to: Address::with_last_byte(5).into(),
        value: U256::from(5),
        ..TxLegacy::default()
    };
    let signature = Signature::new(U256::from(salt), U256::from(7), false);
    transaction.into_signed(signature).into()
}

fn make_chain() -> (String, Vec<Block>) {
    // About every second made-up signature is of somebody.
    let count = usize::try_from(BLOCKS).unwrap() * TRANSFERS;
    let transfers: Vec<_> = (1..)
        .map(transfer)
        .filter_map(|transaction| Some((transaction.recover_signer().ok()?, transaction)))
        .take(count)
        .collect();
    let accounts: Vec<_> = transfers
        .iter()
        .map(|(sender, _)| format!(r#""{sender}":{{"balance":"0xde0b6b3a7640000"}}"#))
        .collect();
    let genesis = format!(
        r#"{{"config":{{"chainId":9,"homesteadBlock":0}},"gasLimit":"0x1c9c380","difficulty":"0x40000",
        "alloc":{{{}}}}}"#,
        accounts.join(",")
    );
    let spec = Arc::new(ChainSpec::parse(&genesis).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let opened = Chain::open(Arc::clone(&spec), &ChainConfig::new(dir.path().to_owned())).unwrap();
    let mut importer = Importer::new(opened).unwrap();
    let blocks = transfers
        .chunks(TRANSFERS)
        .map(|transfers| {
            let parent = importer.chain().view().head.header.clone();
            let transactions = transfers.iter().map(|(_, transaction)| transaction.clone());
            completed(&mut importer, block_on(&spec, &parent, transactions.collect()))
        })
        .collect();
    importer.finish().unwrap();
    (genesis, blocks)
}

fn block_on(spec: &ChainSpec, parent: &Header, transactions: Vec<TransactionSigned>) -> Block {
    let timestamp = parent.timestamp + 10;
    let header = Header {
        parent_hash: parent.hash_slow(),
        number: parent.number + 1,
        timestamp,
        gas_limit: parent.gas_limit,
        gas_used: transactions.len() as u64 * 21_000,
        difficulty: next_difficulty(spec, parent, timestamp),
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        transactions_root: calculate_transaction_root(&transactions),
        ..Header::default()
    };
    let body = BlockBody {
        transactions,
        ommers: Vec::new(),
        withdrawals: None,
    };
    Block { header, body }
}

/// Imports a block whose header says nothing of its execution: the importer says what is missing.
fn completed(importer: &mut Importer, mut block: Block) -> Block {
    loop {
        match importer.import(block.clone()) {
            Ok(_) => return block,
            Err(ImportError::PostExecution { error, .. }) => match error {
                PostExecutionError::ReceiptsRoot(mismatch) => block.header.receipts_root = mismatch.expected,
                PostExecutionError::StateRoot(mismatch) => block.header.state_root = mismatch.expected,
                other => panic!("{other}"),
            },
            Err(other) => panic!("{other}"),
        }
    }
}

/// Files of a test, gone at its end.
struct Bed {
    dir: tempfile::TempDir,
}

impl Bed {
    fn new() -> Self {
        let bed = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        fs::write(bed.path("genesis.json"), &CHAIN.0).unwrap();
        bed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn datadir(&self) -> PathBuf {
        self.path("datadir")
    }

    fn write(&self, name: &str, blocks: &[Block]) -> PathBuf {
        let mut bytes = Vec::new();
        blocks
            .iter()
            .for_each(|block| write_block(&mut bytes, block).unwrap());
        fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    /// A command with its arguments, on the test's chain.
    fn command<'a>(genesis: &'a str, words: &[&'a str]) -> Vec<&'a str> {
        words.iter().copied().chain(["--chain", genesis]).collect()
    }

    /// Runs a command that must succeed; returns what it wrote.
    fn well(&self, words: &[&str]) -> String {
        let genesis = self.path("genesis.json");
        let arguments = Self::command(genesis.to_str().unwrap(), words);
        let output = run(&arguments, &self.datadir());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {text}{errors}");
        text
    }

    /// Runs a command that must fail; returns its complaint.
    fn badly(&self, words: &[&str]) -> String {
        let genesis = self.path("genesis.json");
        let arguments = Self::command(genesis.to_str().unwrap(), words);
        let output = run(&arguments, &self.datadir());
        assert!(!output.status.success(), "{words:?} must fail");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// The chain in the datadir is these blocks.
    fn assert_chain(&self, blocks: &[Block]) {
        let (exported, expected) = (self.path("exported.rlp"), self.write("expected.rlp", blocks));
        let _ = fs::remove_file(&exported);
        self.well(&["export", exported.to_str().unwrap()]);
        assert!(
            fs::read(exported).unwrap() == fs::read(expected).unwrap(),
            "another chain than expected"
        );
    }
}

/// `--datadir` belongs to `stage unwind`, not to what follows it.
fn stage<'a>(words: &[&'a str], genesis: &'a str, datadir: &'a Path) -> Vec<&'a str> {
    let datadir = datadir.to_str().unwrap();
    let [first, second, rest @ ..] = words else {
        panic!("a command and its action")
    };
    let environment = ["--chain", genesis, "--datadir", datadir];
    [*first, *second]
        .into_iter()
        .chain(environment)
        .chain(rest.iter().copied())
        .collect()
}

fn run_stage(bed: &Bed, words: &[&str]) -> (bool, String) {
    let (genesis, datadir) = (bed.path("genesis.json"), bed.datadir());
    let output = Command::new(binary())
        .args(stage(words, genesis.to_str().unwrap(), &datadir))
        .args(["--color", "never"])
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn an_import_that_is_killed_again_and_again_ends_at_the_right_head() {
    let rounds = number_from_environment("RAPID_KILL_ROUNDS").unwrap_or(DEFAULT_ROUNDS);
    let seed = number_from_environment("RAPID_KILL_SEED").unwrap_or_else(time_seed);
    println!("{rounds} rounds, RAPID_KILL_SEED={seed}");
    let mut random = SplitMix(seed);
    let bed = Bed::new();
    let file = bed.write("chain.rlp", &CHAIN.1);
    for _ in 0..rounds {
        let mut child = Command::new(binary())
            .arg("import")
            .arg("--chain")
            .arg(bed.path("genesis.json"))
            .arg("--datadir")
            .arg(bed.datadir())
            .args(["--fail-on-invalid-block", "--log.file.max-files", "0"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(random.within(KILL_AFTER_MS)));
        // It may be done already: then there is nothing to kill, and the next round passes everything over.
        let _ = child.kill();
        let status = child.wait().unwrap();
        assert!(status.code().is_none_or(|code| code == 0), "{status}");
    }
    let text = bed.well(&["import", "--fail-on-invalid-block", file.to_str().unwrap()]);
    let head = CHAIN.1.last().unwrap().header.hash_slow();
    assert!(text.contains(&format!("hash={head}")), "{text}");
    bed.assert_chain(&CHAIN.1);
}

#[test]
fn an_invalid_block_ends_the_import_well_or_badly_as_asked() {
    let bed = Bed::new();
    let mut blocks = CHAIN.1[..20].to_vec();
    blocks[12].header.state_root = B256::repeat_byte(3);
    let bad = bed.write("bad.rlp", &blocks);
    let after = bed.write("after.rlp", &CHAIN.1[12..14]);
    let (bad, after) = (bad.to_str().unwrap(), after.to_str().unwrap());
    let complaint = bed.badly(&["import", "--fail-on-invalid-block", bad]);
    assert!(complaint.contains("bad.rlp, entry 12: block 13 "), "{complaint}");
    bed.assert_chain(&CHAIN.1[..12]);
    let text = bed.well(&["import", bad, after]);
    assert!(text.contains("Import stopped at an invalid block"), "{text}");
    assert!(text.contains("skipped=12"), "{text}");
    bed.assert_chain(&CHAIN.1[..12]);
    bed.well(&["import", after]);
    bed.assert_chain(&CHAIN.1[..14]);
    assert!(bed.badly(&["import", "absent.rlp"]).contains("absent.rlp"));
}

#[test]
fn unwound_blocks_come_back_the_same() {
    let bed = Bed::new();
    let file = bed.write("chain.rlp", &CHAIN.1[..40]);
    let file = file.to_str().unwrap();
    let text = bed.well(&["import", file]);
    for stage in ["sender recovery", "execution", "state root", "history"] {
        assert!(
            text.contains(&format!("stage=\"{stage}\"")) || text.contains(&format!("stage={stage} ")),
            "{text}"
        );
    }

    let (good, text) = run_stage(&bed, &["stage", "unwind", "num-blocks", "5"]);
    assert!(good && text.contains("removed=5"), "{text}");
    bed.assert_chain(&CHAIN.1[..35]);
    let hash = CHAIN.1[9].header.hash_slow().to_string();
    let (good, text) = run_stage(&bed, &["stage", "unwind", "--offline", "to-block", &hash]);
    assert!(good && text.contains("head=10"), "{text}");
    bed.assert_chain(&CHAIN.1[..10]);
    for impossible in [["to-block", "11"], ["num-blocks", "11"], ["to-block", "0x12"]] {
        let (good, text) = run_stage(&bed, &[&["stage", "unwind"][..], &impossible].concat());
        assert!(!good, "{text}");
    }
    bed.well(&["import", file]);
    bed.assert_chain(&CHAIN.1[..40]);

    let part = bed.path("part.rlp");
    bed.well(&["export", "--from", "3", "--to", "7", part.to_str().unwrap()]);
    assert_eq!(
        fs::read(part).unwrap(),
        fs::read(bed.write("expected.rlp", &CHAIN.1[2..7])).unwrap()
    );
}

#[test]
fn stages_are_done_again_and_agree() {
    let bed = Bed::new();
    bed.well(&["import", bed.write("chain.rlp", &CHAIN.1[..30]).to_str().unwrap()]);
    for stage in ["headers", "bodies", "senders", "execution", "tx-lookup"] {
        let (good, text) = run_stage(
            &bed,
            &[
                "stage",
                "run",
                "--from",
                "1",
                "--to",
                "30",
                "--batch-size",
                "7",
                stage,
            ],
        );
        assert!(
            good && text.contains("Stage run finished") && text.contains("differences=0"),
            "{text}"
        );
        assert!(text.contains("blocks=30"), "{text}");
    }
    let (good, text) = run_stage(&bed, &["stage", "run", "--from", "1", "--to", "31", "execution"]);
    assert!(!good && text.contains("block 31 is not stored"), "{text}");
    let (good, text) = run_stage(&bed, &["stage", "run", "--from", "1", "--to", "30", "hashing"]);
    assert!(!good && text.contains("no tables of hashed state"), "{text}");
}

#[test]
fn the_published_chain_is_imported_to_its_head() {
    let vectors = env::var_os("RAPID_CONFORMANCE_DIR")
        .map_or_else(|| workspace::root().join("../shared/conformance"), PathBuf::from);
    let tests = vectors.join("execution-apis/tests");
    let (file, genesis) = (tests.join("chain.rlp"), tests.join("genesis.json"));
    if !file.is_file() || !genesis.is_file() {
        println!("skipped: {} is not there", file.display());
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let genesis = genesis.to_str().unwrap();
    run_well(&["init", "--chain", genesis], dir.path());
    let arguments = [
        "import",
        "--chain",
        genesis,
        "--fail-on-invalid-block",
        file.to_str().unwrap(),
    ];
    let output = run(&arguments, dir.path());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(text.contains(&format!("hash={CONFORMANCE_HEAD}")), "{text}");
    for stage in ["bodies", "senders", "execution", "tx-lookup"] {
        let head = text
            .split_whitespace()
            .find_map(|word| word.strip_prefix("head="))
            .unwrap();
        let stage = [
            "stage", "run", "--chain", genesis, "--from", "0", "--to", head, stage,
        ];
        run_well(&stage, dir.path());
    }
}
