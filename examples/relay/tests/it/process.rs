//! The relay as a process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use ::http::Request;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use model_studio_sim::Simulator;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::caller::{CONFIG, KEY};
use crate::until::{LONGEST, until};

/// `relay`, beside this test: cargo builds the examples of a package before its tests run.
fn relay(args: &[&str]) -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples/relay");
    let mut command = Command::new(path);
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn output(args: &[&str]) -> (Output, String) {
    let output = timeout(LONGEST, relay(args).output()).await;
    let output = output.expect("it ends").unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, said)
}

/// A relay that runs, and what it says.
struct Running {
    child: Child,
    base_url: String,
    admin: Option<String>,
    log: Arc<Mutex<String>>,
    file: PathBuf,
    _dir: TempDir,
}

impl Running {
    async fn start(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("relay.toml");
        fs::write(&file, config).unwrap();
        let args = [
            "--config",
            file.to_str().unwrap(),
            "--listen",
            "127.0.0.1:0",
        ];
        let mut child = relay(&args).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let log = gather(child.stderr.take().unwrap());
        let line = timeout(LONGEST, lines.next_line()).await.unwrap().unwrap();
        let line = line.expect("where it listens");
        let url = |line: &str, name: &str| {
            let url = line.strip_prefix(name).unwrap().strip_prefix(" = \"");
            url.unwrap().strip_suffix('"').unwrap().to_owned()
        };
        let admin = if config.contains("[admin]") {
            let line = timeout(LONGEST, lines.next_line()).await.unwrap().unwrap();
            Some(url(&line.expect("where operators ask"), "admin"))
        } else {
            None
        };
        // What it goes on to say nobody reads.
        drop(lines);
        Self {
            base_url: url(&line, "base_url"),
            admin,
            child,
            log,
            file,
            _dir: dir,
        }
    }

    fn log(&self) -> String {
        let log = self.log.lock();
        log.unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn logged(&self, part: &str) {
        until(part, || self.log().contains(part)).await;
    }

    async fn signal(&self, signal: &str) {
        let id = self.child.id().unwrap().to_string();
        let status = Command::new("kill").args([signal, &id]).status().await;
        assert!(status.unwrap().success());
    }

    fn chat(&self, stream: bool) -> Request<Full<Bytes>> {
        let body = format!(
            r#"{{"model":"best","stream":{stream},"messages":[{{"role":"user","content":"{PROMPT}"}}],"max_tokens":40}}"#
        );
        Request::post(format!("{}/chat/completions", self.base_url))
            .header("authorization", format!("Bearer {KEY}"))
            .body(Full::from(body))
            .unwrap()
    }
}

const PROMPT: &str = "my-secret-question";

/// Gathers what is written, as it is.
fn gather(from: impl AsyncRead + Send + Unpin + 'static) -> Arc<Mutex<String>> {
    let log = Arc::new(Mutex::new(String::new()));
    let gathered = Arc::clone(&log);
    tokio::spawn(async move {
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.push_str(&line);
            log.push('\n');
        }
    });
    gathered
}

fn client() -> Client<hyper_util::client::legacy::connect::HttpConnector, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).build_http()
}

async fn simulator() -> (Simulator, String) {
    let simulator = Simulator::builder().token_time(std::time::Duration::from_millis(10));
    let simulator = simulator.start().await.unwrap();
    let config = CONFIG.replace("BASE_URL", simulator.base_url());
    (simulator, config)
}

#[tokio::test]
async fn a_hangup_loads_the_configuration_and_says_what_came_of_it() {
    let (_simulator, config) = simulator().await;
    let relay = Running::start(&config).await;
    fs::write(&relay.file, config.replace("rps = 10", "rps = 11")).unwrap();
    relay.signal("-HUP").await;
    relay.logged("the configuration is in force").await;
    fs::write(&relay.file, config.replace("rps = 10", "rps = 0")).unwrap();
    relay.signal("-HUP").await;
    relay.logged("the one before stays in force").await;
    relay
        .logged("relay.toml:22: `rps` must be at least 1")
        .await;
}

#[tokio::test]
async fn told_to_end_it_finishes_the_stream_and_lets_nobody_in() {
    let (_simulator, config) = simulator().await;
    let mut relay = Running::start(&config).await;
    let mut body = client()
        .request(relay.chat(true))
        .await
        .unwrap()
        .into_body();
    let first = body.frame().await.unwrap().unwrap();
    assert!(first.into_data().unwrap().starts_with(b"data: "));
    relay.signal("-TERM").await;
    let refused = async { while client().request(relay.chat(false)).await.is_ok() {} };
    timeout(LONGEST, refused).await.expect("nobody is let in");
    let rest = body.collect().await.unwrap().to_bytes();
    assert!(rest.ends_with(b"data: [DONE]\n\n"));
    let status = timeout(LONGEST, relay.child.wait()).await.unwrap();
    assert!(status.unwrap().success());
}

