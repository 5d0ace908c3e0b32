//! What the features emit: enough to see what happens, and no secret.

use std::time::Duration;

use key_rotation_layer::{KeyPool, KeyRotationLayer};
use test_support::{Events, alone};
use throttle_signal::{Kind, Scope, Wait};
use tower::{Layer, ServiceExt};
use tracing::Level;

use crate::upstream::{Upstream, refused, request, throttle};

const SECRET: &str = "sk-5b8e1f0c9a7d4e6b3f2a";

/// Two accounts are refused; then all are out.
async fn run() {
    let pool = KeyPool::builder()
        .account("a", [SECRET])
        .account("b", ["sk-b-0123456789"])
        .build()
        .unwrap();
    let wait = Wait::Stated(Duration::from_secs(60));
    let upstream =
        Upstream::new(move |_| refused(throttle(Kind::RequestRate, Scope::Model).with_wait(wait)));
    let service = KeyRotationLayer::new(pool).layer(upstream);
    for _ in 0..2 {
        service.clone().oneshot(request()).await.unwrap();
    }
}

#[test]
fn events_tell_what_was_refused_and_what_is_done() {
    alone("watch::events");
}

#[tokio::test(start_paused = true)]
#[ignore = "the test before runs it"]
async fn events() {
    let events = Events::listen(Level::TRACE);
    run().await;
    let text = events.text();
    let events = events.of("key_rotation_layer");
    assert_eq!(events.len(), 3, "{text}");
    assert!(
        events[0].contains("refused account=a")
            && events[0].contains(r#"decision="next" next="b""#),
        "{text}"
    );
    assert!(
        events[1].contains("account=b") && events[1].contains(r#"decision="up""#),
        "{text}"
    );
    assert!(
        events[2].contains("all accounts are out") && events[2].contains("60s"),
        "{text}"
    );
    for start in 0..=SECRET.len() - 8 {
        assert!(!text.contains(&SECRET[start..start + 8]), "{text}");
    }
}

#[test]
fn counters_count_refusals_and_times_all_are_out() {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(run());
    });
    let mut counts: Vec<_> = recorder
        .snapshotter()
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, _, value)| {
            let labels: Vec<_> = key
                .key()
                .labels()
                .map(|label| format!("{}={}", label.key(), label.value()))
                .collect();
            let DebugValue::Counter(count) = value else {
                panic!("a counter")
            };
            format!("{}{{{}}} {count}", key.key().name(), labels.join(","))
        })
        .collect();
    counts.sort();
    assert_eq!(
        counts,
        [
            "key_rotation_all_out_total{kind=request_rate} 1",
            "key_rotation_refusals_total{account=a,kind=request_rate,decision=next} 1",
            "key_rotation_refusals_total{account=b,kind=request_rate,decision=up} 1",
        ]
    );
}
