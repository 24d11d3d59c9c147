//! Looks for differences between compiled code and the interpreter, and makes the first one small.
//!
//! The work is done in a child process: machine code that is wrong may kill it or never come back, and the case that
//! did so is still found and made small.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use clap::{Parser, ValueEnum};
use rapid_jit::Tier;
use rapid_testing::differential::{
    Case, Check, Choices, Dimensions, Finding, Mode, Sweep, Tally, disassemble, generate, keep_panics_quiet,
    shrink,
};

#[derive(Clone, Debug, Parser)]
#[command(about = "Compares compiled code with the interpreter on random programs")]
struct Arguments {
    /// The first case's seed; case `i` has the seed `S + i`.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Cases.
    #[arg(long, default_value_t = 1_000)]
    cases: u64,
    /// Seconds, instead of a number of cases.
    #[arg(long)]
    seconds: Option<u64>,
    /// One fork only, for example `CANCUN`.
    #[arg(long)]
    spec: Option<String>,
    /// The modes.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "fast,optimising,fast-forced,optimising-forced"
    )]
    modes: Vec<ModeName>,
    /// Gas limits for each call at most.
    #[arg(long, default_value_t = Sweep::default().limits_max)]
    limits: usize,
    /// Statements of a contract at most.
    #[arg(long, default_value_t = Dimensions::default().statements_max)]
    statements: usize,
    /// Where cases are written: `current.case` while it runs, what differs when it is found.
    #[arg(long, default_value = "target/jit-differential")]
    out: PathBuf,
    /// Checks these case files instead.
    #[arg(long, num_args = 1..)]
    replay: Vec<PathBuf>,
    /// Does not make what it finds smaller.
    #[arg(long)]
    no_shrink: bool,
    /// Prints the first line of what it finds and goes on.
    #[arg(long)]
    keep_going: bool,
    #[arg(long, hide = true)]
    worker: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ModeName {
    Fast,
    Optimising,
    FastForced,
    OptimisingForced,
}

impl ModeName {
    const fn mode(self) -> Mode {
        match self {
            Self::Fast => Mode::Compiled(Tier::Fast),
            Self::Optimising => Mode::Compiled(Tier::Optimising),
            Self::FastForced => Mode::Forced(Tier::Fast, 0),
            Self::OptimisingForced => Mode::Forced(Tier::Optimising, 1),
        }
    }
}

/// A case that takes longer hangs.
const CASE_TIME_MAX: Duration = Duration::from_secs(60);
/// Attempts at a smaller case.
const ATTEMPTS_MAX: usize = 4_000;
/// Attempts when each is a process.
const PROCESSES_MAX: usize = 600;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = if arguments.worker {
        work(&arguments)
    } else {
        supervise(&arguments)
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

impl Arguments {
    fn check(&self) -> Check {
        Check {
            modes: self.modes.iter().map(|name| name.mode()).collect(),
            sweep: Sweep {
                limits_max: self.limits,
                ..Sweep::default()
            },
        }
    }

    fn dimensions(&self) -> Result<Dimensions, String> {
        let spec = match &self.spec {
            None => None,
            Some(name) => Some(Case::spec_of_name(name).ok_or_else(|| format!("no fork {name}"))?),
        };
        Ok(Dimensions {
            spec,
            statements_max: self.statements,
            ..Dimensions::default()
        })
    }

    fn current(&self) -> PathBuf {
        self.out.join("current.case")
    }
}

/// Whether nothing differed. Runs the work in a child, and makes the case small that kills it.
fn supervise(arguments: &Arguments) -> io::Result<bool> {
    fs::create_dir_all(&arguments.out)?;
    let mut child = Command::new(std::env::current_exe()?);
    let status = child.args(std::env::args_os().skip(1)).arg("--worker").status()?;
    match status.code() {
        Some(0) => return Ok(true),
        Some(1) => return Ok(false),
        Some(code) => return Err(io::Error::other(format!("the worker returned {code}"))),
        None => println!("the worker died: {status}"),
    }
    let case = read_case(&arguments.current())?;
    let kept = arguments.out.join("died.case");
    fs::write(&kept, case.with_comment(&format!("died: {status}")))?;
    println!("{}", kept.display());
    if !arguments.no_shrink {
        let candidate = arguments.out.join("candidate.case");
        let small = shrink(&case, PROCESSES_MAX, &mut |case| {
            fs::write(&candidate, case.to_string()).is_ok() && dies(arguments, &candidate)
        });
        report(arguments, "died-small.case", &small, &format!("died: {status}"))?;
    }
    Ok(false)
}

/// Whether a process dies of a case.
fn dies(arguments: &Arguments, case: &Path) -> bool {
    let Ok(program) = std::env::current_exe() else {
        return false;
    };
    let scratch = arguments.out.join("scratch");
    let limits = arguments.limits.to_string();
    let modes: Vec<_> = arguments
        .modes
        .iter()
        .filter_map(ValueEnum::to_possible_value)
        .map(|value| value.get_name().to_owned())
        .collect();
    let mut command = Command::new(program);
    command
        .args([
            "--worker",
            "--no-shrink",
            "--limits",
            &limits,
            "--modes",
            &modes.join(","),
        ])
        .arg("--out")
        .arg(scratch)
        .arg("--replay")
        .arg(case)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.code().is_none())
}

