#![cfg(feature = "cli")]

use std::process::Stdio;

use http::StatusCode;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::client::Client;

/// Starts the binary; ends it when dropped.
async fn start(args: &[&str]) -> (Child, Client) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_model-studio-sim"))
        .args(args)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    let addr = line.strip_prefix("listening on http://").unwrap();
    (child, Client::new(addr))
}

#[tokio::test]
async fn says_first_where_it_listens_and_limits_as_told() {
    let (_child, client) = start(&[
        "--listen",
        "127.0.0.1:0",
        "--account",
        "team=sk-t1,sk-t2",
        "--model",
        "qwen3-max:rpm=2,tpm=1_000_000",
        "--latency",
        "1ms",
        "--count-refused",
    ])
    .await;
    let status = async |key| client.with_key(key).chat("qwen3-max", "one").await.status;
    assert_eq!(status("sk-t1").await, StatusCode::OK);
    assert_eq!(status("sk-t2").await, StatusCode::OK);
    assert_eq!(status("sk-t1").await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(status("sk-a1").await, StatusCode::UNAUTHORIZED);
    let ledger = client.get("/sim/ledger").await.json();
    assert_eq!(ledger["partitions"][0]["account"], "team");
    assert_eq!(ledger["partitions"][0]["requests"], 2);
}

#[tokio::test]
#[cfg(unix)]
async fn ends_in_order_when_asked_to() {
    for signal in ["-INT", "-TERM"] {
        let (mut child, _client) = start(&[]).await;
        let id = child.id().unwrap().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().await;
        assert!(sent.unwrap().success());
        assert!(child.wait().await.unwrap().success(), "{signal}");
    }
}

#[tokio::test]
async fn says_in_one_line_what_is_wrong() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let cases: [(&[&str], &str); 4] = [
        (&["--listen", &taken], "cannot listen on 127.0.0.1:"),
        (&["--model", "m:rpx=1"], "`rpx` is none of rpm"),
        (&["--account", "a"], "an account is NAME=KEY"),
        (&["--refuse-at-random", "2"], "not a share from 0 to 1"),
    ];
    for (args, says) in cases {
        let output = Command::new(env!("CARGO_BIN_EXE_model-studio-sim"))
            .args(args)
            .output()
            .await
            .unwrap();
        assert!(!output.status.success());
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(says), "{error}");
    }
}

#[tokio::test]
async fn takes_every_kind_of_limit_and_fault() {
    let (_child, client) = start(&[
        "--account=a=sk-a1",
        "--account=b=sk-b1",
        "--overdue=b",
        "--model=one:requests=5/10s,tokens=1_000/1m,window=bucket/2,charge=refund",
        "--model=two:rpm=60,window=counter,growth=1/150%/10s,charge=max",
        "--model=three:free=1,stranger=50%@1s..2m,charge=prompt",
        "--model=four:rps=3,window=fixed,charge=end",
        "--latency=0ms..1ms",
        "--token-time=1us",
        "--completion-tokens=5..5",
        "--fault=500=#2",
        "--fault=503=#3+4",
        "--fault=error-event/2=0%",
        "--fault=trickle/1ms=0",
        "--retry-after",
        "--seed=7",
    ])
    .await;
    let mut statuses = Vec::new();
    for model in ["one", "one", "one", "one", "three", "three", "two", "two"] {
        statuses.push(client.chat(model, "one").await.status.as_u16());
    }
    assert_eq!(statuses, [200, 500, 503, 503, 200, 403, 200, 429]);
    let answer = client.chat("four", "one").await.json();
    assert_eq!(answer["usage"]["completion_tokens"], 5);
    let overdue = client.with_key("sk-b1").chat("four", "one").await;
    assert_eq!(overdue.json()["error"]["code"], "Arrearage");
    let ledger = client.get("/sim/ledger").await.json();
    assert_eq!(
        ledger["partitions"][0]["windows"][0]["counting"]["bucket"]["depth"],
        2
    );
    assert_eq!(ledger["partitions"][0]["windows"][0]["seconds"], 10.0);
}

#[tokio::test]
async fn the_readme_has_every_flag() {
    let help = Command::new(env!("CARGO_BIN_EXE_model-studio-sim"))
        .arg("--help")
        .output()
        .await
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let words = help.split(|char: char| char != '-' && !char.is_ascii_alphabetic());
    let flags: Vec<_> = words
        .filter(|word| word.starts_with("--") && !["--help", "--version"].contains(word))
        .collect();
    assert!(flags.len() >= 12, "{flags:?}");
    for flag in flags {
        let row = format!("| `{flag}");
        assert!(include_str!("../../README.md").contains(&row), "{flag}");
    }
}
