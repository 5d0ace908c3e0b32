//! How many requests a second the simulator answers on one core, beside a bare hyper "hello".
//!
//! ```sh
//! cargo run --release -p model-studio-sim --example throughput
//! ```
//!
//! Each server has a thread and a runtime of its own; another thread keeps its connections busy.
//! Where others use the machine too, the second figure is the steadier one: requests for each
//! second of processor time that the server's thread was given (Linux only).
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement that fails is no measurement"
)]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use http::Response;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use model_studio_sim::{Limits, Simulator};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

const CONNECTIONS: usize = 16;
const ROUND: Duration = Duration::from_secs(1);
const ROUNDS: usize = 5;

fn main() {
    println!("{CONNECTIONS} connections, best of {ROUNDS} rounds of {ROUND:?}, alternating");
    let body = r#"{"model":"qwen3-max","messages":[{"role":"user","content":"Why do quotas have windows?"}],"max_tokens":64}"#;
    let length = body.len();
    let request = format!(
        "POST /compatible-mode/v1/chat/completions HTTP/1.1\r\nhost: sim\r\nauthorization: Bearer sk-a1\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let (mut sim, mut hello) = ((0.0, 0.0), (0.0, 0.0));
    for _ in 0..ROUNDS {
        better(&mut hello, round(Kind::Hello, &request));
        better(&mut sim, round(Kind::Simulator, &request));
    }
    println!("{:28} {:>12} {:>18}", "", "requests/s", "per server CPU-s");
    println!(
        "{:28} {:>12.0} {:>18.0}",
        "hyper, \"hello\"", hello.0, hello.1
    );
    println!(
        "{:28} {:>12.0} {:>18.0}",
        "simulator, a chat of 64 tokens", sim.0, sim.1
    );
}

fn better(best: &mut (f64, f64), round: (f64, f64)) {
    *best = (best.0.max(round.0), best.1.max(round.1));
}

#[derive(Clone, Copy)]
enum Kind {
    Hello,
    Simulator,
}

/// Requests a second, and for each second of the server's processor time.
fn round(kind: Kind, request: &str) -> (f64, f64) {
    let (addr, started) = oneshot::channel();
    let (end, ended) = oneshot::channel::<()>();
    let server = std::thread::spawn(move || {
        let serve = async move {
            match kind {
                Kind::Hello => {
                    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                    addr.send(listener.local_addr().unwrap()).unwrap();
                    tokio::spawn(hello(listener));
                    let _ = ended.await;
                }
                Kind::Simulator => {
                    let simulator = Simulator::builder()
                        .account("a", ["sk-a1"])
                        .model("qwen3-max", limits())
                        .start()
                        .await
                        .unwrap();
                    addr.send(simulator.addr()).unwrap();
                    let _ = ended.await;
                }
            }
        };
        runtime().block_on(serve);
        processor_seconds()
    });
    let (requests, seconds) = runtime().block_on(async {
        let addr = started.await.unwrap();
        load(addr, request.to_owned()).await
    });
    end.send(()).unwrap();
    let busy = server.join().unwrap();
    (requests / seconds, requests / busy)
}

/// Windows like any model's, none of which is ever full.
fn limits() -> Limits {
    Limits::per_minute(u64::MAX)
        .per_second(u64::MAX)
        .tokens_per_minute(u64::MAX)
}

fn runtime() -> runtime::Runtime {
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

async fn hello(listener: TcpListener) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        tokio::spawn(async move {
            let service = service_fn(|_| async {
                Ok::<_, Infallible>(Response::new(Full::new(bytes::Bytes::from_static(
                    b"hello",
                ))))
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn load(addr: SocketAddr, request: String) -> (f64, f64) {
    let start = Instant::now();
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        connections.spawn(connection(addr, request.clone(), start + ROUND));
    }
    let requests: u32 = connections.join_all().await.into_iter().sum();
    (f64::from(requests), start.elapsed().as_secs_f64())
}

/// One request after another until `end`. Knows just enough of HTTP to see where an answer ends.
async fn connection(addr: SocketAddr, request: String, end: Instant) -> u32 {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut requests = 0;
    let mut buffer = vec![0; 16 << 10];
    while Instant::now() < end {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut read = 0;
        loop {
            read += stream.read(&mut buffer[read..]).await.unwrap();
            let answer = std::str::from_utf8(&buffer[..read]).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            if let Some((head, body)) = answer.split_once("\r\n\r\n") {
                let (_, length) = head.split_once("content-length: ").unwrap();
                let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
                if body.len() == length {
                    break;
                }
            }
        }
        requests += 1;
    }
    requests
}

/// What this thread has had of a processor. Not known: infinitely much.
fn processor_seconds() -> f64 {
    let known = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = known.and_then(|known| known.split(' ').next()?.parse::<f64>().ok());
    nanos.map_or(f64::INFINITY, |nanos| nanos / 1e9)
}
