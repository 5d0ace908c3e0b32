use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::process::Child;

use test_support::process::{ClosedPort, until};

use crate::support::{RUNS, Run, are_gone, children, fleet, has_store, run, signal};

/// A store, a shell that watches over it, and three instances.
const ALL: usize = 5;

/// Starts one that runs for a minute, as a shell does on a terminal: it leads a group of its own. Returns it with its
/// processes as soon as it has so many; the last of them has hardly begun.
fn long(least: usize) -> Option<(Child, Vec<(u32, String)>)> {
    has_store().then(|| {
        let mut fleet = fleet("--instances 3 --seconds 60");
        let child = fleet.process_group(0).spawn().unwrap();
        let mut processes = Vec::new();
        until("its processes", || {
            processes = children(child.id());
            processes.len() >= least
        });
        (child, processes)
    })
}

#[test]
fn ctrl_c_ends_it_and_every_process() {
    let Some((child, processes)) = long(ALL) else {
        return;
    };
    signal("INT", &child.id().to_string());
    is_stopped(child, &processes);
}

#[test]
fn the_terminal_sends_ctrl_c_to_its_group_and_all_end() {
    let Some((child, processes)) = long(ALL) else {
        return;
    };
    signal("INT", &format!("-{}", child.id()));
    is_stopped(child, &processes);
}

#[test]
fn ctrl_c_while_it_starts_leaves_nothing() {
    let Some((child, processes)) = long(1) else {
        return;
    };
    signal("INT", &format!("-{}", child.id()));
    is_stopped(child, &processes);
}

fn is_stopped(child: Child, processes: &[(u32, String)]) {
    let run = Run::of(child);
    assert_eq!(run.code, Some(130), "{run:?}");
    assert!(run.stderr.ends_with("stopped\n"), "{run:?}");
    assert!(run.stderr.lines().count() <= 2, "{run:?}");
    are_gone(processes);
}

#[test]
fn all_processes_end_when_what_started_them_is_killed() {
    let Some((mut child, processes)) = long(ALL) else {
        return;
    };
    child.kill().unwrap();
    child.wait().unwrap();
    are_gone(&processes);
}

#[test]
fn an_instance_that_is_killed_is_named_and_the_others_go_on() {
    if !has_store() {
        return;
    }
    let mut reports = Vec::new();
    for _ in 0..RUNS {
        let report = one_is_killed();
        if report["utilisation"].as_f64().unwrap() > 0.8 {
            return;
        }
        reports.push(report);
    }
    panic!("the others do not have the quota: {reports:?}");
}

/// Kills an instance before anything is measured, and returns the report.
fn one_is_killed() -> serde_json::Value {
    let mut child = fleet("--instances 3 --seconds 5 --quota 100/5s --json")
        .spawn()
        .unwrap();
    // Before that it would be an error.
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    errors.read_line(&mut said).unwrap();
    assert!(said.starts_with("3 instances are connected"), "{said}");
    let processes = children(child.id());
    let instance = processes
        .iter()
        .find(|(_, what)| what.contains("--index 1 "));
    signal("KILL", &instance.unwrap().0.to_string());

    errors.read_line(&mut said).unwrap();
    assert!(said.contains("instance 1 has ended: signal: 9"), "{said}");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["share"][1], 0.0, "{report}");
    report
}

#[test]
fn no_store_on_the_machine_is_one_sentence() {
    // Nothing is on this path, and where Debian keeps servers is looked at all the same.
    if std::path::Path::new("/usr/sbin/redis-server").exists() {
        return;
    }
    let child = fleet("--seconds 1")
        .env("PATH", "")
        .env_remove("TEST_TOOLS")
        .spawn()
        .unwrap();
    let run = Run::of(child);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    assert!(run.stderr.contains("redis-server"), "{run:?}");
    assert!(run.stderr.contains("--redis"), "{run:?}");
}

#[test]
fn a_store_that_does_not_start_is_an_error_with_what_it_says() {
    let dir = tempfile::tempdir().unwrap();
    // It says what it is to read, and ends.
    symlink("/bin/cat", dir.path().join("redis-server")).unwrap();
    let path = std::env::join_paths([dir.path(), "/bin".as_ref()]).unwrap();
    let child = fleet("--seconds 1").env("PATH", path).spawn().unwrap();
    let run = Run::of(child);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(
        run.stderr.starts_with("error: cannot start a store"),
        "{run:?}"
    );
    assert!(run.stderr.contains("bind 127.0.0.1"), "{run:?}");
    assert!(run.stderr.contains("--redis"), "{run:?}");
}

#[test]
fn a_store_that_is_not_there_is_one_sentence() {
    let nobody = ClosedPort::new();
    let url = format!("redis://:secret@{}", nobody.addr());
    let run = run(&format!("--seconds 1 --redis {url}"));
    assert_eq!(run.code, Some(1), "{run:?}");
    assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    assert!(run.stderr.starts_with("error: "), "{run:?}");
    assert!(run.stderr.contains("refused"), "{run:?}");
    assert!(!run.stderr.contains("secret"), "{run:?}");
    assert_eq!(run.stdout, "");
}

#[test]
fn a_wrong_command_line_is_explained() {
    for line in ["--quota 5", "--kill-store-at 15", "--instances 0", "--fast"] {
        let run = run(line);
        assert_eq!(run.code, Some(2), "{line}: {run:?}");
        assert!(run.stderr.starts_with("error: "), "{line}: {run:?}");
    }
}

#[test]
fn help_is_no_error() {
    let output = fleet("--help").output().unwrap();
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    for flag in [
        "--instances",
        "--quota",
        "--redis",
        "--kill-store-at",
        "--virtual",
    ] {
        assert!(help.contains(flag), "{flag}");
    }
}
