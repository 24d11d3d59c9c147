//! Starts that must fail, how, and with which words.

use std::net::TcpListener;

use rustix::process::Signal;

use crate::process::{Running, run, run_to_failure};

/// A node on unused ports without IPC, apart from what follows.
const QUIET: [&str; 4] = ["node", "--ipcdisable", "--log.file.max-files", "0"];

fn node<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    QUIET.into_iter().chain(arguments.iter().copied()).collect()
}

#[test]
fn usage_errors_are_exit_code_two() {
    let dir = tempfile::tempdir().unwrap();
    let refused = run_to_failure(dir.path(), &node(&["--dev", "--full"]), 2);
    assert!(refused.contains("--full is refused: "), "{refused}");
    for arguments in [
        &["--nonsense"][..],
        &["--http.port", "99999"],
        &["--miniblock.interval", "2s"],
        &["--http.api", "eth,nope"],
    ] {
        let stderr = run_to_failure(dir.path(), &node(arguments), 2);
        assert!(
            stderr.contains("error:") && stderr.contains(arguments[0]),
            "{stderr}"
        );
    }
    let command = run_to_failure(dir.path(), &["db", "stats"], 2);
    assert!(command.contains("`db stats` is not offered"), "{command}");
    assert!(
        !dir.path().join("rapid").exists(),
        "nothing is created before the command line is understood"
    );
}

#[test]
fn a_port_in_use_is_named_with_its_flag() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let port = taken.local_addr().unwrap().port().to_string();
    for (flag, more) in [
        ("--http.port", vec![]),
        ("--ws.port", vec!["--ws", "--http.port", "0"]),
        ("--authrpc.port", vec!["--http.port", "0"]),
    ] {
        let mut arguments = node(&["--dev", flag, &port]);
        arguments.extend(more);
        if flag != "--authrpc.port" {
            arguments.push("--disable-auth-server");
        }
        let stderr = run_to_failure(dir.path(), &arguments, 1);
        assert!(
            stderr.starts_with("Error: ") && stderr.contains(&address) && stderr.contains(flag),
            "{stderr}"
        );
    }
    let arguments = node(&[
        "--dev",
        "--http.port",
        "0",
        "--disable-auth-server",
        "--metrics",
        &address,
    ]);
    let stderr = run_to_failure(dir.path(), &arguments, 1);
    assert!(
        stderr.contains(&address) && stderr.contains("--metrics"),
        "{stderr}"
    );
}

#[test]
fn a_datadir_has_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = Running::start(dir.path(), &["--dev", "--log.file.max-files", "0"]);
    let pid = first.pid().to_string();
    let blocks = dir.path().join("blocks.rlp");
    std::fs::write(&blocks, []).unwrap();
    let (blocks, export) = (blocks.to_str().unwrap(), dir.path().join("export.rlp"));
    let second = node(&["--dev", "--http.port", "0", "--disable-auth-server"]);
    for arguments in [
        &second[..],
        &["init", "--chain", "dev"],
        &["import", "--chain", "dev", blocks],
        &["export", "--chain", "dev", export.to_str().unwrap()],
    ] {
        let stderr = run_to_failure(dir.path(), arguments, 1);
        assert!(
            stderr.contains("in use") && stderr.contains(&pid),
            "{arguments:?}: {stderr}"
        );
    }
    assert_eq!(first.stop(Signal::TERM), Some(0));
    assert!(
        run(dir.path(), &["init", "--chain", "dev"]).status.success(),
        "the lock went with the process"
    );
}

#[test]
fn a_datadir_of_reth_is_not_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("db")).unwrap();
    std::fs::write(dir.path().join("db/mdbx.dat"), [0; 100]).unwrap();
    let stderr = run_to_failure(
        dir.path(),
        &node(&["--dev", "--http.port", "0", "--disable-auth-server"]),
        1,
    );
    assert!(
        stderr.contains("rapid-reth import") && stderr.contains("GiB"),
        "{stderr}"
    );
    assert!(!dir.path().join("rapid").exists());
}

#[test]
fn a_datadir_of_another_chain_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(run(dir.path(), &["init", "--chain", "dev"]).status.success());
    let arguments = node(&[
        "--dev",
        "--chain",
        "realtime",
        "--http.port",
        "0",
        "--disable-auth-server",
    ]);
    let stderr = run_to_failure(dir.path(), &arguments, 1);
    assert!(
        stderr.contains("genesis hash in the storage does not match the specified chainspec"),
        "{stderr}"
    );
}

#[test]
fn what_cannot_be_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let stderr = run_to_failure(dir.path(), &node(&["--chain", "/no/such/genesis.json"]), 1);
    assert!(
        stderr.starts_with("Error: ") && stderr.contains("/no/such/genesis.json"),
        "{stderr}"
    );
    let stderr = run_to_failure(
        dir.path(),
        &node(&["--dev", "--authrpc.jwtsecret", "/no/such/jwt"]),
        1,
    );
    assert!(stderr.contains("/no/such/jwt"), "{stderr}");
    std::fs::write(dir.path().join("reth.toml"), "[prune\n").unwrap();
    let stderr = run_to_failure(
        dir.path(),
        &node(&["--dev", "--http.port", "0", "--disable-auth-server"]),
        1,
    );
    assert!(stderr.contains("reth.toml"), "{stderr}");
}
