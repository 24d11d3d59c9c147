//! `rapid-bench state`: the state and its roots beside other ways of keeping them.

use crate::{
    state::{
        self,
        comparison::{Comparisons, Facts, Report},
        plan::{Row, StatePlan, count},
        sizes::{SizeOf, weigh},
    },
    table::{OutputArgs, markdown, plain, write},
};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `state`.
#[derive(Args, Debug)]
pub(crate) struct StateArgs {
    /// Rows to measure [default: all]
    ///
    /// Reading slots: 1 against MDBX, 2 against sharded hashbrown, 3 beside a writer, 4 in batches, 6 of the oldest
    /// version. 5: bytes. Root after a block: 7 against a trie of boxed nodes, 8 against a full rebuild, 9 against its
    /// permutations, 10 the same without vectors, 11 on two threads. 17: trie of a whole state. 18: proof.
    #[arg(long, value_name = "ROW", value_delimiter = ',')]
    rows: Vec<Row>,
    /// Alternating rounds
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Decides keys, values and what changes
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Rows 1 to 4 and 6: slots
    #[arg(long, value_parser = count, default_value = "10_000_000")]
    slots: u64,
    /// Rows 1 to 6: accounts that the slots are spread over, few of which have many
    #[arg(long, value_parser = count, default_value = "50_000")]
    storages: u64,
    /// Rows 1 to 4 and 6: reads of one side in a round
    #[arg(long, value_parser = count, default_value = "500_000")]
    reads: u64,
    /// Row 6: blocks on top of the oldest version
    #[arg(long, value_parser = count, default_value = "300")]
    past_blocks: u64,
    /// Row 6: slots that each of them changes
    #[arg(long, value_parser = count, default_value = "10_000")]
    past_changes: u64,
    /// Row 5: accounts
    #[arg(long, visible_alias = "accounts", value_parser = count, default_value = "10_000_000")]
    size_accounts: u64,
    /// Row 5: slots
    #[arg(long, value_parser = count, default_value = "30_000_000")]
    size_slots: u64,
    /// Rows 7 to 11 and 17: leaves of the tries
    #[arg(long, value_parser = count, default_value = "5_000_000")]
    leaves: u64,
    /// Rows 7 to 11: keys that a block changes
    #[arg(long, value_parser = count, default_value = "10_000")]
    changed: u64,
    /// Row 18: leaves of the tries
    #[arg(long, value_parser = count, default_value = "1_000_000")]
    proof_leaves: u64,
    /// Row 1: where the database is made and removed again [default: the system's temporary folder]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Fills one side of row 5 in this process and prints its sizes
    #[arg(long, value_enum, hide = true)]
    size_of: Option<SizeOf>,
    #[command(flatten)]
    output: OutputArgs,
}

impl StateArgs {
    fn plan(&self) -> StatePlan {
        StatePlan {
            rows: if self.rows.is_empty() {
                Row::ALL.to_vec()
            } else {
                self.rows.clone()
            },
            rounds: self.rounds,
            seed: self.seed,
            slots: self.slots,
            storages: self.storages,
            reads: self.reads,
            past_blocks: self.past_blocks,
            past_changes: self.past_changes,
            size_accounts: self.size_accounts,
            size_slots: self.size_slots,
            leaves: self.leaves,
            changed: self.changed,
            proof_leaves: self.proof_leaves,
            folder: self.folder.clone(),
        }
    }
}

/// Measures the rows and shows the tables.
///
/// # Errors
/// If two sides of a row differ in what they answer.
pub(crate) fn run(args: &StateArgs) -> eyre::Result<()> {
    let plan = args.plan();
    if let Some(subject) = args.size_of {
        println!("{}", serde_json::to_string(&weigh(&plan, subject)?)?);
        return Ok(());
    }
    plan.check()?;
    show(&args.output, &state::run(&plan)?)
}

fn show(output: &OutputArgs, report: &Report) -> eyre::Result<()> {
    let (comparisons, facts) = (Comparisons(report), Facts(report));
    if !output.takes_standard_output() {
        println!("{}\n{}", plain(&comparisons), plain(&facts));
    }
    if let Some(path) = &output.json {
        write(path, &format!("{}\n", serde_json::to_string_pretty(report)?))?;
    }
    if let Some(path) = &output.markdown {
        write(path, &[markdown(&comparisons), markdown(&facts)].join("\n"))?;
    }
    Ok(())
}
