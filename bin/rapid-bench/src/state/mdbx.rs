//! Reference: MDBX with everything in the page cache.

use super::{
    slots::{SlotKey, SlotSource},
    world::{World, word},
};
use alloy_primitives::U256;
use eyre::WrapErr;
use signet_libmdbx::{
    Database, DatabaseFlags, Environment, EnvironmentFlags, Geometry, Mode, Ro, SyncMode, TxUnsync,
};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const TABLE: &str = "slots";
/// Address space only.
const BYTES_MAX: usize = 256 << 30;
const GROWTH_BYTES: isize = 256 << 20;

/// A table of slots in a database, read in one transaction.
pub(crate) struct MdbxSlots {
    tx: TxUnsync<Ro>,
    table: Database,
    // After the transaction, which must end first.
    _environment: Environment,
    _folder: TempDir,
}

impl MdbxSlots {
    /// Writes the first `count` slots in the order of their keys and reads them all once.
    ///
    /// # Errors
    /// If the folder cannot hold them.
    pub(crate) fn build(folder: Option<&PathBuf>, world: World, count: u64) -> eyre::Result<Self> {
        let folder = match folder {
            Some(folder) => TempDir::new_in(folder),
            None => TempDir::new(),
        }
        .wrap_err("folder for the database")?;
        let environment = open(folder.path()).wrap_err("opening the database")?;
        let table = write(&environment, world, count).wrap_err("filling the database")?;
        let tx = environment.begin_ro_unsync()?;
        let mut cursor = tx.cursor(table)?;
        let mut entry = cursor.first::<Vec<u8>, Vec<u8>>()?;
        while entry.is_some() {
            entry = cursor.next()?;
        }
        drop(cursor);
        Ok(Self {
            tx,
            table,
            _environment: environment,
            _folder: folder,
        })
    }

    /// Bytes of the table's pages.
    ///
    /// # Errors
    /// If the database does not say.
    pub(crate) fn bytes(&self) -> eyre::Result<u64> {
        let stat = self.tx.db_stat(&self.table)?;
        let pages = stat.branch_pages() + stat.leaf_pages() + stat.overflow_pages();
        Ok(pages as u64 * u64::from(stat.page_size()))
    }
}

fn open(folder: &Path) -> eyre::Result<Environment> {
    let mut builder = Environment::builder();
    builder
        .set_max_dbs(1)
        .set_geometry(Geometry {
            size: Some(0..BYTES_MAX),
            growth_step: Some(GROWTH_BYTES),
            shrink_threshold: Some(0),
            page_size: None,
        })
        .set_flags(EnvironmentFlags {
            mode: Mode::ReadWrite {
                sync_mode: SyncMode::UtterlyNoSync,
            },
            ..EnvironmentFlags::default()
        });
    Ok(builder.open(folder)?)
}

fn write(environment: &Environment, world: World, count: u64) -> eyre::Result<Database> {
    let mut order: Vec<(u64, u32)> = (0..count)
        .map(|slot| (order_of(&encode(&world.slot(slot))), slot as u32))
        .collect();
    order.sort_unstable();
    let tx = environment.begin_rw_unsync()?;
    let table = tx.create_db(Some(TABLE), DatabaseFlags::empty())?;
    // Keys of which the first bytes are the same (those of one account are) still need sorting.
    for same in order.chunk_by(|one, other| one.0 == other.0) {
        let mut entries: Vec<_> = same
            .iter()
            .map(|&(_, slot)| (encode(&world.slot(slot.into())), world.value(slot.into(), 0)))
            .collect();
        entries.sort_unstable();
        for (key, value) in entries {
            tx.append(table, key, word(value))?;
        }
    }
    tx.commit()?;
    Ok(table)
}

fn order_of(key: &[u8; 52]) -> u64 {
    key.first_chunk().map_or(0, |start| u64::from_be_bytes(*start))
}

fn encode((address, key): &SlotKey) -> [u8; 52] {
    let mut bytes = [0; 52];
    bytes[..20].copy_from_slice(address.as_slice());
    bytes[20..].copy_from_slice(word(*key).as_slice());
    bytes
}

impl SlotSource for MdbxSlots {
    fn slot(&self, key: &SlotKey) -> eyre::Result<U256> {
        let value: Option<[u8; 32]> = self.tx.get(self.table.dbi(), &encode(key))?;
        Ok(value.map_or(U256::ZERO, U256::from_be_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_written() {
        let world = World::new(3, 4);
        let slots = MdbxSlots::build(None, world, 1_000).unwrap();
        for slot in 0..1_000 {
            assert_eq!(slots.slot(&world.slot(slot)).unwrap(), world.value(slot, 0));
        }
        assert_eq!(slots.slot(&world.slot(1_000)).unwrap(), U256::ZERO);
        assert!(slots.bytes().unwrap() > 84_000);
    }
}
