//! Databases that are not ours, and what opening costs.

use rapid_history::{ChainIdentity, History, HistoryConfig, OpenError};

use crate::blocks::{BlockSeed, Chain};

#[test]
fn a_database_of_another_chain_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Chain::new();
    chain.open(dir.path()).append(&chain.records).unwrap();
    let other_id = ChainIdentity {
        chain_id: 1,
        ..chain.identity()
    };
    let other_genesis = ChainIdentity {
        genesis_hash: alloy_primitives::B256::ZERO,
        ..chain.identity()
    };
    for other in [other_id, other_genesis] {
        let refused = History::open(
            dir.path(),
            &HistoryConfig {
                chain: other,
                ..chain.config()
            },
        );
        match refused {
            Err(OpenError::OtherChain { expected, found, .. }) => {
                assert_eq!((expected, found), (other, chain.identity()));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(chain.open(dir.path()).head().unwrap().unwrap().number, 0);
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Chain::new();
    for content in [vec![0x5a; 100], vec![0x5a; 1 << 16]] {
        std::fs::write(dir.path().join("mdbx.dat"), &content).unwrap();
        let refused = History::open(dir.path(), &chain.config());
        assert!(
            matches!(
                refused,
                Err(OpenError::NotHistory { .. } | OpenError::Database { .. })
            ),
            "{refused:?}"
        );
        assert_eq!(std::fs::read(dir.path().join("mdbx.dat")).unwrap(), content);
    }
}

#[test]
fn a_database_of_another_program_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let environment = || {
        let mut builder = signet_libmdbx::Environment::builder();
        builder.set_max_dbs(4);
        builder.open(dir.path()).unwrap()
    };
    {
        let environment = environment();
        let tx = environment.begin_rw_unsync().unwrap();
        tx.create_db(Some("Headers"), signet_libmdbx::DatabaseFlags::empty())
            .unwrap();
        tx.commit().unwrap();
    }
    let chain = Chain::new();
    let refused = History::open(dir.path(), &chain.config());
    assert!(
        matches!(refused, Err(OpenError::NotHistory { .. })),
        "{refused:?}"
    );
    let environment = environment();
    let tx = environment.begin_ro_unsync().unwrap();
    let root = tx.open_db(None).unwrap();
    assert_eq!(tx.db_stat(&root).unwrap().entries(), 1);
}

#[test]
fn another_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Chain::new();
    drop(chain.open(dir.path()));
    {
        let mut builder = signet_libmdbx::Environment::builder();
        let environment = builder.set_max_dbs(4).open(dir.path()).unwrap();
        let tx = environment.begin_rw_unsync().unwrap();
        let meta = tx.open_db(Some("Meta")).unwrap();
        tx.put(
            meta,
            b"schema",
            9u32.to_be_bytes(),
            signet_libmdbx::WriteFlags::UPSERT,
        )
        .unwrap();
        tx.commit().unwrap();
    }
    let refused = History::open(dir.path(), &chain.config());
    assert!(
        matches!(
            refused,
            Err(OpenError::Schema {
                found: 9,
                expected: 2,
                ..
            })
        ),
        "{refused:?}"
    );
}

#[test]
fn the_default_configuration_takes_little_disk() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Chain::of(&[BlockSeed::transfers(10, 1)]);
    let history = History::open(dir.path(), &HistoryConfig::new(chain.identity())).unwrap();
    history.append(&chain.records).unwrap();
    let bytes = std::fs::metadata(dir.path().join("mdbx.dat")).unwrap().len();
    assert!(bytes <= 32 << 20, "{bytes}");
}