#[tokio::test]
async fn told_twice_it_ends_at_once_and_operators_are_told_until_then() {
    let simulator = Simulator::builder().token_time(std::time::Duration::from_secs(600));
    let simulator = simulator.start().await.unwrap();
    let config = CONFIG.replace("BASE_URL", simulator.base_url());
    let config = format!("{config}\n[admin]\nlisten = \"127.0.0.1:0\"\n");
    let mut relay = Running::start(&config).await;
    let admin = relay.admin.clone().unwrap();
    let ask = async |path: &str| {
        let request = Request::get(format!("{admin}{path}")).body(Full::default());
        let answer = client().request(request.unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    assert_eq!(ask("/readyz").await, (200, "ready\n".into()));
    let asked = tokio::spawn(client().request(relay.chat(true)));
    until("it is asked", || simulator.ledger().requests() > 0).await;
    relay.signal("-TERM").await;
    // Not by a request, which has no answer if it is let in before the signal is heard.
    let addr = relay.base_url.strip_prefix("http://").unwrap();
    let addr = addr.strip_suffix("/v1").unwrap();
    let refused = async { while TcpStream::connect(addr).await.is_ok() {} };
    timeout(LONGEST, refused).await.expect("nobody is let in");
    relay.logged("at once if told again").await;
    assert_eq!(ask("/readyz").await, (503, "ending\n".into()));
    assert!(ask("/metrics").await.1.contains("relay_open_requests 1"));
    assert!(relay.child.try_wait().unwrap().is_none());
    relay.signal("-INT").await;
    let status = timeout(LONGEST, relay.child.wait()).await;
    assert!(status.expect("it ends").unwrap().success());
    assert!(asked.await.unwrap().is_err());
}

#[tokio::test]
async fn a_head_has_a_longest_and_a_body_that_is_too_long_is_not_asked_for() {
    let (_simulator, config) = simulator().await;
    let config = format!("{config}\n[limits]\nhead = 10_000\nbody = 1_000\n");
    let relay = Running::start(&config).await;
    let addr = relay.base_url.strip_prefix("http://").unwrap();
    let addr = addr.strip_suffix("/v1").unwrap();
    let long = "x".repeat(10_000);
    for (header, expected) in [
        (format!("x-long: {long}\r\n"), "HTTP/1.1 431 "),
        (
            "content-length: 1001\r\nexpect: 100-continue\r\n".to_owned(),
            "HTTP/1.1 413 ",
        ),
    ] {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: relay\r\nauthorization: Bearer {KEY}\r\n{header}\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut said = [0; 13];
        let read = timeout(LONGEST, stream.read_exact(&mut said)).await;
        read.expect("it answers").unwrap();
        assert_eq!(String::from_utf8_lossy(&said), expected);
    }
}

#[tokio::test]
async fn the_log_has_a_line_for_each_request_and_no_key_and_no_prompt() {
    let (simulator, config) = simulator().await;
    simulator.revoke("sk-a2");
    let relay = Running::start(&config).await;
    let client = client();
    for stream in [false, true, false] {
        let answer = client.request(relay.chat(stream)).await.unwrap();
        answer.into_body().collect().await.unwrap();
    }
    let mut wrong = relay.chat(false);
    let key = "Bearer sk-wrong-key".parse().unwrap();
    wrong.headers_mut().insert("authorization", key);
    client.request(wrong).await.unwrap();
    relay.logged("invalid_api_key").await;
    until("each is logged", || {
        relay.log().matches("\"request\"").count() == 4
    })
    .await;
    let log = relay.log();
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).expect(line);
        assert!(line["level"].is_string() && line["timestamp"].is_string());
        if line["message"] == "request" {
            assert!(line["request_id"].is_string(), "{line}");
        }
    }
    assert!(log.contains("\"account\":\"a\""), "{log}");
    for secret in [KEY, "sk-", PROMPT] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[tokio::test]
async fn without_a_configuration_it_says_how_to_reach_it() {
    let mut child = relay(&[]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = String::new();
    for _ in 0..3 {
        let line = timeout(LONGEST, lines.next_line()).await.unwrap().unwrap();
        said.push_str(&line.unwrap());
        said.push('\n');
    }
    let said: toml::Table = said.parse().unwrap();
    let base_url = said["base_url"].as_str().unwrap();
    let key = said["api_key"].as_str().unwrap();
    let request = Request::get(format!("{base_url}/models"))
        .header("authorization", format!("Bearer {key}"))
        .body(Full::default())
        .unwrap();
    let answer = client().request(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    let admin = said["admin"].as_str().unwrap();
    let request = Request::get(format!("{admin}/metrics")).body(Full::default());
    let answer = client().request(request.unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn what_it_cannot_do_it_says_in_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("relay.toml");
    fs::write(&file, CONFIG.replace("BASE_URL", "ftp://host")).unwrap();
    let file = file.to_str().unwrap();
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo.toml");
    let good = good.to_str().unwrap();
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (args, said) in [
        (&["--nonsense"][..], "--nonsense"),
        (&["--listen", "nowhere"], "nowhere"),
        (&["--check"], "--config"),
        (
            &["--config", "no-such.toml"],
            "no-such.toml: cannot be read",
        ),
        (
            &["--config", file],
            "relay.toml:6: only http and https are known",
        ),
        (&["--check", "--config", file], "relay.toml:6: "),
        (&["--config", good], "demo.toml:9: "),
        (&["--listen", &taken], "cannot listen on 127.0.0.1:"),
    ] {
        let (output, error) = output(args).await;
        assert!(!output.status.success(), "{args:?}");
        assert!(error.contains(said), "{args:?}: {error}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}
