//! What the features emit.

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use rate_limit_layer::{Limiter, Quota};
use test_support::{Events, Upstream, alone, ok, throttled};
use throttle_signal::StartBy;
use tokio::time::Instant;
use tracing::Level;

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

#[test]
fn events_tell_of_waits_and_refusals() {
    alone("watch::events");
}

#[test]
#[ignore = "the test before runs it"]
fn events() {
    let events = Events::listen(Level::TRACE);
    run();
    let events = events.of("rate_limit_layer");
    assert_eq!(events.len(), 3, "{events:?}");
    assert!(
        events[0].contains("DEBUG")
            && events[0].contains("refused")
            && events[0].contains("paced=true"),
        "{events:?}"
    );
    assert!(
        events[1].contains("TRACE") && events[1].contains("sent after a wait"),
        "{events:?}"
    );
    assert!(
        events[2].contains("handed back") && events[2].contains("model=\"m\""),
        "{events:?}"
    );
}
