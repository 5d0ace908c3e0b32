use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::net::TcpStream;
use tokio::time::sleep;

/// A process of ours, ended by its id when this is dropped.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Starts this program, as it was built for that, in another role and waits until it accepts
    /// connections.
    pub(crate) async fn start(program: &Path, words: &[&str], addr: SocketAddr) -> Result<Self> {
        let child = Command::new(program)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let process = Self(child);
        for _ in 0..500 {
            if TcpStream::connect(addr).await.is_ok() {
                return Ok(process);
            }
            sleep(Duration::from_millis(20)).await;
        }
        bail!("`{}` does not accept connections", words.join(" "))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The time a process has used, user and system together, in milliseconds.
pub(crate) fn cpu_ms(id: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The name, in parentheses, may hold spaces.
    let after = stat.rsplit_once(')').context("no /proc/PID/stat")?.1;
    let fields: Vec<_> = after.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field).and_then(|it| it.parse::<f64>().ok());
    let ticks = ticks(11).zip(ticks(12)).context("no /proc/PID/stat")?;
    // A tick is 10 ms on every Linux (`getconf CLK_TCK`).
    Ok((ticks.0 + ticks.1) * 10.0)
}

/// The memory a process has in use, in MiB.
pub(crate) fn rss_mib(id: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    Ok(kib.context("no VmRSS")? / 1024.0)
}
