//! What the features emit.

use std::io;
use std::sync::{Arc, Mutex};

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use rate_limit_layer::{Limiter, Quota};
use test_support::{Upstream, ok, throttled};
use throttle_signal::StartBy;
use tokio::time::Instant;

use crate::support::{chat, ms, send, service};

/// One is refused, one waits, one is handed back.
fn run() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut count = 0;
        let upstream = Upstream::answering(move |_| {
            count += 1;
            if count == 1 { throttled() } else { ok() }
        });
        let limiter = Limiter::builder()
            .default_quota(Quota::new().requests_per_second(1))
            .guard(ms(0))
            .build();
        let service = service(&limiter, &upstream);
        send(&service, chat("m", 9)).await.unwrap().unwrap();
        send(&service, chat("m", 9)).await.unwrap().unwrap();
        let mut late = chat("m", 9);
        late.extensions_mut().insert(StartBy(Instant::now()));
        send(&service, late).await.unwrap().unwrap();
    });
}

#[test]
fn metrics_count_waits_and_refusals() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, run);
    let metrics = snapshotter.snapshot().into_vec().into_iter();
    let mut seen: Vec<_> = metrics
        .map(|(key, _, _, value)| {
            let value = match value {
                DebugValue::Counter(count) => format!("{count}"),
                DebugValue::Histogram(values) => format!("{values:?}"),
                DebugValue::Gauge(value) => format!("{value}"),
            };
            let labels: Vec<_> = key
                .key()
                .labels()
                .map(|label| format!("{}={}", label.key(), label.value()))
                .collect();
            format!("{} {} {value}", key.key().name(), labels.join(","))
        })
        .collect();
    seen.sort();
    assert_eq!(
        seen,
        [
            "rate_limit_handed_back_total account=,model=m,kind=request_rate 1",
            "rate_limit_refusals_total account=,model=m,kind=request_rate 1",
            "rate_limit_wait_seconds account=,model=m [1.0]",
        ]
    );
}

/// In a process of its own: whether anybody listens to an event is remembered for all threads, and
/// the other tests, to which nobody listens, run in them.
#[test]
fn events_tell_of_waits_and_refusals() {
    let alone = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["watch::events", "--exact", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&alone.stdout);
    assert!(
        alone.status.success() && said.contains("1 passed"),
        "{said}"
    );
}

#[test]
#[ignore = "the test before runs it"]
fn events() {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    tracing::subscriber::with_default(subscriber, run);

    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let events: Vec<_> = text
        .lines()
        .filter(|line| line.contains("rate_limit_layer"))
        .collect();
    assert_eq!(events.len(), 3, "{text}");
    assert!(
        events[0].contains("DEBUG")
            && events[0].contains("refused")
            && events[0].contains("paced=true"),
        "{text}"
    );
    assert!(
        events[1].contains("TRACE") && events[1].contains("sent after a wait"),
        "{text}"
    );
    assert!(
        events[2].contains("handed back") && events[2].contains("model=\"m\""),
        "{text}"
    );
}
