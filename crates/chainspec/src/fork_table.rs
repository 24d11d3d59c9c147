//! The fork schedule as the start-up log shows it.

use std::fmt::Write;

use alloy_hardforks::{EthereumHardfork as Fork, ForkCondition};

use crate::ChainSpec;

impl ChainSpec {
    /// The scheduled forks, one per line, in three groups: by block, the merge, by timestamp. From Cancun on a line
    /// names the blob parameters that hold from there.
    #[must_use]
    pub fn fork_table(&self) -> String {
        let mut table = String::from("Pre-merge hard forks (block based):\n");
        let forks = || self.forks().iter();
        for (fork, condition) in forks().filter(|(_, condition)| condition.is_block()) {
            line(&mut table, fork, condition.block_number().unwrap_or_default(), "");
        }
        for (fork, condition) in forks() {
            let ForkCondition::TTD {
                activation_block_number,
                total_difficulty,
                ..
            } = condition
            else {
                continue;
            };
            table.push_str("Merge hard forks:\n");
            line(
                &mut table,
                fork,
                activation_block_number,
                &format!(" (total difficulty {total_difficulty})"),
            );
        }
        if forks().any(|(_, condition)| condition.is_timestamp()) {
            table.push_str("Post-merge hard forks (timestamp based):\n");
        }
        for (fork, condition) in forks() {
            let Some(timestamp) = condition.as_timestamp() else {
                continue;
            };
            let blobs = self
                .blob_params_at_timestamp(timestamp)
                .filter(|_| fork >= Fork::Cancun)
                .map(|params| {
                    let (target, max) = (params.target_blob_count, params.max_blob_count);
                    format!(
                        " blob: (target: {target}, max: {max}, fraction: {})",
                        params.update_fraction
                    )
                });
            line(&mut table, fork, timestamp, &blobs.unwrap_or_default());
        }
        table.truncate(table.trim_end().len());
        table
    }
}

fn line(table: &mut String, fork: Fork, at: u64, note: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(table, "- {:<32} @{at}{note}", fork.to_string());
}
