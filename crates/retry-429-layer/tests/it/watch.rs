//! What those who trace are told.

use test_support::{Events, Upstream, alone, ok, throttled_for};
use tower::{Layer, ServiceExt};
use tracing::Level;

use crate::{layer, request};

#[test]
fn every_decision_on_a_refusal_is_an_event_with_its_reason() {
    alone("watch::events");
}

#[tokio::test(start_paused = true)]
#[ignore = "the test before runs it"]
async fn events() {
    let events = Events::listen(Level::DEBUG);
    for upstream in [
        Upstream::new([throttled_for(7), ok()]),
        Upstream::new([throttled_for(61)]),
    ] {
        layer().layer(upstream).oneshot(request()).await.unwrap();
    }
    let events = events.of("retry_429_layer");
    assert_eq!(events.len(), 2, "{events:?}");
    assert!(
        events[0].contains("sending again attempt=1 after=7s why=\"as stated\""),
        "{events:?}"
    );
    assert!(
        events[1]
            .contains("handing a refusal back attempt=1 why=\"the wait is longer than max_delay\""),
        "{events:?}"
    );
}
