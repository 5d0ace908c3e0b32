use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use crate::load::{self, Load};
use crate::process::cpu_ms;

/// How long each contender is warmed up before it is measured.
const WARM_UP: Duration = Duration::from_millis(300);

/// One contender under one load for a while.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// Answers a second.
    pub(crate) rate: f64,
    /// Milliseconds of the contender's processor time for 1000 answers.
    pub(crate) cpu: f64,
    /// Microseconds.
    pub(crate) median: f64,
    pub(crate) p99: f64,
    pub(crate) requests: u64,
}

/// Measures.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) async fn measure(
    addr: SocketAddr,
    id: u32,
    load: Load,
    time: Duration,
) -> Result<Window> {
    let warm = load::run(addr, load, Instant::now() + WARM_UP).await?;
    let (start, cpu) = (Instant::now(), cpu_ms(id)?);
    let done = load::run(addr, load, start + time).await?;
    let taken = start.elapsed().as_secs_f64();
    let cpu = cpu_ms(id)? - cpu;
    Ok(Window {
        rate: done.requests as f64 / taken,
        cpu: cpu * 1000.0 / done.requests as f64,
        median: done.percentile(50),
        p99: done.percentile(99),
        requests: warm.requests + done.requests,
    })
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
