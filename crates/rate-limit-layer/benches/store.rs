//! How many slots one core of a server grants: calls of the script a second beside `INCRBY` in the same set-up, 64
//! in flight over 64 partitions, on a connection each as 64 instances have, or all on one; and, since what asks may be
//! the slower end, how much of the server's processor a call takes.
//!
//! The client is one thread for both, and so are connections, partitions and order. Every call grants, and all windows
//! are full of what was sent before, so that something leaves for what comes.
//!
//! A machine's speed changes by the second, so nothing is compared but what was measured in turns of 50 ms one after
//! the other: a ratio is the median of the ratios of such neighbours, and beside it stand its quartiles. It takes about
//! 75 s.
//!
//! `cargo bench -p rate-limit-layer --features redis --bench store`

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark fails by panicking, prints, and counts less than 2^52"
)]

use std::fmt;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::aio::MultiplexedConnection;
use redis::{Client, Cmd, Value, cmd};
use test_support::redis::Server;
use tokio::time::Instant;

use self::unrolled::unrolled;

#[path = "../src/shared/unrolled.rs"]
mod unrolled;

/// How many are in flight, and partitions.
const TASKS: usize = 64;

/// How long a turn takes, and how many rounds of three there are; every other round goes backwards.
const TURN: Duration = Duration::from_millis(50);
const ROUNDS: usize = 76;

/// How many entries the log of a limit begins with.
const ENTRIES: usize = 1000;

/// A limit: most, and window in microseconds. It allows more than a server can grant, so that every call does.
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
        for limits in [1, 2, 4] {
            let calls = calls(&mut one, limits).await;
            let mut rounds = Vec::new();
            for round in 0..ROUNDS {
                let mut turns = [Turn::default(); 3];
                let mut order = [0, 1, 2];
                if round % 2 == 1 {
                    order.reverse();
                }
                for which in order {
                    turns[which] = turn(&mut one, &connections, &calls[which]).await;
                }
                rounds.push(turns);
            }
            println!("{name}, limits: {limits}");
            let spread = |of: fn(&[Turn; 3]) -> f64| Spread::of(rounds.iter().map(of));
            println!(
                "  script / INCRBY: {:.2}; by the server's time {:.2}",
                spread(|[base, single, _]| single.calls / base.calls),
                spread(|[base, single, _]| base.micros / single.micros),
            );
            println!(
                "  slots by ten / by one: {:.1}; by the server's time {:.1}",
                spread(|[_, single, ten]| 10.0 * ten.calls / single.calls),
                spread(|[_, single, ten]| 10.0 * single.micros / ten.micros),
            );
            println!(
                "  a second: INCRBY {:.0}, script {:.0}, by ten {:.0} slots; server's us a call: {:.1}, {:.1}, {:.1}",
                spread(|[base, ..]| base.calls).median,
                spread(|[_, single, _]| single.calls).median,
                spread(|[.., ten]| 10.0 * ten.calls).median,
                spread(|[base, ..]| base.micros).median,
                spread(|[_, single, _]| single.micros).median,
                spread(|[.., ten]| ten.micros).median,
            );
        }
    }
}

/// What was measured in a turn: calls a second, and microseconds of the server's processor for each.
#[derive(Clone, Copy, Default)]
struct Turn {
    calls: f64,
    micros: f64,
}

/// The median of many numbers, and the quartiles.
struct Spread {
    median: f64,
    quartiles: [f64; 2],
}

