//! Blocks imported with a hint, by many workers.

use std::{num::NonZeroUsize, path::Path, sync::Arc};

use rapid_chain::{BlockHint, Chain, ChainConfig, ExecutionMode, ImportError, Importer};
use rapid_chainspec::ChainSpec;
use rapid_consensus::PostExecutionError;
use rapid_executor::{Pinning, Workers};
use rapid_primitives::StateDiff;

use crate::{
    amsterdam,
    by_hand::{self, import, open},
    lives,
};

fn open_parallel(spec: Arc<ChainSpec>, dir: &Path) -> Importer {
    let workers = Workers::start(NonZeroUsize::new(3).unwrap(), &Pinning::Free).unwrap();
    let config = ChainConfig {
        execution: ExecutionMode::Parallel(Arc::new(workers.for_every_block())),
        ..by_hand::config(dir)
    };
    Importer::new(Chain::open(spec, &config).unwrap()).unwrap()
}

fn hints(importer: &Importer) -> (u64, u64) {
    let work = importer.work();
    (work.hinted_blocks, work.proven_hints)
}

#[test]
fn a_declared_list_is_proven_and_a_lie_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut importer = open(amsterdam::spec(), dir.path());
    let genesis = importer.chain().view().head.header.clone();
    let valid = import(&mut importer, amsterdam::block(&genesis));
    let expected = importer.chain().view().head.hash;

    let dir = tempfile::tempdir().unwrap();
    let mut importer = open_parallel(amsterdam::spec(), dir.path());
    let honest = importer.hint_of(&valid).unwrap();
    // Who lies commits to the lie, so that the block's hash is that of the list it comes with.
    let BlockHint::Declared(mut list) = honest.clone() else {
        panic!("{honest:?}")
    };
    let mut nonces = list.iter_mut().flat_map(|account| &mut account.nonce_changes);
    nonces.next().expect("somebody sent it").new_nonce += 1;
    let mut lying = valid.clone();
    let claimed = alloy_eip7928::compute_block_access_list_hash(&list);
    lying.header.block_access_list_hash = Some(claimed);
    let error = importer
        .insert_hinted(lying, Some(BlockHint::Declared(list)))
        .unwrap_err();
    let true_hash = valid.header.block_access_list_hash;
    assert!(
        matches!(
            error,
            ImportError::PostExecution {
                error: PostExecutionError::BlockAccessListHash { found, expected },
                ..
            } if (found, expected) == (Some(claimed), true_hash)
        ),
        "{error}"
    );
    let inserted = importer.insert_hinted(valid, Some(honest)).unwrap();
    importer.set_head(inserted.hash).unwrap();
    assert_eq!(importer.chain().view().head.hash, expected);
    assert_eq!(hints(&importer), (1, 1));
}

#[test]
fn contracts_come_and_go_with_hints_as_without() {
    let dir = tempfile::tempdir().unwrap();
    let mut sequential = open(lives::spec(), dir.path());
    let genesis = sequential.chain().view().head.header.clone();
    let blocks = lives::grow(&mut sequential, 1, &genesis, 16);
    let head = blocks.last().unwrap().header.hash_slow();
    sequential.set_head(head).unwrap();

    let dir = tempfile::tempdir().unwrap();
    let mut parallel = open_parallel(lives::spec(), dir.path());
    for (number, block) in blocks.iter().enumerate() {
        // Every other block comes with nothing but lies, and is on a parent that is not canonical.
        let hint = match number % 2 {
            0 => parallel.hint_of(block).unwrap(),
            _ => BlockHint::Advisory(StateDiff::default()),
        };
        parallel.insert_hinted(block.clone(), Some(hint)).unwrap();
    }
    assert_eq!(hints(&parallel), (16, 8));
    parallel.set_head(head).unwrap();
    assert_eq!(lives::lives(&parallel), lives::lives(&sequential));
}

#[test]
fn without_workers_hints_are_left_aside() {
    let dir = tempfile::tempdir().unwrap();
    let mut importer = open(amsterdam::spec(), dir.path());
    let genesis = importer.chain().view().head.header.clone();
    let valid = import(&mut importer, amsterdam::block(&genesis));
    let dir = tempfile::tempdir().unwrap();
    let mut importer = open(amsterdam::spec(), dir.path());
    importer
        .insert_hinted(valid, Some(BlockHint::Declared(Vec::new())))
        .unwrap();
    assert_eq!(hints(&importer), (0, 0));
}
