//! What a run of all layers shows of the keys it uses: nothing. It says all it can, to `Debug`, headers,
//! events, metrics, errors and a panic.
//!
//! One test in a process of its own: whether anybody listens to an event is remembered for all threads.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test uses a part of it")]
mod studio;

use std::fmt::Write;
use std::io;
use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fallback_layer::{Candidate, FallbackLayer};
use http::Request;
use key_rotation_layer::{KeyPool, KeyRotationLayer};
use metrics_util::debugging::DebuggingRecorder;
use model_studio_sim::Limits;
use rate_limit_layer::{Limiter, Quota, RateLimitLayer};
use retry_429_layer::Retry429Layer;
use test_support::UpstreamError;
use throttle_signal::{Classified, Trail};
use tower::{ServiceBuilder, ServiceExt};
use tracing_subscriber::filter::LevelFilter;

use crate::studio::{Body, Studio, chat};

const SECOND: Duration = Duration::from_secs(1);
const MAX: &str = "qwen3-max";
const SECRETS: [&str; 3] = [
    "sk-4f9a1c7e2b8d6f3a5c0e9b7d",
    "sk-wq83hTzLmN5vXcRbYpK1",
    "sk-revokedrevoked0192837465",
];

/// Which request breaks off, and which one's client panics, showing what it was to send.
const BROKEN: usize = 5;
const PANICS: usize = 9;

/// All that was shown.
#[derive(Clone, Default)]
struct Shown(Arc<Mutex<String>>);

impl Shown {
    fn add(&self, text: &str) {
        self.0.lock().unwrap().push_str(text);
    }
}

impl io::Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One account has two keys and a small quota, the other one revoked key; then all goes wrong that can.
async fn run(shown: &Shown) {
    let pool = KeyPool::builder()
        .account("a", SECRETS[..2].iter().copied())
        .account("b", [SECRETS[2]])
        .build()
        .unwrap();
    let studio = Studio::new()
        .key("a", SECRETS[0])
        .key("a", SECRETS[1])
        .limits("a", MAX, Limits::per_minute(5));
    let limiter = Limiter::builder().default_quota(Quota::new()).build();
    let layer = KeyRotationLayer::new(pool.clone()).headroom(limiter.clone());
    let sent = Arc::new(AtomicUsize::new(0));
    let (sending, answered) = (Arc::clone(&sent), Arc::clone(&sent));
    let service = ServiceBuilder::new()
        .layer(FallbackLayer::new([
            Candidate::model(MAX).patience(SECOND),
            Candidate::model("qwen-plus"),
        ]))
        .layer(Retry429Layer::new())
        .layer(layer.clone())
        .layer(RateLimitLayer::new(limiter.clone()))
        .map_request(move |request: Request<Body>| {
            let turn = sending.fetch_add(1, Ordering::Relaxed);
            assert!(turn != PANICS, "cannot send {request:?}");
            request
        })
        .map_result(move |answer| {
            if answered.load(Ordering::Relaxed) == BROKEN {
                return Err(UpstreamError("connection reset"));
            }
            answer
        })
        .service(studio.upstream());

    let mut said = format!("{layer:?} {service:?} {limiter:?}");
    for _ in 0..20 {
        // In a task, so that a panic ends nothing but the request.
        match tokio::spawn(service.clone().oneshot(chat(MAX))).await {
            Ok(Ok(response)) => {
                let extensions = response.extensions();
                let (trail, verdict) = (extensions.get::<Trail>(), extensions.get::<Classified>());
                write!(said, "{:?} {trail:?} {verdict:?}", response.headers()).unwrap();
            }
            Ok(Err(error)) => write!(said, "broken: {error} {error:?}").unwrap(),
            Err(error) => write!(said, "panicked: {error} {error:?}").unwrap(),
        }
        write!(said, "{pool:?} {:?}", pool.snapshot()).unwrap();
    }
    shown.add(&said);
    let seen = studio.seen();
    assert!(
        seen.iter()
            .any(|sent| sent.key == SECRETS[2] && sent.refused),
        "the revoked key is used"
    );
}

#[test]
fn no_part_of_a_secret_is_shown() {
    let shown = Shown::default();
    let panics = shown.clone();
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| panics.add(&panic.to_string())));
    let events = shown.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || events.clone())
        .finish();
    let recorder = DebuggingRecorder::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    tracing::subscriber::with_default(subscriber, || {
        metrics::with_local_recorder(&recorder, || runtime.block_on(run(&shown)));
    });
    for (key, ..) in recorder.snapshotter().snapshot().into_vec() {
        shown.add(&format!("metric: {:?}", key.key()));
    }
    panic::set_hook(usual);

    let shown = shown.0.lock().unwrap();
    for part in [
        "cannot send",
        "broken: ",
        "panicked: ",
        "metric: ",
        "key_rotation_layer",
        "authorization",
    ] {
        assert!(
            shown.contains(part),
            "nothing of `{part}` is shown: {shown}"
        );
    }
    for secret in SECRETS {
        for start in 0..=secret.len() - 8 {
            assert!(!shown.contains(&secret[start..start + 8]), "{shown}");
        }
    }
}
