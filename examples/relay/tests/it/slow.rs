//! Callers that take their time, or come all at once.

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
    let stream = TcpStream::connect(addr(&pair)).await.unwrap();
    (pair, stream)
}

fn addr(pair: &Pair) -> SocketAddr {
    let addr = pair.relay.base_url();
    let addr = addr.strip_prefix("http://").unwrap();
    addr.strip_suffix("/v1").unwrap().parse().unwrap()
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
    let said = answer(&mut stream).await;
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    assert!(said.contains("\"code\":\"request_timeout\""), "{said}");
    let metrics = pair.relay.metrics();
    assert_eq!(
        sum(&metrics, "relay_turned_away_total", "request_timeout"),
        1
    );
}

/// One answer, of those that come by a connection.
async fn answer(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        let byte = timeout(LONGEST, stream.read_u8()).await;
        text.push(byte.expect("it is answered").unwrap());
    }
    let head = String::from_utf8(text.clone()).unwrap();
    let (_, length) = head.split_once("content-length: ").unwrap();
    let length: usize = length.lines().next().unwrap().parse().unwrap();
    text.resize(head.len() + length, 0);
    stream.read_exact(&mut text[head.len()..]).await.unwrap();
    String::from_utf8(text).unwrap()
}

/// A connection closed with a body unread is reset, and the caller never learns why.
#[tokio::test]
async fn who_is_refused_while_it_sends_is_told_and_may_go_on() {
    let (_pair, mut stream) = impatient("body = 1_000\nbody_within").await;
    let hello = format!("{}hello", head(5));
    let wrong = hello.replace(KEY, "sk-wrong");
    let nowhere = hello.replace("/chat/", "/nowhere/");
    let read_only = hello.replace("chat/completions", "models");
    let long = format!("{}{}", head(1_001), "x".repeat(1_001));
    for (request, status) in [
        (wrong, 401),
        (nowhere, 404),
        (read_only, 405),
        (hello, 408),
        (long, 413),
    ] {
        let (before, after) = request.split_at(request.len() - 5);
        stream.write_all(before.as_bytes()).await.unwrap();
        let said = answer(&mut stream).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{said}");
        stream.write_all(after.as_bytes()).await.unwrap();
    }
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

/// As they do when a relay is back that all of them lost.
#[cfg(target_os = "linux")] // others have a shorter queue
#[tokio::test]
async fn many_who_come_at_once_are_let_in() {
    let pair = Pair::usual().await;
    // Nobody is accepted meanwhile: that is done on this thread.
    let come = |_| std::net::TcpStream::connect_timeout(&addr(&pair), LONGEST).unwrap();
    let callers: Vec<_> = (0..300).map(come).collect();
    until("all are let in", || {
        sum(&pair.relay.metrics(), "relay_connections", "") == 300
    })
    .await;
    drop(callers);
}
