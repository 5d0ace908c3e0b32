use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::Instant;

use crate::args::Args;
use crate::contender::Contender;
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

/// Measures all of them, round by round, and says how the relay compares.
pub(crate) async fn run(args: &Args) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mock = Contender::mock().await?;
    let upstream = mock.addr;
    let Some(nginx) = Contender::nginx(upstream)? else {
        bail!("nginx is not installed; `apt-get install nginx` brings it");
    };
    let mut contenders = vec![mock, nginx, Contender::proxy(upstream).await?];
    contenders.push(Contender::relay("relay", upstream, dir.path(), "warn").await?);
    if args.with_log {
        let logging = Contender::relay("relay, logging", upstream, dir.path(), "info").await?;
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
    let half = rss_mib(contenders[relay].id)?;
    let counted = answered;
    while answered < args.requests.max(counted * 2) {
        answered += measure(contenders[relay].addr, contenders[relay].id, PLAIN, time)
            .await?
            .requests;
    }
    let after = rss_mib(contenders[relay].id)?;
    println!(
        "\nmemory of the relay: {before:.1} MiB before, {half:.1} MiB after {counted} requests, {after:.1} MiB after {answered}"
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
    goal("memory: at most 30 MiB", after, |it| it <= 30.0);
    goal("memory: flat, second half over first", after / half, |it| {
        it <= 1.05
    });
    Ok(())
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
