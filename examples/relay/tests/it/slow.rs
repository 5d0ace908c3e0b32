//! Callers that take their time.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::caller::{CONFIG, KEY, Pair, sum};
use crate::until::{LONGEST, until};

/// A relay with little patience in one respect, and a connection to it.
async fn impatient(limit: &str) -> (Pair, TcpStream) {
    let limits = format!("[limits]\n{limit} = \"300ms\"\n");
    let (pair, _seen) = Pair::echo(&format!("{CONFIG}\n{limits}")).await;
    let addr = pair.relay.base_url();
    let addr = addr.strip_prefix("http://").unwrap();
    let addr: SocketAddr = addr.strip_suffix("/v1").unwrap().parse().unwrap();
    let stream = TcpStream::connect(addr).await.unwrap();
    (pair, stream)
}

fn head(length: usize) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: relay\r\nauthorization: Bearer {KEY}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// What comes until the relay closes the connection.
async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let read = stream.read_to_end(&mut text);
    let read = timeout(LONGEST, read).await.expect("it is cut off");
    // It may end with a reset.
    let _ = read;
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn who_does_not_end_its_head_is_cut_off() {
    let (_pair, mut stream) = impatient("head_within").await;
    stream.write_all(b"POST /v1/chat").await.unwrap();
    let said = rest(&mut stream).await;
    assert!(!said.contains("200 OK"), "{said}");
}

#[tokio::test]
async fn who_does_not_end_its_body_is_told() {
    let (pair, mut stream) = impatient("body_within").await;
    let part = format!("{}{{\"model\":", head(100));
    stream.write_all(part.as_bytes()).await.unwrap();
    let said = rest(&mut stream).await;
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    assert!(said.contains("\"code\":\"request_timeout\""), "{said}");
    let metrics = pair.relay.metrics();
    assert_eq!(
        sum(&metrics, "relay_turned_away_total", "request_timeout"),
        1
    );
}

#[tokio::test]
async fn who_does_not_read_its_answer_is_cut_off() {
    let (pair, mut stream) = impatient("unread").await;
    // More than the buffers of the system hold.
    let long = "x".repeat(24 << 20);
    let body = format!(r#"{{"model":"qwen3-max","x":"{long}"}}"#);
    stream.write_all(head(body.len()).as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    until("the answer is given up", || {
        sum(&pair.relay.metrics(), "relay_answers_total", "end=\"left\"") == 1
    })
    .await;
    until("its connection is closed", || {
        sum(&pair.relay.metrics(), "relay_connections", "") == 0
    })
    .await;
}
