//! A load measurement as a table.

use crate::{
    load::{LoadReport, ServerCost},
    measure::Percentiles,
    table::Tabular,
};
use std::fmt::Write as _;

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
