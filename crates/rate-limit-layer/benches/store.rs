//! How many slots one core of a server grants: calls of the script a second beside `INCRBY` in the same set-up, 64
//! in flight over 64 partitions, on a connection each as 64 instances have, or all on one; and, since what asks may be
//! the slower end, how much of the server's processor a call takes.
//!
//! The client is one thread for both, and so are connections, partitions and order. Every call grants.
//!
//! `cargo bench -p rate-limit-layer --features redis --bench store`

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark fails by panicking, prints, and counts less than 2^52"
)]

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Client, Cmd, cmd};
use test_support::redis::Server;
use tokio::time::Instant;

use self::unrolled::unrolled;

#[path = "../src/shared/unrolled.rs"]
mod unrolled;

/// How many are in flight, and partitions.
const TASKS: usize = 64;

/// How long each is measured, and how often; the best counts, as others use the machine too.
const TIME: Duration = Duration::from_millis(400);
const ROUNDS: usize = 4;

/// A limit: most, and window in microseconds. Never full, so that every call grants.
const LIMITS: [(f64, f64); 4] = [
    (1_000.0, 100_000.0),
    (600_000.0, 60e6),
    (50e6, 1e6),
    (900e6, 60e6),
];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let Some(server) = Server::start("") else {
        println!("no redis-server or valkey-server is installed");
        return;
    };
    let client = Client::open(server.url()).unwrap();
    let mut one = client.get_multiplexed_async_connection().await.unwrap();
    let mut many = Vec::new();
    for _ in 0..TASKS {
        many.push(client.get_multiplexed_async_connection().await.unwrap());
    }
    for (name, connections) in [
        ("64 connections", many),
        ("one connection", vec![one.clone()]),
    ] {
        println!("{name}");
        for limits in [1, 2, 4] {
            let script = unrolled(include_str!("../src/shared/script/reserve.lua"), limits);
            let load = cmd("SCRIPT").arg("LOAD").arg(script).clone();
            let sha: String = load.query_async(&mut one).await.unwrap();
            let (mut base, mut single, mut ten) = Default::default();
            for _ in 0..ROUNDS {
                run(&server, &connections, incrby, &mut base).await;
                for (best, requests) in [(&mut single, 1), (&mut ten, 10)] {
                    for partition in 0..TASKS {
                        begin(partition, limits)
                            .query_async::<()>(&mut one)
                            .await
                            .unwrap();
                    }
                    let (sha, numbers) = (sha.clone(), numbers(limits, requests));
                    let call = move |partition| reserve(&sha, partition, &numbers);
                    run(&server, &connections, call, best).await;
                }
            }
            println!(
                "  {limits} limits: INCRBY {:.0}/s ({:.1} us), script {:.0}/s ({:.1} us): {:.2} of it, by the server's time \
                 {:.2}; by ten {:.0} slots/s, {:.1} x",
                base.calls,
                base.micros,
                single.calls,
                single.micros,
                single.calls / base.calls,
                base.micros / single.micros,
                10.0 * ten.calls,
                10.0 * ten.calls / single.calls
            );
        }
    }
}

/// The best of some rounds: calls a second, and microseconds of the server's processor for each.
#[derive(Clone, Copy)]
struct Best {
    calls: f64,
    micros: f64,
}

impl Default for Best {
    fn default() -> Self {
        Self {
            calls: 0.0,
            micros: f64::INFINITY,
        }
    }
}

/// Has `command` called as often as can be.
async fn run(
    server: &Server,
    connections: &[MultiplexedConnection],
    command: impl Fn(usize) -> Cmd + Clone + Send + 'static,
    best: &mut Best,
) {
    let used = processor(server);
    let began = Instant::now();
    let task = |partition: usize| {
        let mut connection = connections[partition % connections.len()].clone();
        let command = command.clone();
        tokio::spawn(async move {
            let mut calls = 0_u64;
            while began.elapsed() < TIME {
                let answer: redis::Value = command(partition)
                    .query_async(&mut connection)
                    .await
                    .unwrap();
                if let redis::Value::BulkString(answer) = answer {
                    assert!(
                        answer.len() >= 3 * 8 && answer[..8] == [0; 8],
                        "nothing was granted"
                    );
                }
                calls += 1;
            }
            calls
        })
    };
    let tasks: Vec<_> = (0..TASKS).map(task).collect();
    let mut calls = 0;
    for task in tasks {
        calls += task.await.unwrap();
    }
    let calls = calls as f64;
    best.calls = best.calls.max(calls / began.elapsed().as_secs_f64());
    best.micros = best.micros.min((processor(server) - used) / calls * 1e6);
}

/// Seconds of its processor the server has used.
fn processor(server: &Server) -> f64 {
    let info = server.command("INFO cpu");
    let used = info.lines().filter_map(|line| {
        let (name, seconds) = line.split_once(':')?;
        let is_own = ["used_cpu_sys", "used_cpu_user"].contains(&name);
        is_own.then(|| seconds.parse::<f64>().ok()).flatten()
    });
    used.sum()
}

fn incrby(partition: usize) -> Cmd {
    cmd("INCRBY")
        .arg(format!("count {partition}"))
        .arg(1)
        .clone()
}

fn reserve(sha: &str, partition: usize, numbers: &[u8]) -> Cmd {
    cmd("EVALSHA")
        .arg(sha)
        .arg(1)
        .arg(format!("{{{partition}}}:state"))
        .arg(numbers)
        .clone()
}

/// A state of which nothing is used yet.
fn begin(partition: usize, limits: usize) -> Cmd {
    let mut state = vec![0.0; 19];
    // Generation, members, time to live, version, horizon, what entries count beyond their window, and when to renew.
    for (place, value) in [
        (0, 1.0),
        (6, 1.0),
        (9, 120_000.0),
        (12, 7.0),
        (14, 250_000.0),
        (15, 500.0),
        (16, 1e16),
    ] {
        state[place] = value;
    }
    for _ in 0..limits {
        state.extend([0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
    }
    state.resize(unrolled::RINGS / 8, 0.0);
    cmd("SET")
        .arg(format!("{{{partition}}}:state"))
        .arg(bytes(&state))
        .clone()
}

fn numbers(limits: usize, requests: usize) -> Vec<u8> {
    let mut numbers = vec![7.0, 0.0, requests as f64];
    for (most, window) in &LIMITS[..limits] {
        let exact = *most <= 1024.0;
        let room = most.min(1024.0) + 16.0;
        let grain = if exact {
            0.0
        } else {
            (window * 1.5 / 1024.0).ceil()
        };
        numbers.extend([*most, (most / 10.0).floor(), *window, grain, room]);
    }
    for _ in 0..requests {
        numbers.push(f64::from(u8::from(limits > 2)));
        numbers.extend([1.0, 1.0, 500.0, 500.0].iter().take(limits));
    }
    numbers.extend([20_000.0, 1.0, 0.0]);
    bytes(&numbers)
}

fn bytes(numbers: &[f64]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}
