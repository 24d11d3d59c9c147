//! Damage to the files of a stopped node: what was never durable is cut, everything else is refused with a clear
//! message and left as it is.

use crate::{
    process::{Node, refused_start},
    rpc::{RpcClient, parse_quantity},
    wallet::{Action, CHAIN_ID, Wallet},
};
use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, B256, Bytes, TxKind, keccak256};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// One block that stays open and one sync, with the first record, so that all later records are not durable.
const UNSYNCED: [&str; 4] = ["--dev.block-time", "1h", "--durability", "async:60s"];

/// What a node adds for itself to a segment and to a record.
const SEGMENT_HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 32;
const FRAME_ALIGNMENT: usize = 8;

/// A record in the log.
#[derive(Clone, Debug)]
struct Frame {
    segment: PathBuf,
    /// Where the record begins in the file, behind the frame's header.
    offset: usize,
    length: usize,
    number: u64,
}

fn log_folder(datadir: &Path) -> PathBuf {
    datadir.join("rapid/log")
}

/// The segments of a log with records, oldest first.
fn segments(datadir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = frames(datadir).into_iter().map(|frame| frame.segment).collect();
    paths.dedup();
    paths
}

/// The records of a log, oldest first.
fn frames(datadir: &Path) -> Vec<Frame> {
    let mut paths: Vec<_> = fs::read_dir(log_folder(datadir))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "log"))
        .collect();
    paths.sort();
    let mut frames = Vec::new();
    for segment in paths {
        let bytes = fs::read(&segment).unwrap();
        let mut at = SEGMENT_HEADER_BYTES;
        while let Some(header) = bytes.get(at..at + FRAME_HEADER_BYTES) {
            let length = u32::from_le_bytes(*header[4..].first_chunk().unwrap()) as usize;
            if length == 0 {
                break;
            }
            frames.push(Frame {
                segment: segment.clone(),
                offset: at + FRAME_HEADER_BYTES,
                length,
                number: u64::from_le_bytes(*header[8..].first_chunk().unwrap()),
            });
            at = (at + FRAME_HEADER_BYTES + length).next_multiple_of(FRAME_ALIGNMENT);
        }
    }
    frames
}

/// How far the log says it is durable.
fn durable_mark(datadir: &Path) -> u64 {
    let bytes = fs::read(log_folder(datadir).join("durable")).unwrap();
    u64::from_le_bytes(*bytes.first_chunk().unwrap())
}

fn flip(path: &Path, offset: usize) {
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset as u64).unwrap();
    byte[0] ^= 0x10;
    file.write_all_at(&byte, offset as u64).unwrap();
}

/// Hash of every file below a folder, apart from the lock, which names whoever tried last, and the segment prepared
/// ahead, which has no record and is made anew at every start.
fn fingerprint(folder: &Path) -> BTreeMap<PathBuf, B256> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(fingerprint(&path));
        } else if path.file_name().is_some_and(|name| name != "lock") {
            let bytes = fs::read(&path).unwrap();
            let is_segment = path.extension().is_some_and(|extension| extension == "log");
            let has_record = bytes.iter().skip(SEGMENT_HEADER_BYTES).any(|byte| *byte != 0);
            if !is_segment || has_record {
                files.insert(path, keccak256(bytes));
            }
        }
    }
    files
}

/// Asserts that a node does not start on `datadir`, says all of `words`, and modifies nothing.
fn assert_refused(datadir: &Path, words: &[&str]) {
    let before = fingerprint(datadir);
    let (code, message) = refused_start(datadir, &[]);
    assert_eq!(code, Some(1), "{message}");
    assert!(message.starts_with("Error: "), "{message}");
    for word in words {
        assert!(message.contains(word), "no {word:?} in {message}");
    }
    let after = fingerprint(datadir);
    let changed: Vec<_> = before
        .iter()
        .filter(|(path, hash)| after.get(*path) != Some(hash))
        .collect();
    assert!(changed.is_empty(), "changed by a refused start: {changed:?}");
}

/// A copy, so that one run of a node serves several kinds of damage.
fn copy_of(datadir: &Path) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.path().is_dir() {
                copy(&entry.path(), &target);
            } else {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    let copied = tempfile::tempdir().unwrap();
    copy(datadir, copied.path());
    copied
}

fn pay(rpc: &mut RpcClient, wallet: &Wallet, nonce: u64) -> Value {
    let raw = wallet.sign(nonce, Action::Pay(Address::with_last_byte(0x99)));
    let receipt = rpc.call("eth_sendRawTransactionSync", json!([raw]));
    assert_eq!(receipt["status"], "0x1", "{receipt}");
    receipt
}

