use std::convert::Infallible;
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use model_studio_sim::{Ask, Limits, Partition, Usage, Window};
use tokio::time::{Instant, sleep};
use tower::Service;

use crate::instance::{LIMIT, WINDOW};

/// The simulator's limits, without sockets: what arrives is counted at once.
#[derive(Clone)]
pub(crate) struct Upstream {
    counted: Arc<Mutex<Counted>>,
    epoch: Instant,
    /// Who hears a byte of each request.
    hears: Option<Arc<TcpStream>>,
}

struct Counted {
    /// What it lets through.
    within: Partition,
    /// What arrives, however much: its highest count is that of all that was sent.
    all: Partition,
}

impl Upstream {
    /// It allows what a fleet is told.
    pub(crate) fn new() -> Self {
        let limits = |most| Limits::unlimited().window(Window::requests(most, WINDOW));
        let counted = Counted {
            within: Partition::new(limits(LIMIT)),
            all: Partition::new(limits(u64::MAX)),
        };
        Self {
            counted: Arc::new(Mutex::new(counted)),
            epoch: Instant::now(),
            hears: None,
        }
    }

    /// The same for what this process sends, of which another one hears.
    pub(crate) fn heard_by(stream: TcpStream) -> Self {
        Self {
            hears: Some(Arc::new(stream)),
            ..Self::new()
        }
    }

    /// How much was sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.counted.lock().unwrap().all.tally().requests
    }

    /// How much of that was refused.
    pub(crate) fn refused(&self) -> u64 {
        self.counted.lock().unwrap().within.tally().refusals()
    }

    /// The most that was sent in any window.
    pub(crate) fn highest(&self) -> u64 {
        self.counted.lock().unwrap().all.tally().windows[0].highest
    }

    /// No window may be exceeded by a whole fleet, not even where it goes on without a store, where the store has to
    /// be told what was sent, or from the one to the other.
    pub(crate) fn never_exceeded(&self) {
        let highest = self.highest();
        println!(
            "{} sent, {highest} at most in a window of {LIMIT}",
            self.sent()
        );
        assert!(highest <= LIMIT, "{highest} sent in a window of {LIMIT}");
        assert!(highest > LIMIT / 2, "{highest} sent in a window of {LIMIT}");
        assert_eq!(self.refused(), 0);
    }

    /// The client of an instance, and where it counts what it sends.
    pub(crate) fn client(
        &self,
        sent: Arc<AtomicU64>,
    ) -> impl Service<
        Request<Full<Bytes>>,
        Response = Response<Full<Bytes>>,
        Error = Infallible,
        Future: Send,
    >
    + Clone
    + Send
    + Sync
    + 'static
    + use<> {
        let upstream = self.clone();
        tower::service_fn(move |_| {
            sent.fetch_add(1, Ordering::Relaxed);
            let response = upstream.arrive();
            async {
                sleep(Duration::from_millis(10)).await;
                Ok(response)
            }
        })
    }

    pub(crate) fn arrive(&self) -> Response<Full<Bytes>> {
        if let Some(mut stream) = self.hears.as_deref() {
            stream.write_all(&[0]).unwrap();
        }
        let now = self.epoch.elapsed();
        let counted = &mut *self.counted.lock().unwrap();
        let ticket = counted.all.arrive(now, Ask::new(1, 1)).unwrap();
        counted.all.finish(now, ticket, Usage::new(1, 1));
        let mut response = Response::default();
        match counted.within.arrive(now, Ask::new(1, 1)) {
            Ok(ticket) => counted.within.finish(now, ticket, Usage::new(1, 1)),
            Err(_) => *response.status_mut() = StatusCode::TOO_MANY_REQUESTS,
        }
        response
    }
}
