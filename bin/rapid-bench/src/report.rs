//! How results are shown: a table for people, Markdown, JSON.

use crate::load::{LoadReport, ServerCost};
use crate::measure::Percentiles;
use clap::Args;
use eyre::WrapErr;
use serde::Serialize;
use std::{fmt::Write as _, fs, path::PathBuf};

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

    fn takes_standard_output(&self) -> bool {
        [&self.json, &self.markdown]
            .into_iter()
            .flatten()
            .any(|path| path.as_os_str() == "-")
    }
}

fn write(path: &PathBuf, text: &str) -> eyre::Result<()> {
    if path.as_os_str() == "-" {
        print!("{text}");
        return Ok(());
    }
    fs::write(path, text).wrap_err_with(|| format!("writing {}", path.display()))
}

fn plain<T: Tabular>(result: &T) -> String {
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

fn markdown<T: Tabular>(result: &T) -> String {
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

/// `p50 / p99 / p99.9 / max` in milliseconds.
pub(crate) fn percentile_cell(percentiles: &Percentiles) -> String {
    let Percentiles {
        p50_ms,
        p99_ms,
        p999_ms,
        max_ms,
        ..
    } = percentiles;
    format!("{p50_ms:.2} / {p99_ms:.2} / {p999_ms:.2} / {max_ms:.2} ms")
}

impl Tabular for LoadReport {
    fn title(&self) -> String {
        format!(
            "{}: {}, confirmed by {}, {} in flight, batches of {}",
            self.endpoint,
            self.submit.method(),
            match self.confirm {
                crate::load::Confirm::Answer => "the answer",
                crate::load::Confirm::Receipt => "eth_getTransactionReceipt",
                crate::load::Confirm::Blocks => "blocks",
            },
            self.in_flight,
            self.batch
        )
    }

    fn heads(&self) -> Vec<String> {
        vec!["measured".to_owned(), "value".to_owned()]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let mut rows = vec![
            row(
                "sent / accepted / included",
                format!("{} / {} / {}", self.sent, self.accepted, self.included),
            ),
            row(
                "included per second",
                format!(
                    "{:.0} over {:.1} s",
                    self.included_per_second, self.elapsed_seconds
                ),
            ),
        ];
        if let Some(rate) = self.sustained_per_second {
            rows.push(row(
                "included per second, whole blocks only",
                format!("{rate:.0}"),
            ));
        }
        rows.push(row(
            "latency p50 / p99 / p99.9 / max",
            percentile_cell(&self.latency),
        ));
        if let Some(delay) = &self.send_delay {
            rows.push(row("send delay p50 / p99 / p99.9 / max", percentile_cell(delay)));
        }
        if let Some(server) = &self.server {
            rows.extend(server_rows(server));
        }
        rows.push(row(
            "generator CPU",
            format!("{:.2} s", self.generator_cpu_seconds),
        ));
        rows.push(row("errors", self.errors.total().to_string()));
        rows.extend(
            self.errors
                .kinds()
                .map(|(kind, count)| row(&format!("  {kind}"), count.to_string())),
        );
        rows
    }
}

fn server_rows(server: &ServerCost) -> [Vec<String>; 2] {
    let mut memory = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        memory,
        "{:.0} MB before, {:.0} MB after",
        server.resident_before as f64 / 1e6,
        server.resident_after as f64 / 1e6
    );
    [
        row(
            "server CPU",
            format!(
                "{:.2} s, {:.1} us per transaction",
                server.cpu_seconds, server.cpu_us_per_transaction
            ),
        ),
        row("server memory", memory),
    ]
}

fn row(name: &str, value: String) -> Vec<String> {
    vec![name.to_owned(), value]
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
            vec![row("long name", "1".to_owned())]
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
