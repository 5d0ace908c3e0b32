use std::net::SocketAddr;
use std::time::Duration;

use test_support::Proxy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::process::nothing_listens;

/// A server that answers each line with this one.
async fn says(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut line = [0; 64];
                while matches!(stream.read(&mut line).await, Ok(1..)) {
                    stream.write_all(answer).await.unwrap();
                }
            });
        }
    });
    addr
}

async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(b"what?\n").await.unwrap();
    let mut answer = [0; 64];
    let length = stream.read(&mut answer).await.unwrap_or(0);
    String::from_utf8(answer[..length].to_vec()).unwrap()
}

#[tokio::test]
async fn a_round_trip_takes_as_long_as_it_is_told_to() {
    let proxy = Proxy::start(says(b"hello\n").await).await.unwrap();
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(ask(&mut stream).await, "hello\n");

    proxy.set_latency(Duration::from_millis(50));
    let began = Instant::now();
    assert_eq!(ask(&mut stream).await, "hello\n");
    assert!(began.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn a_reply_is_cut_in_its_middle_and_only_one() {
    let proxy = Proxy::start(says(b"hello!").await).await.unwrap();
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    proxy.cut_next_reply();
    assert_eq!(ask(&mut stream).await, "hel");
    assert_eq!(ask(&mut stream).await, "");
    assert_eq!(proxy.cuts(), 1);

    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(ask(&mut stream).await, "hello!");
}

#[tokio::test]
async fn it_leads_elsewhere_and_old_connections_are_over() {
    let proxy = Proxy::start(says(b"one").await).await.unwrap();
    let mut old = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(ask(&mut old).await, "one");

    proxy.lead_to(says(b"two").await);
    let mut new = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(ask(&mut new).await, "two");
    assert_eq!(old.read(&mut [0]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn it_leads_elsewhere_and_old_connections_hear_nothing_any_more() {
    let proxy = Proxy::start(says(b"one").await).await.unwrap();
    let mut old = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(ask(&mut old).await, "one");

    proxy.lead_silently_to(says(b"two").await);
    old.write_all(b"what?\n").await.unwrap();
    let mut new = TcpStream::connect(proxy.addr()).await.unwrap();
    let mut byte = [0];
    tokio::select! {
        heard = old.read(&mut byte) => panic!("{heard:?}"),
        said = ask(&mut new) => assert_eq!(said, "two"),
    }
    assert_eq!(proxy.connections(), 2);
}

#[tokio::test]
async fn nobody_is_led_anywhere_once_it_is_dropped() {
    let proxy = Proxy::start(says(b"one").await).await.unwrap();
    let addr = proxy.addr();
    let mut stream = TcpStream::connect(addr).await.unwrap();
    assert_eq!(ask(&mut stream).await, "one");
    drop(proxy);
    assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
    nothing_listens(addr);
}
