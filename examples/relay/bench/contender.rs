use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use test_support::process::{Program, free_addr, nginx};

use crate::process::Process;

/// One of those that are compared.
#[derive(Debug)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) addr: SocketAddr,
    pub(crate) id: u32,
    _running: Running,
}

#[derive(Debug)]
enum Running {
    #[expect(dead_code, reason = "held, and ended with this")]
    Ours(Process),
    #[expect(dead_code, reason = "held, and ended with this")]
    Nginx(Program),
}

impl Contender {
    pub(crate) async fn mock(program: &Path) -> Result<Self> {
        let addr = free_addr();
        let process = Process::start(program, &["mock", &addr.to_string()], addr).await?;
        Ok(Self::ours("direct", addr, process))
    }

    pub(crate) async fn proxy(program: &Path, upstream: SocketAddr) -> Result<Self> {
        let addr = free_addr();
        let words = ["proxy", &addr.to_string(), &upstream.to_string()];
        let process = Process::start(program, &words, addr).await?;
        Ok(Self::ours("hyper", addr, process))
    }

    pub(crate) async fn relay(
        program: &Path,
        name: &'static str,
        upstream: SocketAddr,
        dir: &Path,
        log: &str,
    ) -> Result<Self> {
        let file = dir.join(format!("{name}.toml"));
        let config = CONFIG
            .replace("UPSTREAM", &upstream.to_string())
            .replace("LOG", log);
        fs::write(&file, config)?;
        let addr = free_addr();
        let file = file.to_str().context("a path that is no text")?;
        let process = Process::start(program, &["relay", file, &addr.to_string()], addr).await?;
        Ok(Self::ours(name, addr, process))
    }

    /// nginx as a plain reverse proxy, or `None` if it is not installed.
    pub(crate) fn nginx(upstream: SocketAddr) -> Result<Option<Self>> {
        let program = nginx::start(|port| {
            format!(
                "upstream mock {{ server {upstream}; keepalive 128; }}\n\
                 server {{\n\
                 listen 127.0.0.1:{port};\n\
                 keepalive_requests 1000000000;\n\
                 tcp_nodelay on;\n\
                 location / {{\n\
                 proxy_pass http://mock;\n\
                 proxy_http_version 1.1;\n\
                 proxy_set_header Connection \"\";\n\
                 proxy_buffering off;\n\
                 }}\n}}"
            )
        });
        let Some(program) = program else {
            return Ok(None);
        };
        let id = fs::read_to_string(program.dir().join("pid"))?
            .trim()
            .parse()?;
        Ok(Some(Self {
            name: "nginx",
            addr: program.addr(),
            id,
            _running: Running::Nginx(program),
        }))
    }

    fn ours(name: &'static str, addr: SocketAddr, process: Process) -> Self {
        Self {
            name,
            addr,
            id: process.id(),
            _running: Running::Ours(process),
        }
    }
}

/// All layers at work, with a quota that is never full.
const CONFIG: &str = r#"
log = "LOG"

[[provider]]
name = "mock"
base_url = "http://UPSTREAM/v1"
profile = "model-studio"

[[account]]
name = "a"
provider = "mock"
keys = ["sk-a1"]

[[account]]
name = "b"
provider = "mock"
keys = ["sk-b1"]

[[model]]
name = "first"
upstream = "m"
provider = "mock"
quota = { rps = 1_000_000, rpm = 60_000_000, tpm = 1_000_000_000_000 }
price = { input = 1.2, output = 6.0 }

[[model]]
name = "second"
upstream = "n"
provider = "mock"
quota = { rps = 1_000_000, rpm = 60_000_000, tpm = 1_000_000_000_000 }

[[alias]]
name = "m"
chain = ["first", "second"]

[[client]]
name = "bench"
keys = ["sk-bench"]
rpm = 100_000_000
concurrent = 10_000
"#;
