//! The ledger of reth's command line: which flag does what here.
//!
//! Flags that work are real arguments of [`crate::cli::Cli`]. Everything else reth has is added to the command from the
//! ledger, so that an operator's existing command line is either accepted with a warning or refused with a reason, and
//! never misread.

use std::sync::LazyLock;

use clap::{Arg, ArgAction, ArgMatches, Command, error::ErrorKind, parser::ValueSource};
use serde::Deserialize;

/// Commands that open a datadir and so have reth's environment flags.
const ENVIRONMENT_COMMANDS: [&str; 6] = ["node", "init", "import", "export", "stage run", "stage unwind"];

/// Default of `--discovery.port`.
const DISCOVERY_PORT: u16 = 30_303;

static LEDGER: LazyLock<Ledger> = LazyLock::new(|| {
    toml::from_str(include_str!("../../../patches/reth-cli.toml"))
        .expect("the built-in ledger is valid, a test reads it")
});

/// The ledger built into the program.
pub(crate) fn ledger() -> &'static Ledger {
    &LEDGER
}

/// Every flag and command of reth.
#[derive(Debug, Deserialize)]
pub(crate) struct Ledger {
    flag: Vec<Flag>,
    command: Vec<Subcommand>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// A real argument.
    Implemented,
    /// Accepted, with one warning.
    Inert,
    /// Refused for good.
    Refused,
    /// Refused until it is built.
    Later,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Flag {
    /// Name without the dashes.
    long: String,
    #[serde(default)]
    short: Option<char>,
    #[serde(default)]
    aliases: Vec<String>,
    section: String,
    /// Name of the value; absent for a switch.
    #[serde(default)]
    value: Option<String>,
    #[serde(default)]
    optional_value: bool,
    #[serde(default)]
    default: Option<String>,
    #[serde(default)]
    conflicts: Vec<String>,
    #[serde(default)]
    global: bool,
    #[serde(default)]
    environment: bool,
    #[serde(default)]
    hidden: bool,
    status: Status,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    instead: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Subcommand {
    /// Words of the command, separated by spaces.
    name: String,
    status: Status,
    #[serde(default)]
    reason: String,
}

impl Ledger {
    /// Adds what is not implemented to the command.
    pub(crate) fn extend(&'static self, mut command: Command) -> Command {
        for flag in self
            .flag
            .iter()
            .filter(|flag| flag.global && flag.status != Status::Implemented)
        {
            command = command.arg(flag.to_arg().global(true));
        }
        for name in ENVIRONMENT_COMMANDS {
            let takes = |flag: &&Flag| {
                flag.status != Status::Implemented && !flag.global && (name == "node" || flag.environment)
            };
            let flags: Vec<&Flag> = self.flag.iter().filter(takes).collect();
            command = at(command, name, &|sub| add_flags(sub, &flags));
        }
        for sub in self
            .command
            .iter()
            .filter(|sub| sub.status != Status::Implemented)
        {
            match sub.name.rsplit_once(' ') {
                None => command = command.subcommand(sub.stub(&sub.name)),
                // What is below a refused command is among its arguments.
                Some((parent, _)) if self.is_refused(parent) => {}
                Some((parent, name)) => {
                    command = at(command, parent, &|above| above.subcommand(sub.stub(name)))
                }
            }
        }
        command
    }

    fn is_refused(&self, name: &str) -> bool {
        self.command
            .iter()
            .any(|sub| sub.name == name && sub.status != Status::Implemented)
    }

    /// Looks at what was given: refuses what cannot be honoured, and returns a warning for what has no effect.
    ///
    /// # Errors
    /// A usage error that names the flag or command, the reason and the alternative.
    pub(crate) fn judge(
        &self,
        command: &mut Command,
        matches: &ArgMatches,
    ) -> Result<Vec<String>, clap::Error> {
        let Some((name, given)) = innermost(matches) else {
            return Ok(Vec::new());
        };
        if let Some(sub) = self.refused_command(&name, given) {
            let text = format!("`{}` is not offered: {}", sub.name, sub.reason);
            return Err(command.error(ErrorKind::InvalidSubcommand, text));
        }
        let mut warnings = Vec::new();
        let levels = levels(matches);
        for (flag, given) in self.flag.iter().filter_map(|flag| {
            let given = levels.iter().find(|given| flag.is_given(given))?;
            (flag.status != Status::Implemented).then_some((flag, *given))
        }) {
            if flag.status == Status::Inert {
                if !flag.is_default(given) {
                    warnings.push(format!("--{} has no effect: {}", flag.long, flag.reason));
                }
                continue;
            }
            let text = format!("--{} is refused: {} {}", flag.long, flag.reason, flag.instead);
            return Err(command.error(ErrorKind::UnknownArgument, text.trim_end()));
        }
        Ok(warnings)
    }

    /// The port of a network that does not exist, for those who want to read it back; `None` where it was disabled.
    pub(crate) fn discovery_port(&self, matches: &ArgMatches) -> Option<u16> {
        let (_, given) = matches.subcommand()?;
        let disabled = self
            .flag
            .iter()
            .any(|flag| flag.long == "disable-discovery" && flag.is_given(given));
        let port = given
            .try_get_many::<String>("discovery.port")
            .ok()
            .flatten()
            .and_then(Iterator::last);
        if disabled {
            None
        } else {
            port.map_or(Some(DISCOVERY_PORT), |port| port.parse().ok())
        }
    }

    /// The most specific entry for a command of reth that does not exist here.
    fn refused_command(&self, name: &str, given: &ArgMatches) -> Option<&Subcommand> {
        let entry = |name: &str| {
            self.command
                .iter()
                .find(|sub| sub.name == name && sub.status != Status::Implemented)
        };
        let mut found = entry(name)?;
        let mut path = name.to_owned();
        for word in given.get_many::<String>("arguments").into_iter().flatten() {
            path = format!("{path} {word}");
            match entry(&path) {
                Some(deeper) => found = deeper,
                None => break,
            }
        }
        Some(found)
    }
}

/// Changes a command below, named by the words that lead to it.
fn at(command: Command, path: &str, change: &dyn Fn(Command) -> Command) -> Command {
    match path.split_once(' ') {
        None => command.mut_subcommand(path, change),
        Some((first, rest)) => command.mut_subcommand(first, |sub| at(sub, rest, change)),
    }
}

/// What was given to each command on the way to the one that was asked for.
fn levels(matches: &ArgMatches) -> Vec<&ArgMatches> {
    std::iter::successors(matches.subcommand(), |(_, given)| given.subcommand())
        .map(|(_, given)| given)
        .collect()
}

/// The command that was asked for, by all its words.
fn innermost(matches: &ArgMatches) -> Option<(String, &ArgMatches)> {
    let path = std::iter::successors(matches.subcommand(), |(_, given)| given.subcommand());
    path.fold(None, |above: Option<(String, _)>, (name, given)| match above {
        Some((above, _)) => Some((format!("{above} {name}"), given)),
        None => Some((name.to_owned(), given)),
    })
}

fn add_flags(mut command: Command, flags: &[&'static Flag]) -> Command {
    for flag in flags {
        command = command.arg(flag.to_arg());
    }
    // Conflicts name flags; an argument's id is something else where it is a real one.
    let id_of = |command: &Command, long: &str| {
        command
            .get_arguments()
            .find(|arg| arg.get_long() == Some(long))
            .map(|arg| arg.get_id().clone())
    };
    for flag in flags.iter().filter(|flag| flag.status == Status::Inert) {
        for other in &flag.conflicts {
            if let Some(other) = id_of(&command, other) {
                command = command.mut_arg(flag.long.as_str(), |arg| arg.conflicts_with(other));
            }
        }
    }
    command
}

impl Subcommand {
    /// Takes everything behind the name as it is: the answer is the same for every flag.
    fn stub(&'static self, name: &'static str) -> Command {
        let rest = Arg::new("arguments")
            .num_args(0..)
            .trailing_var_arg(true)
            .allow_hyphen_values(true)
            .action(ArgAction::Append);
        Command::new(name).hide(true).disable_help_flag(true).arg(rest)
    }
}

impl Flag {
    fn to_arg(&'static self) -> Arg {
        let mut arg = Arg::new(self.long.as_str())
            .long(self.long.as_str())
            .aliases(self.aliases.iter().map(String::as_str))
            .help_heading(self.section.as_str())
            // Help shows what works; an inert flag is still worth finding there.
            .hide(self.hidden || self.status != Status::Inert)
            .help(format!("No effect here: {}", self.reason));
        if let Some(short) = self.short {
            arg = arg.short(short);
        }
        match &self.value {
            Some(value) if self.optional_value => arg
                .value_name(value.as_str())
                .num_args(0..=1)
                .default_missing_value("")
                .action(ArgAction::Append),
            Some(value) => arg
                .value_name(value.as_str())
                .num_args(1)
                .action(ArgAction::Append),
            None => arg.action(ArgAction::SetTrue),
        }
    }

    fn is_given(&self, matches: &ArgMatches) -> bool {
        // A command that lacks the flag has no such id, which clap reports as an error.
        matches.try_contains_id(&self.long).is_ok_and(|present| present)
            && matches.value_source(&self.long) == Some(ValueSource::CommandLine)
    }

    fn is_default(&self, matches: &ArgMatches) -> bool {
        let Some(default) = &self.default else {
            return false;
        };
        let mut values = matches
            .try_get_many::<String>(&self.long)
            .ok()
            .flatten()
            .into_iter()
            .flatten();
        self.value.is_some() && values.all(|value| value == default)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cli;

    fn judged(arguments: &[&str]) -> Result<Vec<String>, clap::Error> {
        cli::parse(std::iter::once("rapid-reth").chain(arguments.iter().copied()))
            .map(|parsed| parsed.warnings)
    }

    /// The arguments of the command under the flags a flag belongs to.
    fn arguments(command: &Command, flag: &Flag) -> Vec<Arg> {
        let homes = if flag.environment {
            &ENVIRONMENT_COMMANDS[..]
        } else {
            &["node"]
        };
        homes
            .iter()
            .filter_map(|home| {
                let sub = home
                    .split(' ')
                    .try_fold(command, |above, name| above.find_subcommand(name))
                    .expect("exists");
                sub.get_arguments()
                    .find(|arg| arg.get_long() == Some(&flag.long))
                    .cloned()
            })
            .collect()
    }

    #[test]
    fn every_flag_of_reth_is_on_the_command_line_under_all_its_names() {
        let mut command = cli::command();
        command.build();
        for flag in &ledger().flag {
            let found = arguments(&command, flag);
            let homes = if flag.environment {
                ENVIRONMENT_COMMANDS.len()
            } else {
                1
            };
            assert_eq!(found.len(), homes, "--{} is missing", flag.long);
            for arg in found {
                let names: BTreeSet<&str> = arg.get_all_aliases().into_iter().flatten().collect();
                for alias in &flag.aliases {
                    assert!(
                        names.contains(alias.as_str()),
                        "--{} lacks the alias --{alias}",
                        flag.long
                    );
                }
                assert_eq!(arg.get_short(), flag.short, "--{}", flag.long);
                assert_eq!(
                    arg.get_action().takes_values() && arg.get_num_args() != Some(0.into()),
                    flag.value.is_some(),
                    "--{} takes a value or not",
                    flag.long
                );
            }
        }
    }

    #[test]
    fn the_status_says_who_owns_a_flag() {
        let own = <cli::Cli as clap::CommandFactory>::command();
        let node = own.find_subcommand("node").unwrap();
        for flag in ledger().flag.iter().filter(|flag| flag.long != "help") {
            let real = node
                .get_arguments()
                .chain(own.get_arguments())
                .any(|arg| arg.get_long() == Some(&flag.long));
            assert_eq!(real, flag.status == Status::Implemented, "--{}", flag.long);
            assert_eq!(
                flag.reason.is_empty(),
                flag.status == Status::Implemented,
                "--{} needs its reason",
                flag.long
            );
        }
    }

    #[test]
    fn every_command_of_reth_is_known() {
        let command = cli::command();
        for sub in ledger().command.iter().filter(|sub| !sub.name.contains(' ')) {
            assert!(
                command.find_subcommand(&sub.name).is_some(),
                "{} is missing",
                sub.name
            );
        }
        for (arguments, name) in [
            (&["db", "get", "mdbx", "--raw", "Headers"][..], "db get mdbx"),
            (&["stage", "drop", "--datadir", "/x", "execution"], "stage drop"),
            (
                &["stage", "dump", "execution", "--from", "1"],
                "stage dump execution",
            ),
        ] {
            let error = judged(arguments).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let text = format!("`{name}` is not offered");
            assert!(error.to_string().contains(&text), "{error}");
        }
        for implemented in [
            &[
                "stage",
                "unwind",
                "--offline",
                "--datadir",
                "/x",
                "num-blocks",
                "3",
            ][..],
            &[
                "stage",
                "run",
                "--from",
                "1",
                "--to",
                "2",
                "--chain",
                "dev",
                "tx-lookup",
            ],
        ] {
            assert_eq!(judged(implemented).unwrap(), Vec::<String>::new());
        }
        assert_eq!(
            judged(&["stage", "unwind", "--db.log-level", "fatal", "to-block", "3"])
                .unwrap()
                .len(),
            1
        );
    }

    #[test]
    fn inert_flags_warn_once_and_never_about_their_default() {
        assert_eq!(judged(&["node", "--dev"]).unwrap(), Vec::<String>::new());
        let warnings = judged(&["node", "--max-peers", "3", "--max-peers", "4", "-d"]).unwrap();
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(
            warnings
                .iter()
                .any(|warning| warning.starts_with("--max-peers has no effect: ")),
            "{warnings:?}"
        );
        assert_eq!(
            judged(&["node", "--debug.invalid-block-hook", "witness"]).unwrap(),
            Vec::<String>::new()
        );
        assert_eq!(
            judged(&["node", "--debug.invalid-block-hook", "opcode"])
                .unwrap()
                .len(),
            1
        );
    }

    #[test]
    fn refused_and_later_flags_are_usage_errors_with_a_reason() {
        for arguments in [
            &["node", "--full"][..],
            &["node", "--debug.tip", "0x00"],
            &["node", "--tracing-otlp=http://x"],
        ] {
            let error = judged(arguments).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{error}");
            assert!(error.to_string().contains("is refused: "), "{error}");
        }
    }

    #[test]
    fn conflicts_of_reth_are_conflicts_here() {
        assert!(judged(&["node", "--max-peers", "3", "--max-inbound-peers", "4"]).is_err());
        assert!(judged(&["node", "--instance", "2", "--with-unused-ports"]).is_err());
        assert!(
            judged(&["node", "--dev.mnemonic", "a b c"]).is_err(),
            "needs --dev"
        );
    }
}