impl Spread {
    fn of(numbers: impl Iterator<Item = f64>) -> Self {
        let mut numbers: Vec<_> = numbers.collect();
        numbers.sort_by(f64::total_cmp);
        let at = |quarter| numbers[(numbers.len() - 1) * quarter / 4];
        Self {
            median: at(2),
            quartiles: [at(1), at(3)],
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let [low, high] = self.quartiles;
        write!(
            f,
            "{:.digits$} ({low:.digits$} to {high:.digits$})",
            self.median
        )
    }
}

/// The commands that are compared, by partition: `INCRBY`, and the script for one request and for ten.
async fn calls(one: &mut MultiplexedConnection, limits: usize) -> [Vec<Cmd>; 3] {
    let script = unrolled(include_str!("../src/shared/script/reserve.lua"), limits);
    let load = cmd("SCRIPT").arg("LOAD").arg(script).clone();
    let sha: String = load.query_async(one).await.unwrap();
    let mut calls = [const { Vec::new() }; 3];
    for partition in 0..TASKS {
        let [base, single, ten] = &mut calls;
        base.push(incrby(partition));
        for (calls, requests) in [(single, 1), (ten, 10)] {
            let key = format!("{{{partition}}}:{requests}");
            let begin = begin(&key, limits);
            begin.query_async::<()>(one).await.unwrap();
            calls.push(reserve(&sha, &key, &numbers(limits, requests)));
        }
    }
    calls
}

/// Makes calls as often as can be.
async fn turn(
    one: &mut MultiplexedConnection,
    connections: &[MultiplexedConnection],
    calls: &[Cmd],
) -> Turn {
    let used = processor(one).await;
    let began = Instant::now();
    let tasks = calls.iter().enumerate().map(|(partition, call)| {
        let mut connection = connections[partition % connections.len()].clone();
        async move {
            let mut calls = 0_u64;
            while began.elapsed() < TURN {
                let answer: Value = call.query_async(&mut connection).await.unwrap();
                if let Value::BulkString(answer) = answer {
                    assert!(
                        answer.len() >= 3 * 8 && answer[..8] == [0; 8],
                        "nothing was granted"
                    );
                }
                calls += 1;
            }
            calls
        }
    });
    let calls = tasks.collect::<FuturesUnordered<_>>();
    let calls = calls.fold(0, |sum, calls| async move { sum + calls }).await as f64;
    Turn {
        calls: calls / began.elapsed().as_secs_f64(),
        micros: (processor(one).await - used) / calls * 1e6,
    }
}

/// Seconds of its processor the server has used, to the microsecond: it asks about itself, while it runs.
async fn processor(one: &mut MultiplexedConnection) -> f64 {
    let info = cmd("INFO").arg("cpu").clone();
    let info: String = info.query_async(one).await.unwrap();
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

fn reserve(sha: &str, key: &str, numbers: &[u8]) -> Cmd {
    cmd("EVALSHA").arg(sha).arg(1).arg(key).arg(numbers).clone()
}

/// A state of which all is used, but long ago.
fn begin(key: &str, limits: usize) -> Cmd {
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
    let entries = ENTRIES as f64;
    for (most, _) in &LIMITS[..limits] {
        state.extend([0.0, *most, 1.0, 1.0 + entries, 0.0, most / entries]);
    }
    state.resize(unrolled::RINGS / 8, 0.0);
    for limit in &LIMITS[..limits] {
        let end = state.len() as f64 + 2.0 * room(limit);
        while (state.len() as f64) < end {
            state.extend([0.0, limit.0 / entries]);
        }
    }
    cmd("SET").arg(key).arg(bytes(&state)).clone()
}

fn numbers(limits: usize, requests: usize) -> Vec<u8> {
    let mut numbers = vec![7.0, 0.0, requests as f64];
    for limit in &LIMITS[..limits] {
        let (most, window) = *limit;
        let grain = if most <= 1024.0 {
            0.0
        } else {
            (window * 1.5 / 1024.0).ceil()
        };
        numbers.extend([most, (most / 10.0).floor(), window, grain, room(limit)]);
    }
    for _ in 0..requests {
        numbers.push(f64::from(u8::from(limits > 2)));
        numbers.extend([1.0, 1.0, 500.0, 500.0].iter().take(limits));
    }
    numbers.extend([20_000.0, 1.0, 0.0]);
    bytes(&numbers)
}

/// For how many entries the log of a limit has room.
const fn room((most, _): &(f64, f64)) -> f64 {
    most.min(1024.0) + 16.0
}

fn bytes(numbers: &[f64]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}
