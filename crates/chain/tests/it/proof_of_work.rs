//! What only blocks before the merge have: ommers, receipts with state roots, difficulty.

use alloy_consensus::EMPTY_OMMER_ROOT_HASH;
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256};
use rapid_chain::{ImportError, Importer};
use rapid_consensus::{OmmerError, OmmersError, PostExecutionError, ReceiptsDigest};
use rapid_primitives::{Block, Header};

use crate::by_hand::{block, homestead, import, open, sibling, transfer};

/// One change of a header.
type Change = fn(&mut Header);

fn head(importer: &Importer) -> Header {
    importer.chain().view().head.header.clone()
}

#[test]
fn receipts_roots_before_byzantium_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let mut importer = open(homestead(), dir.path());
    let genesis = head(&importer);
    let imported = import(&mut importer, block(&genesis, vec![transfer()], Vec::new()));
    let sealed = importer.chain().block_by_number(1).unwrap().expect("imported");
    assert_eq!(sealed.header, imported.header);
    let with_status = ReceiptsDigest::of(&sealed.receipts).root;
    assert_ne!(
        imported.header.receipts_root, with_status,
        "receipts without a status"
    );
    let after_block = [(&sealed.receipts[0], imported.header.state_root)];
    assert_ne!(
        imported.header.receipts_root,
        ReceiptsDigest::with_post_states(after_block).root,
        "the reward comes after the last transaction"
    );

    let dir = tempfile::tempdir().unwrap();
    let mut importer = open(homestead(), dir.path());
    let mut wrong = imported.clone();
    wrong.header.receipts_root = with_status;
    let error = importer.import(wrong).expect_err("another form of receipts");
    match error {
        ImportError::PostExecution {
            error: PostExecutionError::ReceiptsRoot(mismatch),
            ..
        } => assert_eq!(mismatch.expected, imported.header.receipts_root),
        other => panic!("{other}"),
    }
    importer.import(imported).expect("the valid one");
}

/// Which rule the ommers break.
fn refusal(importer: &mut Importer, block: Block) -> OmmersError {
    match importer.import(block) {
        Err(ImportError::Ommers { error, .. }) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn ommers_are_checked_against_the_chain() {
    let dir = tempfile::tempdir().unwrap();
    let mut importer = open(homestead(), dir.path());
    let genesis = head(&importer);
    let ommer = sibling(&genesis, b"ommer");
    let miner = Header {
        beneficiary: Address::with_last_byte(9),
        ..ommer.clone()
    };
    import(&mut importer, block(&genesis, Vec::new(), Vec::new()));
    let first = head(&importer);
    import(
        &mut importer,
        block(&first, Vec::new(), vec![ommer.clone(), miner]),
    );
    let second = head(&importer);
    let sibling_of_block = sibling(&second, b"sibling");
    let with = |ommer: &Header| block(&second, Vec::new(), vec![ommer.clone()]);
    let (found, min, max) = (3, 0, 2);
    let refused = |error| OmmersError::Ommer { index: 0, error };
    assert_eq!(
        refusal(&mut importer, with(&sibling_of_block)),
        refused(OmmerError::Depth { found, min, max })
    );
    let (hash, number) = (first.hash_slow(), 1);
    assert_eq!(
        refusal(&mut importer, with(&first)),
        refused(OmmerError::Ancestor { hash, number })
    );
    let included = refused(OmmerError::Included {
        hash: ommer.hash_slow(),
        by: 2,
    });
    assert_eq!(refusal(&mut importer, with(&ommer)), included);
    assert_eq!(head(&importer), second, "nothing has changed");
    importer.finish().unwrap();

    let mut reopened = open(homestead(), dir.path());
    assert_eq!(
        refusal(&mut reopened, with(&ommer)),
        included,
        "the chain remembers"
    );
    import(&mut reopened, with(&sibling(&first, b"late")));
}

/// A valid block with one field of its header changed is refused and leaves nothing behind, or has another hash.
#[test]
fn no_determined_field_can_change() {
    let dir = tempfile::tempdir().unwrap();
    let mut importer = open(homestead(), dir.path());
    let genesis = head(&importer);
    import(&mut importer, block(&genesis, Vec::new(), Vec::new()));
    let first = head(&importer);
    let ommers = vec![sibling(&genesis, b"ommer")];
    let valid = {
        let dir = tempfile::tempdir().unwrap();
        let mut other = open(homestead(), dir.path());
        import(&mut other, block(&genesis, Vec::new(), Vec::new()));
        import(&mut other, block(&first, vec![transfer()], ommers))
    };
    let determined: [(&str, Change); 16] = [
        ("parent hash", |h| h.parent_hash = B256::ZERO),
        ("ommers hash", |h| h.ommers_hash = EMPTY_OMMER_ROOT_HASH),
        ("beneficiary", |h| h.beneficiary = Address::with_last_byte(1)),
        ("state root", |h| h.state_root.0[0] ^= 1),
        ("transactions root", |h| h.transactions_root.0[0] ^= 1),
        ("receipts root", |h| h.receipts_root.0[0] ^= 1),
        ("bloom", |h| h.logs_bloom = Bloom::repeat_byte(1)),
        ("difficulty", |h| h.difficulty += U256::ONE),
        ("number", |h| h.number += 1),
        ("gas limit", |h| h.gas_limit *= 2),
        ("gas used", |h| h.gas_used += 1),
        ("timestamp", |h| h.timestamp -= 10),
        ("extra data", |h| h.extra_data = Bytes::from(vec![0; 33])),
        ("base fee", |h| h.base_fee_per_gas = Some(7)),
        ("withdrawals root", |h| h.withdrawals_root = Some(B256::ZERO)),
        ("requests hash", |h| h.requests_hash = Some(B256::ZERO)),
    ];
    for (name, change) in determined {
        let mut changed = valid.clone();
        change(&mut changed.header);
        importer
            .import(changed)
            .expect_err(&format!("{name} changed and was accepted"));
        assert_eq!(head(&importer), first, "{name} moved the head");
    }
    let free: [Change; 3] = [
        |h| h.extra_data = Bytes::from_static(b"other"),
        |h| h.mix_hash = B256::repeat_byte(1),
        |h| h.nonce = B64::repeat_byte(1),
    ];
    for change in free {
        let mut changed = valid.header.clone();
        change(&mut changed);
        assert_ne!(changed.hash_slow(), valid.header.hash_slow());
    }
    importer.import(valid).expect("the valid block");
}
