use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::Instant;

use crate::args::Args;
use crate::contender::Contender;
use crate::dist;
use crate::load::{self, Load};
use crate::mock::EVENTS;
use crate::process::rss_mib;
use crate::window::{Window, measure, median};

const PLAIN: Load = Load {
    connections: 16,
    stream: false,
};
const STREAM: Load = Load {
    connections: 16,
    stream: true,
};
const ALONE: Load = Load {
    connections: 1,
    stream: false,
};

/// The longest window of a quota that the relay is configured with.
const MINUTE: Duration = Duration::from_secs(60);

/// Measures all of them, round by round, and says how the relay compares.
pub(crate) async fn run(args: &Args) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let program = match &args.built {
        Some(program) => program.clone(),
        None => dist::build()?,
    };
    let mock = Contender::mock(&program).await?;
    let upstream = mock.addr;
    let Some(nginx) = Contender::nginx(upstream)? else {
        bail!("nginx is not installed; `apt-get install nginx` brings it");
    };
    let mut contenders = vec![mock, nginx, Contender::proxy(&program, upstream).await?];
    contenders.push(Contender::relay(&program, "relay", upstream, dir.path(), "warn").await?);
    if args.with_log {
        let logging =
            Contender::relay(&program, "relay, logging", upstream, dir.path(), "info").await?;
        contenders.push(logging);
    }
    let relay = 3;
    let time = Duration::try_from_secs_f64(args.seconds)?;
    let before = rss_mib(contenders[relay].id)?;
    let mut answered = 0;
    let mut rows = Vec::new();
    for (title, load) in [
        ("plain, 16 connections", PLAIN),
        ("streams of 20 events, 16 connections", STREAM),
        ("plain, one connection", ALONE),
    ] {
        let mut windows: Vec<Vec<Window>> = vec![Vec::new(); contenders.len()];
        for round in 0..args.rounds {
            // Nobody always comes after the same one.
            for turn in 0..contenders.len() {
                let at = (turn + round) % contenders.len();
                let window = measure(contenders[at].addr, contenders[at].id, load, time).await?;
                windows[at].push(window);
                if at == relay {
                    answered += window.requests;
                }
            }
        }
        println!("\n{title}");
        println!("| system | answers/s | CPU ms/1000 | median µs | p99 µs |");
        println!("| --- | ---: | ---: | ---: | ---: |");
        let mut table = Vec::new();
        for (contender, windows) in contenders.iter().zip(&windows) {
            let of = |value: fn(&Window) -> f64| median(windows.iter().map(value).collect());
            let row = Row {
                rate: of(|it| it.rate),
                cpu: of(|it| it.cpu),
                median: of(|it| it.median),
                p99: of(|it| it.p99),
            };
            let Row {
                rate,
                cpu,
                median,
                p99,
            } = row;
            let name = contender.name;
            println!("| {name} | {rate:.0} | {cpu:.1} | {median:.0} | {p99:.0} |");
            table.push(row);
        }
        rows.push(table);
    }
    let memory = memory(&contenders[relay], answered, args.requests, time).await?;
    println!(
        "\nmemory of the relay: {before:.1} MiB before, {:.1} MiB after {} requests, {:.1} MiB after {}",
        memory.half, memory.counted, memory.after, memory.answered
    );

    let (nginx, hyper) = (1, 2);
    println!("\n| goal | measured | |\n| --- | ---: | --- |");
    let (plain, stream, alone) = (&rows[0], &rows[1], &rows[2]);
    goal(
        "CPU, plain: at most 2.5 × nginx",
        plain[relay].cpu / plain[nginx].cpu,
        |it| it <= 2.5,
    );
    let title = format!("CPU, streams of {EVENTS}: at most 1.5 × nginx");
    goal(&title, stream[relay].cpu / stream[nginx].cpu, |it| {
        it <= 1.5
    });
    goal(
        "rate, plain, c=16: at least 0.7 of hyper",
        plain[relay].rate / plain[hyper].rate,
        |it| it >= 0.7,
    );
    goal(
        "median, plain, c=1: at most 1.5 × hyper",
        alone[relay].median / alone[hyper].median,
        |it| it <= 1.5,
    );
    goal("memory: at most 30 MiB", memory.after, |it| it <= 30.0);
    let title = format!(
        "memory: flat, after {} requests over {}",
        memory.answered, memory.counted
    );
    goal(&title, memory.after / memory.half, |it| it <= 1.05);
    Ok(())
}

/// What a contender has in use, in MiB, after so many requests and after all of them.
struct Memory {
    half: f64,
    counted: u64,
    after: f64,
    answered: u64,
}

/// Looks at the memory of a contender twice, with `requests` between. It has been busy for a minute
/// before: a limiter remembers what was sent in the last, and from then on nothing is to grow.
async fn memory(of: &Contender, before: u64, requests: u64, time: Duration) -> Result<Memory> {
    let mut answered = before;
    let full = Instant::now() + MINUTE;
    while Instant::now() < full || answered < requests {
        answered += measure(of.addr, of.id, PLAIN, time).await?.requests;
    }
    let (counted, half) = (answered, rss_mib(of.id)?);
    while answered < counted + requests {
        answered += measure(of.addr, of.id, PLAIN, time).await?.requests;
    }
    Ok(Memory {
        half,
        counted,
        after: rss_mib(of.id)?,
        answered,
    })
}

/// Calls one address and does not compare.
pub(crate) async fn load(addr: SocketAddr, stream: bool, seconds: f64) -> Result<()> {
    let end = Instant::now() + Duration::try_from_secs_f64(seconds)?;
    let load = if stream { STREAM } else { PLAIN };
    let done = load::run(addr, load, end).await?;
    println!("{} answers in {seconds} s", done.requests);
    Ok(())
}

#[derive(Clone, Copy, Debug)]
struct Row {
    rate: f64,
    cpu: f64,
    median: f64,
    p99: f64,
}

fn goal(title: &str, value: f64, met: fn(f64) -> bool) {
    let met = if met(value) { "met" } else { "missed" };
    println!("| {title} | {value:.2} | {met} |");
}
