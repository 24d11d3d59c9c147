//! How results are shown: a table for people, Markdown, JSON.

use clap::Args;
use eyre::WrapErr;
use serde::Serialize;
use std::{fs, path::PathBuf};

/// Where results go besides the table on standard output.
#[derive(Args, Clone, Debug)]
pub(crate) struct OutputArgs {
    /// Writes the result as JSON to this file, or to standard output for `-`
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Writes the result as Markdown to this file, or to standard output for `-`
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
}

/// A result that can be shown as rows of name and value.
pub(crate) trait Tabular: Serialize {
    /// One line above the table.
    fn title(&self) -> String;
    /// Column heads, the first one for the row names.
    fn heads(&self) -> Vec<String>;
    /// Rows with as many cells as heads.
    fn rows(&self) -> Vec<Vec<String>>;
}

impl OutputArgs {
    /// Prints the table and writes the files that were asked for.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(crate) fn show<T: Tabular>(&self, result: &T) -> eyre::Result<()> {
        if !self.takes_standard_output() {
            println!("{}", plain(result));
        }
        if let Some(path) = &self.json {
            write(path, &format!("{}\n", serde_json::to_string_pretty(result)?))?;
        }
        if let Some(path) = &self.markdown {
            write(path, &markdown(result))?;
        }
        Ok(())
    }

    /// Whether a file goes to standard output, so that the table must not.
    pub(crate) fn takes_standard_output(&self) -> bool {
        [&self.json, &self.markdown]
            .into_iter()
            .flatten()
            .any(|path| path.as_os_str() == "-")
    }
}

/// Writes a file, or to standard output for `-`.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn write(path: &PathBuf, text: &str) -> eyre::Result<()> {
    if path.as_os_str() == "-" {
        print!("{text}");
        return Ok(());
    }
    fs::write(path, text).wrap_err_with(|| format!("writing {}", path.display()))
}

/// The table in columns.
pub(crate) fn plain<T: Tabular>(result: &T) -> String {
    let mut table = vec![result.heads()];
    table.extend(result.rows());
    let widths: Vec<usize> = (0..table[0].len())
        .map(|column| {
            table
                .iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = format!("{}\n", result.title());
    for row in table {
        let cells: Vec<_> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// The table in Markdown.
pub(crate) fn markdown<T: Tabular>(result: &T) -> String {
    let mut text = format!("{}\n\n", result.title());
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let heads = result.heads();
    text.push_str(&line(&heads));
    text.push_str(&line(&vec!["---".to_owned(); heads.len()]));
    for row in result.rows() {
        text.push_str(&line(&row));
    }
    text
}

/// Nanoseconds in a readable unit.
pub(crate) fn readable_time(ns: f64) -> String {
    match ns {
        ns if ns < 1e4 => format!("{ns:.0} ns"),
        ns if ns < 1e7 => format!("{:.1} us", ns / 1e3),
        ns => format!("{:.2} ms", ns / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Two;

    impl Tabular for Two {
        fn title(&self) -> String {
            "title".to_owned()
        }
        fn heads(&self) -> Vec<String> {
            vec!["a".to_owned(), "b".to_owned()]
        }
        fn rows(&self) -> Vec<Vec<String>> {
            vec![["long name", "1"].map(str::to_owned).to_vec()]
        }
    }

    #[test]
    fn columns_line_up() {
        assert_eq!(plain(&Two), "title\na          b\nlong name  1\n");
        assert_eq!(
            markdown(&Two),
            "title\n\n| a | b |\n| --- | --- |\n| long name | 1 |\n"
        );
    }
}
