use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    pub(crate) stream: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) requests: u64,
    /// From each request to the last byte of its answer, in microseconds, sorted.
    pub(crate) latencies: Vec<u32>,
}

impl Done {
    pub(crate) fn percentile(&self, share: usize) -> f64 {
        let at = self.latencies.len() * share / 100;
        self.latencies.get(at).copied().map_or(f64::NAN, f64::from)
    }
}

/// Asks over so many connections, each for the next answer when it has one, until `end`.
pub(crate) async fn run(addr: SocketAddr, load: Load, end: Instant) -> Result<Done> {
    let mut callers = JoinSet::new();
    for _ in 0..load.connections {
        callers.spawn(call(addr, load.stream, end));
    }
    let mut done = Done::default();
    while let Some(one) = callers.join_next().await {
        let mut latencies = one??;
        done.requests += latencies.len() as u64;
        done.latencies.append(&mut latencies);
    }
    done.latencies.sort_unstable();
    Ok(done)
}

async fn call(addr: SocketAddr, stream: bool, end: Instant) -> Result<Vec<u32>> {
    let tcp = TcpStream::connect(addr).await?;
    tcp.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(tcp)).await?;
    tokio::spawn(connection);
    let body = format!(
        r#"{{"model":"m","stream":{stream},"messages":[{{"role":"system","content":"Answer in one sentence."}},{{"role":"user","content":"What happens to requests that come faster than the quota of an account and a model allows them to?"}}],"max_tokens":100}}"#
    );
    let body = Bytes::from(body);
    let mut latencies = Vec::new();
    while Instant::now() < end {
        let request = Request::post("/v1/chat/completions")
            .header("host", "relay")
            .header("authorization", "Bearer sk-bench")
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .header("user-agent", "OpenAI/Python 3.3.1")
            .body(Full::new(body.clone()))?;
        let start = Instant::now();
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        ensure!(response.status().is_success(), "{}", response.status());
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            frame?;
        }
        let taken = start.elapsed().min(Duration::from_secs(1000));
        latencies.push(u32::try_from(taken.as_micros()).unwrap_or(u32::MAX));
    }
    Ok(latencies)
}
