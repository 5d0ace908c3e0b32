//! What those who trace are told.

use std::io;
use std::sync::{Arc, Mutex};

use test_support::{Upstream, ok, throttled_for};
use tower::{Layer, ServiceExt};

use crate::{layer, request};

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

/// In a process of its own: whether anybody listens to an event is remembered for all threads, and the
/// other tests, to which nobody listens, run in them.
#[test]
fn every_decision_on_a_refusal_is_an_event_with_its_reason() {
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

#[tokio::test(start_paused = true)]
#[ignore = "the test before runs it"]
async fn events() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    for upstream in [
        Upstream::new([throttled_for(7), ok()]),
        Upstream::new([throttled_for(61)]),
    ] {
        layer().layer(upstream).oneshot(request()).await.unwrap();
    }
    drop(guard);

    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let events: Vec<_> = text
        .lines()
        .filter(|line| line.contains("retry_429_layer"))
        .collect();
    assert_eq!(events.len(), 2, "{text}");
    assert!(
        events[0].contains("sending again attempt=1 after=7s why=\"as stated\""),
        "{text}"
    );
    assert!(
        events[1]
            .contains("handing a refusal back attempt=1 why=\"the wait is longer than max_delay\""),
        "{text}"
    );
}
