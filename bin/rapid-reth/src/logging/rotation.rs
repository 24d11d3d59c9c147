//! A file that is renamed when it is full.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// `<name>`, and behind it `<name>.1` (the youngest) to `<name>.<count>`; older ones are deleted.
///
/// A line is never split over two files, so a file may be longer than its limit by less than one line.
#[derive(Debug)]
pub(crate) struct RotatingFile {
    directory: PathBuf,
    name: String,
    file: File,
    bytes: u64,
    bytes_max: u64,
    count: usize,
}

impl RotatingFile {
    /// Opens the file, going on where an earlier process stopped.
    ///
    /// # Errors
    /// When the directory or file cannot be created.
    pub(crate) fn open(directory: &Path, name: &str, bytes_max: u64, count: usize) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let file = append_to(&directory.join(name))?;
        let bytes = file.metadata()?.len();
        Ok(Self {
            directory: directory.to_owned(),
            name: name.to_owned(),
            file,
            bytes,
            bytes_max,
            count,
        })
    }

    /// Writes one line, rotating first when the file is full.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(crate) fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.bytes >= self.bytes_max {
            self.rotate()?;
        }
        self.file.write_all(line)?;
        self.bytes += line.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        for age in (1..=self.count).rev() {
            let younger = self.path(age - 1);
            if younger.exists() {
                std::fs::rename(younger, self.path(age))?;
            }
        }
        self.file = append_to(&self.path(0))?;
        self.bytes = 0;
        Ok(())
    }

    fn path(&self, age: usize) -> PathBuf {
        match age {
            0 => self.directory.join(&self.name),
            age => self.directory.join(format!("{}.{age}", self.name)),
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(directory: &Path) -> Vec<(String, String)> {
        let mut files: Vec<(String, String)> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| {
                (
                    entry.file_name().into_string().unwrap(),
                    std::fs::read_to_string(entry.path()).unwrap(),
                )
            })
            .collect();
        files.sort();
        files
    }

    fn named(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect()
    }

    #[test]
    fn full_files_move_down_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = RotatingFile::open(dir.path(), "reth.log", 4, 2).unwrap();
        for line in ["aa\n", "bb\n", "cc\n", "dd\n", "ee\n", "ff\n", "gg\n"] {
            log.write_line(line.as_bytes()).unwrap();
        }
        let expected = [
            ("reth.log", "gg\n"),
            ("reth.log.1", "ee\nff\n"),
            ("reth.log.2", "cc\ndd\n"),
        ];
        assert_eq!(files(dir.path()), named(&expected));
    }

    #[test]
    fn a_restart_goes_on_in_the_same_file_and_counts_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        RotatingFile::open(dir.path(), "l", 4, 1)
            .unwrap()
            .write_line(b"12345")
            .unwrap();
        RotatingFile::open(dir.path(), "l", 4, 1)
            .unwrap()
            .write_line(b"6")
            .unwrap();
        assert_eq!(files(dir.path()), named(&[("l", "6"), ("l.1", "12345")]));
    }
}
