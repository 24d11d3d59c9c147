//! Opening the database and checking that it is ours.

use std::path::Path;

use alloy_primitives::B256;
use signet_libmdbx::{
    Environment, EnvironmentFlags, Geometry, MdbxError, Mode, ReadError, Rw, SyncMode, TxUnsync, WriteFlags,
    sys::PageSize,
};

use crate::{ChainIdentity, HistoryConfig, OpenError, Table, tables::Tables};

/// Version of the tables and their encodings.
const SCHEMA: u32 = 2;

const SCHEMA_KEY: &[u8] = b"schema";
const CHAIN_KEY: &[u8] = b"chain";

const DATA_FILE: &str = "mdbx.dat";

/// The three meta pages every database begins with.
const META_PAGES_BYTES: u64 = 3 * 4096;

pub(crate) fn open(path: &Path, config: &HistoryConfig) -> Result<(Environment, Tables), OpenError> {
    std::fs::create_dir_all(path).map_err(|source| OpenError::CreateDir {
        path: path.to_owned(),
        source,
    })?;
    refuse_stub(path)?;
    let environment = environment(path, config).map_err(|error| database_error(path, error))?;
    let tables = tables(path, &environment, config.chain)?;
    Ok((environment, tables))
}

/// MDBX takes a file shorter than its meta pages for an empty one and writes over it. It is left alone here unless it
/// holds nothing but zeros, as after a power loss while the database was made.
fn refuse_stub(path: &Path) -> Result<(), OpenError> {
    let file = path.join(DATA_FILE);
    let is_short = std::fs::metadata(&file).is_ok_and(|metadata| metadata.len() < META_PAGES_BYTES);
    if is_short && std::fs::read(&file).is_ok_and(|bytes| bytes.iter().any(|byte| *byte != 0)) {
        return Err(OpenError::NotHistory {
            path: path.to_owned(),
        });
    }
    Ok(())
}

fn environment(path: &Path, config: &HistoryConfig) -> Result<Environment, MdbxError> {
    let mut builder = Environment::builder();
    builder
        .set_max_dbs(Table::ALL.len())
        .set_max_readers(config.max_readers)
        .set_geometry(Geometry {
            size: Some(0..config.max_bytes),
            growth_step: Some(isize::try_from(config.growth_bytes).unwrap_or(isize::MAX)),
            // Never shrinks: what was unwound is soon written again.
            shrink_threshold: Some(0),
            page_size: Some(PageSize::Set(4096)),
        })
        .set_flags(EnvironmentFlags {
            mode: Mode::ReadWrite {
                sync_mode: SyncMode::SafeNoSync,
            },
            // Look-ups by hash are random: read-ahead would fill memory with pages nobody asked for.
            no_rdahead: true,
            ..EnvironmentFlags::default()
        })
        .set_sync_bytes(config.max_unsynced_bytes);
    builder.open(path)
}

/// Opens the tables in one transaction, which is not committed unless the database is ours.
fn tables(path: &Path, environment: &Environment, chain: ChainIdentity) -> Result<Tables, OpenError> {
    let database = |error| database_error(path, error);
    let tx = environment.begin_rw_unsync().map_err(database)?;
    let root = tx.open_db(None).map_err(database)?;
    let is_new = tx.db_stat(&root).map_err(database)?.entries() == 0;
    let has_meta = match tx.open_db_no_cache(Some(Table::Meta.name())) {
        Ok(_) => true,
        Err(MdbxError::NotFound) => false,
        Err(error) => return Err(database(error)),
    };
    if !is_new && !has_meta {
        return Err(OpenError::NotHistory {
            path: path.to_owned(),
        });
    }
    let tables = Tables::create(&tx).map_err(database)?;
    let meta = tables.get(Table::Meta);
    if is_new {
        tx.put(meta, SCHEMA_KEY, SCHEMA.to_be_bytes(), WriteFlags::UPSERT)
            .map_err(database)?;
        tx.put(meta, CHAIN_KEY, encode_chain(chain), WriteFlags::UPSERT)
            .map_err(database)?;
    } else {
        check_meta(path, &tx, &tables, chain)?;
    }
    tx.commit().map_err(database)?;
    environment.sync(true).map_err(database)?;
    Ok(tables)
}

fn check_meta(
    path: &Path,
    tx: &TxUnsync<Rw>,
    tables: &Tables,
    expected: ChainIdentity,
) -> Result<(), OpenError> {
    let not_history = || OpenError::NotHistory {
        path: path.to_owned(),
    };
    let read = |key: &[u8]| match tx.get::<Vec<u8>>(tables.get(Table::Meta).dbi(), key) {
        Ok(value) => value.ok_or_else(not_history),
        Err(ReadError::Mdbx(error)) => Err(database_error(path, error)),
        Err(ReadError::Decoding(_)) => Err(not_history()),
    };
    let found = read(SCHEMA_KEY)?
        .try_into()
        .map(u32::from_be_bytes)
        .map_err(|_| not_history())?;
    if found != SCHEMA {
        return Err(OpenError::Schema {
            path: path.to_owned(),
            found,
            expected: SCHEMA,
        });
    }
    let found = decode_chain(&read(CHAIN_KEY)?).ok_or_else(not_history)?;
    if found != expected {
        return Err(OpenError::OtherChain {
            path: path.to_owned(),
            expected,
            found,
        });
    }
    Ok(())
}

fn encode_chain(chain: ChainIdentity) -> [u8; 40] {
    let mut bytes = [0; 40];
    bytes[..8].copy_from_slice(&chain.chain_id.to_be_bytes());
    bytes[8..].copy_from_slice(chain.genesis_hash.as_slice());
    bytes
}

fn decode_chain(bytes: &[u8]) -> Option<ChainIdentity> {
    let (chain_id, genesis_hash) = bytes.split_first_chunk()?;
    Some(ChainIdentity {
        chain_id: u64::from_be_bytes(*chain_id),
        genesis_hash: B256::try_from(genesis_hash).ok()?,
    })
}

fn database_error(path: &Path, source: MdbxError) -> OpenError {
    match source {
        MdbxError::Invalid => OpenError::NotHistory {
            path: path.to_owned(),
        },
        source => OpenError::Database {
            path: path.to_owned(),
            source,
        },
    }
}
