use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use test_support::process::{find_any, until};

/// How often a run in real time may come out worse: a machine that does much else holds a process up for as long as a
/// window, but not every time.
pub(crate) const RUNS: usize = 5;

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// `fleet`, beside this test: cargo builds the examples of a package before its tests run.
pub(crate) fn fleet(line: &str) -> Command {
    let mut path: PathBuf = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples/fleet");
    let mut command = Command::new(path);
    command
        .args(line.split_whitespace())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(crate) fn run(line: &str) -> Run {
    Run::of(fleet(line).spawn().unwrap())
}

/// Whether there is a store to be started.
pub(crate) fn has_store() -> bool {
    find_any(&["redis-server", "valkey-server"]).is_some()
}

impl Run {
    pub(crate) fn of(mut child: Child) -> Self {
        let mut stdout = String::new();
        let mut stderr = String::new();
        // Little is written, so one after the other is no trap.
        let _ = child.stdout.take().unwrap().read_to_string(&mut stdout);
        let _ = child.stderr.take().unwrap().read_to_string(&mut stderr);
        Self {
            code: child.wait().unwrap().code(),
            stdout,
            stderr,
        }
    }

    /// The object of `--json`.
    pub(crate) fn report(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// The processes this one has started, by what was typed for them.
pub(crate) fn children(of: u32) -> Vec<(u32, String)> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let child = |id: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // ID (NAME) STATE PARENT, and the name may hold anything.
        let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?;
        let typed = std::fs::read(format!("/proc/{id}/cmdline")).ok()?;
        let typed = String::from_utf8_lossy(&typed).replace('\0', " ");
        (parent.parse() == Ok(of)).then_some((id, typed))
    };
    ids.filter_map(child).collect()
}

/// Sends it to a process, or to a group, which is a minus and the process that leads it.
pub(crate) fn signal(name: &str, to: &str) {
    let kill = format!("kill -s {name} -- {to}");
    let status = Command::new("sh").arg("-c").arg(kill).status().unwrap();
    assert!(status.success());
}

/// Waits until none of these is left.
pub(crate) fn are_gone(processes: &[(u32, String)]) {
    assert!(!processes.is_empty());
    until("their end", || {
        let stat = |id| std::fs::read_to_string(format!("/proc/{id}/stat"));
        // One that has ended and was not waited for is a Z.
        processes
            .iter()
            .all(|(id, _)| stat(id).map_or(true, |stat| stat.contains(") Z ")))
    });
}
