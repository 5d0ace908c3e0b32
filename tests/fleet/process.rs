use std::env;
use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::instance::{Instance, until};
use crate::upstream::Upstream;

const STORE: &str = "FLEET_STORE";
const UPSTREAM: &str = "FLEET_UPSTREAM";

/// One of a fleet in a process of its own, with 60 callers. It ends with this.
pub(crate) struct Process {
    child: Child,
    heard: Arc<Heard>,
}

/// What it was heard to send, one byte for each request; and whether there will be no more.
#[derive(Default)]
struct Heard {
    sent: AtomicU64,
    ended: AtomicBool,
}

impl Process {
    /// Starts this program again, as an instance that joins the fleet at this store.
    pub(crate) fn start(url: &str, upstream: &Upstream) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let child = Command::new(env::current_exe().unwrap())
            .args(["process::is_an_instance", "--exact", "--ignored"])
            .env(STORE, url)
            .env(UPSTREAM, listener.local_addr().unwrap().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let heard = Arc::<Heard>::default();
        let (count, upstream) = (Arc::clone(&heard), upstream.clone());
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            while stream.read_exact(&mut [0]).is_ok() {
                upstream.arrive();
                count.sent.fetch_add(1, Ordering::Relaxed);
            }
            count.ended.store(true, Ordering::Release);
        });
        Self { child, heard }
    }

    /// How many requests it sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.heard.sent.load(Ordering::Relaxed)
    }

    /// Ends it by `kill -9`, and returns how many requests it sent.
    pub(crate) async fn kill(mut self) -> u64 {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        until("the last of it", || {
            self.heard.ended.load(Ordering::Acquire)
        })
        .await;
        self.sent()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What such a process runs. It ends when whoever started it is gone, and with it the other end of its input.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "other tests start it, in a process of its own"]
async fn is_an_instance() {
    let (Ok(url), Ok(addr)) = (env::var(STORE), env::var(UPSTREAM)) else {
        return;
    };
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
    let upstream = Upstream::heard_by(TcpStream::connect(addr).unwrap());
    let instance = Instance::connect_patiently(&url, &upstream).await;
    let _instance = instance.busy(60);
    std::future::pending::<()>().await;
}