/// Whether nothing differed.
fn work(arguments: &Arguments) -> io::Result<bool> {
    fs::create_dir_all(&arguments.out)?;
    let check = arguments.check();
    watch_over();
    keep_panics_quiet();
    if !arguments.replay.is_empty() {
        for path in &arguments.replay {
            let case = read_case(path)?;
            progress();
            fs::write(arguments.current(), case.to_string())?;
            match check.run(&case) {
                Ok(tally) => println!("{}: {tally}", path.display()),
                Err(finding) => {
                    println!("{}: {finding}", path.display());
                    return found(arguments, &check, &case, &finding);
                }
            }
        }
        return Ok(true);
    }
    search(arguments, &check)
}

fn search(arguments: &Arguments, check: &Check) -> io::Result<bool> {
    let dimensions = arguments.dimensions().map_err(io::Error::other)?;
    let begun = Instant::now();
    let mut total = Tally::default();
    let mut seed = arguments.seed;
    let mut reported = begun;
    let mut differing = 0_u64;
    loop {
        let finished = match arguments.seconds {
            Some(seconds) => begun.elapsed() >= Duration::from_secs(seconds),
            None => total.cases == arguments.cases,
        };
        if finished {
            break;
        }
        let case = generate(&mut Choices::seeded(seed), &dimensions);
        fs::write(arguments.current(), case.with_comment(&format!("seed {seed}")))?;
        match check.run(&case) {
            Ok(tally) => total += tally,
            Err(finding) if arguments.keep_going => {
                differing += 1;
                total.cases += 1;
                println!("seed {seed}: {}", first_lines(&finding.to_string()));
            }
            Err(finding) => {
                println!("seed {seed}: {finding}");
                return found(arguments, check, &case, &finding);
            }
        }
        progress();
        seed += 1;
        if reported.elapsed() > Duration::from_secs(10) {
            reported = Instant::now();
            println!("{:?}: seed {seed}, {total}", begun.elapsed());
        }
    }
    println!(
        "{:?}: seeds {} to {seed}, {total}: {differing} differ",
        begun.elapsed(),
        arguments.seed
    );
    Ok(differing == 0)
}

/// Enough of a finding to tell it from others.
fn first_lines(finding: &str) -> String {
    let line: Vec<_> = finding.lines().take(3).map(str::trim).collect();
    line.join(" | ").chars().take(300).collect()
}

/// Makes a failing case small and writes it down.
fn found(arguments: &Arguments, check: &Check, case: &Case, finding: &Finding) -> io::Result<bool> {
    report(arguments, "found.case", case, &finding.to_string())?;
    if !arguments.no_shrink {
        let mut narrow = check.clone();
        if let Some(mode) = finding.mode {
            narrow.modes = vec![mode];
        }
        let small = shrink(case, ATTEMPTS_MAX, &mut |case| {
            progress();
            // It must be said which case it was if the process dies of it.
            fs::write(arguments.current(), case.to_string()).is_ok()
                && narrow.run(case).is_err_and(|other| other.is_like(finding))
        });
        let finding = narrow.run(&small).err().map(|finding| finding.to_string());
        report(arguments, "small.case", &small, &finding.unwrap_or_default())?;
    }
    Ok(false)
}

fn report(arguments: &Arguments, name: &str, case: &Case, comment: &str) -> io::Result<()> {
    let path = arguments.out.join(name);
    let text = case.with_comment(comment);
    fs::write(&path, &text)?;
    println!("{}:", path.display());
    if text.len() < 4_000 {
        println!("{text}");
        for (index, contract) in case.contracts.iter().enumerate() {
            println!("contract {index}:\n{}", disassemble(&contract.code));
        }
    }
    Ok(())
}

fn read_case(path: &Path) -> io::Result<Case> {
    let text = fs::read_to_string(path)?;
    text.parse()
        .map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
}

/// Cases run so far.
static PROGRESS: AtomicU64 = AtomicU64::new(0);

fn progress() {
    PROGRESS.fetch_add(1, Ordering::Relaxed);
}

/// Kills this process when there is no progress for too long.
fn watch_over() {
    thread::spawn(|| {
        loop {
            let before = PROGRESS.load(Ordering::Relaxed);
            thread::sleep(CASE_TIME_MAX);
            if PROGRESS.load(Ordering::Relaxed) == before {
                eprintln!("a case takes longer than {CASE_TIME_MAX:?}");
                std::process::abort();
            }
        }
    });
}
