//! Finding and reading the files, packed or not.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

/// A file of test cases.
#[derive(Debug)]
pub(crate) struct Vectors {
    /// Its path in the archive or on disk, with `/` between folders.
    pub(crate) path: String,
    /// Its content.
    pub(crate) json: Vec<u8>,
}

/// Hands every `.json` file below `paths` to `take`, archive by archive and in the order they are stored.
pub(crate) fn for_each_file(paths: &[PathBuf], mut take: impl FnMut(Vectors)) -> io::Result<()> {
    paths.iter().try_for_each(|path| visit(path, &mut take))
}

fn visit(path: &Path, take: &mut dyn FnMut(Vectors)) -> io::Result<()> {
    if path.is_dir() {
        let mut entries = fs::read_dir(path)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<Vec<_>>>()?;
        entries.sort();
        return entries.iter().try_for_each(|entry| visit(entry, take));
    }
    let name = path.to_string_lossy().into_owned();
    if name.ends_with(".tar.zst") {
        unpack(path, take)
    } else {
        if name.ends_with(".json") {
            take(Vectors {
                json: fs::read(path)?,
                path: name,
            });
        }
        Ok(())
    }
}

fn unpack(archive: &Path, take: &mut dyn FnMut(Vectors)) -> io::Result<()> {
    let mut archive = tar::Archive::new(zstd::Decoder::new(File::open(archive)?)?);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        if !path.ends_with(".json") {
            continue;
        }
        let mut json = Vec::with_capacity(usize::try_from(entry.size()).unwrap_or_default());
        entry.read_to_end(&mut json)?;
        take(Vectors { path, json });
    }
    Ok(())
}