#[test]
fn a_torn_tail_that_was_never_durable_is_cut() {
    let datadir = tempfile::tempdir().unwrap();
    let wallet = Wallet::dev(2);
    let node = Node::start(datadir.path(), &UNSYNCED);
    let mut rpc = node.rpc();
    let receipts: Vec<_> = (0..6).map(|nonce| pay(&mut rpc, &wallet, nonce)).collect();
    node.kill();
    let all = frames(datadir.path());
    let (last, durable) = (all.last().unwrap().clone(), durable_mark(datadir.path()));
    assert!(
        durable < last.number - 1,
        "{durable} of {} is durable",
        last.number
    );

    for damage in [Damage::CutShort, Damage::Zeroed, Damage::Flipped] {
        let copy = copy_of(datadir.path());
        let segment = copy
            .path()
            .join(last.segment.strip_prefix(datadir.path()).unwrap());
        damage.do_to(&segment, &last);
        let node = Node::start(copy.path(), &UNSYNCED);
        assert!(
            node.output().contains("Cutting the torn tail of the log"),
            "{}",
            node.output()
        );
        let mut rpc = node.rpc();
        assert_eq!(wallet.nonce(&mut rpc), 5, "{damage:?}");
        let receipt = |rpc: &mut RpcClient, at: usize| {
            rpc.call(
                "eth_getTransactionReceipt",
                json!([receipts[at]["transactionHash"]]),
            )
        };
        for (at, seen) in receipts[..5].iter().enumerate() {
            assert_eq!(&receipt(&mut rpc, at), seen, "{damage:?}");
        }
        assert_eq!(receipt(&mut rpc, 5), Value::Null);

        // It goes on where it was cut, and that survives in turn.
        let next = pay(&mut rpc, &wallet, 5);
        assert_eq!(parse_quantity(&next["transactionIndex"]), 5);
        node.kill();
        let node = Node::start(copy.path(), &UNSYNCED);
        let mut rpc = node.rpc();
        let hash = &next["transactionHash"];
        assert_eq!(rpc.call("eth_getTransactionReceipt", json!([hash])), next);
        assert_eq!(wallet.nonce(&mut rpc), 6);
    }
}

/// How the end of the log is torn.
#[derive(Clone, Copy, Debug)]
enum Damage {
    /// The file ends inside the record.
    CutShort,
    /// The second half of the record never reached the disk.
    Zeroed,
    /// One bit of the record is another.
    Flipped,
}

impl Damage {
    fn do_to(self, segment: &Path, frame: &Frame) {
        let middle = frame.offset + frame.length / 2;
        let file = fs::File::options().write(true).open(segment).unwrap();
        match self {
            Self::CutShort => file.set_len(middle as u64).unwrap(),
            Self::Zeroed => file
                .write_all_at(&vec![0; frame.length - frame.length / 2], middle as u64)
                .unwrap(),
            Self::Flipped => flip(segment, middle),
        }
    }
}

