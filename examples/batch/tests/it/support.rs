use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use model_studio_sim::{Builder, Latency, Limits, Simulator};
use serde_json::Value;
use tokio::net::TcpSocket;
use tokio::process::Command;

/// What came of a run.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// `batch`, beside this test: cargo builds the examples of a package before its tests run.
pub(crate) fn batch(args: &[&str]) -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples/batch");
    let mut command = Command::new(path);
    command
        .args(args)
        .env_remove("DASHSCOPE_API_KEYS")
        .env_remove("DASHSCOPE_API_KEY")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

pub(crate) async fn run(args: &[&str]) -> Run {
    let Output {
        status,
        stdout,
        stderr,
    } = batch(args).output().await.unwrap();
    Run {
        code: status.code(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

impl Run {
    /// The object of `--json`.
    pub(crate) fn report(&self) -> Value {
        let last = self.stdout.lines().last();
        let last = last.unwrap_or_else(|| panic!("no output; stderr: {}", self.stderr));
        serde_json::from_str(last).unwrap()
    }
}

/// A simulator with one account and one model, which allows 200 requests a second.
pub(crate) async fn quick(more: impl FnOnce(Builder) -> Builder) -> Simulator {
    let builder = Simulator::builder()
        .account("a", ["sk-a1"])
        .model("qwen3-max", Limits::per_minute(12_000).per_second(200))
        .latency(Latency::fixed(Duration::from_millis(20)));
    more(builder).start().await.unwrap()
}

/// The records of a file by their names. Each line must be whole and each name new.
pub(crate) fn records(path: &Path) -> HashMap<String, Value> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "a torn last line");
    let mut records = HashMap::new();
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let custom_id = record["custom_id"].as_str().unwrap().to_owned();
        assert!(
            records.insert(custom_id, record).is_none(),
            "recorded twice: {line}"
        );
    }
    records
}

/// A port that is taken, so that nobody else is given it, and at which nobody listens.
pub(crate) fn closed() -> (TcpSocket, std::net::SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

/// Waits until a file has so many lines; gives up after a minute.
pub(crate) async fn grows_to(path: &Path, lines: usize) {
    let grown = async {
        loop {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            if text.lines().count() >= lines {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let grown = tokio::time::timeout(Duration::from_secs(60), grown).await;
    assert!(grown.is_ok(), "{} does not grow", path.display());
}

/// A folder that goes with the test, and a file in it.
pub(crate) fn file(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path)
}