#[test]
fn damage_before_the_durable_mark_is_refused() {
    let datadir = tempfile::tempdir().unwrap();
    let wallet = Wallet::dev(3);
    let node = Node::start(datadir.path(), &[]);
    let mut rpc = node.rpc();
    for nonce in 0..4 {
        pay(&mut rpc, &wallet, nonce);
    }
    crate::export_import::await_block(&mut rpc, 2);
    assert!(node.stop().success());
    let all = frames(datadir.path());
    let newest = all.last().unwrap().number.to_string();
    assert_eq!(
        durable_mark(datadir.path()).to_string(),
        newest,
        "a stopped node is durable"
    );

    let in_copy =
        |copy: &tempfile::TempDir, path: &Path| copy.path().join(path.strip_prefix(datadir.path()).unwrap());
    // A bit of the second record, and the last byte of the last one.
    for frame in [&all[1], all.last().unwrap()] {
        let copy = copy_of(datadir.path());
        let segment = in_copy(&copy, &frame.segment);
        flip(&segment, frame.offset + frame.length - 1);
        let number = format!("mini-block {} is unreadable", frame.number);
        assert_refused(
            copy.path(),
            &[
                "log damaged before its durable end",
                &number,
                &format!("up to {newest} was durable"),
                "record does not check",
                segment.to_str().unwrap(),
            ],
        );
    }
    // The end of the newest record.
    let copy = copy_of(datadir.path());
    let last = all.last().unwrap();
    Damage::CutShort.do_to(&in_copy(&copy, &last.segment), last);
    assert_refused(
        copy.path(),
        &["log damaged before its durable end", "record does not check"],
    );
    // The head of the only segment.
    let copy = copy_of(datadir.path());
    flip(&in_copy(&copy, &last.segment), 20);
    assert_refused(
        copy.path(),
        &[
            "log damaged before its durable end",
            "segment header does not check",
        ],
    );
    // All segments, with the mark still there; and all of the log, with history still there.
    let copy = copy_of(datadir.path());
    segments(copy.path())
        .iter()
        .for_each(|path| fs::remove_file(path).unwrap());
    assert_refused(
        copy.path(),
        &["log damaged before its durable end", "log ends early"],
    );
    let copy = copy_of(datadir.path());
    fs::remove_dir_all(log_folder(copy.path())).unwrap();
    assert_refused(
        copy.path(),
        &[
            "the log at block 0",
            "is not the one of this history",
            copy.path().to_str().unwrap(),
        ],
    );
    // A checkpoint that is none, and a history that is none.
    let copy = copy_of(datadir.path());
    let checkpoint = copy.path().join("rapid/checkpoints/0000000000000002.checkpoint");
    fs::write(&checkpoint, [7; 4096]).unwrap();
    assert_refused(copy.path(), &[checkpoint.to_str().unwrap(), "is damaged at byte"]);
    let copy = copy_of(datadir.path());
    let history = copy.path().join("rapid/history/mdbx.dat");
    fs::write(&history, [7; 4096]).unwrap();
    assert_refused(copy.path(), &["is not a history database"]);

    // The original was never touched: it still starts, with everything.
    let node = Node::start(datadir.path(), &[]);
    assert_eq!(wallet.nonce(&mut node.rpc()), 4);
}

#[test]
fn a_missing_middle_segment_is_refused() {
    let datadir = tempfile::tempdir().unwrap();
    let wallet = Wallet::dev(4);
    let node = Node::start(datadir.path(), &["--dev.block-time", "1h"]);
    let mut rpc = node.rpc();
    // The first segment has 4 MiB, the second 8: so much that a third has records too.
    let nonces: Vec<_> = (0..112).collect();
    for nonces in nonces.chunks(16) {
        let raws: Vec<_> = nonces.iter().map(|nonce| large(&wallet, *nonce)).collect();
        for answer in rpc.batch("eth_sendRawTransaction", &raws) {
            assert!(answer["result"].is_string(), "{answer}");
        }
    }
    pay(&mut rpc, &wallet, 112);
    assert!(node.stop().success());
    let segments = segments(datadir.path());
    assert!(segments.len() >= 3, "{segments:?}");

    let copy = copy_of(datadir.path());
    let middle = segments[1].strip_prefix(datadir.path()).unwrap();
    fs::remove_file(copy.path().join(middle)).unwrap();
    assert_refused(
        copy.path(),
        &["log damaged before its durable end", "number does not follow"],
    );
    let copy = copy_of(datadir.path());
    let first = segments[0].strip_prefix(datadir.path()).unwrap();
    fs::remove_file(copy.path().join(first)).unwrap();
    assert_refused(copy.path(), &["log begins at mini-block", "replay needs 1"]);

    let node = Node::start(datadir.path(), &["--dev.block-time", "1h"]);
    assert_eq!(wallet.nonce(&mut node.rpc()), 113);
}

/// A transaction of almost the largest size.
fn large(wallet: &Wallet, nonce: u64) -> Bytes {
    wallet.seal(TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 1_300_000,
        max_fee_per_gas: 100_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: TxKind::Call(Address::with_last_byte(0x99)),
        input: vec![0; 120_000].into(),
        ..Default::default()
    })
}

#[test]
fn the_log_of_another_chain_is_refused() {
    let [ours, other] = [0, 1].map(|_| tempfile::tempdir().unwrap());
    for (datadir, index) in [(&ours, 5), (&other, 6)] {
        let node = Node::start(datadir.path(), &[]);
        let mut rpc = node.rpc();
        pay(&mut rpc, &Wallet::dev(index), 0);
        crate::export_import::await_block(&mut rpc, 2);
        assert!(node.stop().success());
    }
    fs::remove_dir_all(log_folder(ours.path())).unwrap();
    fs::rename(log_folder(other.path()), log_folder(ours.path())).unwrap();
    let before = fingerprint(&ours.path().join("rapid/history"));
    let (code, message) = refused_start(ours.path(), &[]);
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains("of the log has hash"), "{message}");
    assert_eq!(fingerprint(&ours.path().join("rapid/history")), before);
}
