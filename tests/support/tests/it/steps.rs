use std::pin::pin;
use std::time::Duration;

use http::HeaderMap;
use http_body::Body;
use http_body_util::BodyExt;
use test_support::{BodyError, NotUnpin, Steps};
use tokio::time::{Instant, timeout};

#[tokio::test(start_paused = true)]
async fn does_step_by_step_what_it_is_told() {
    let trailers = HeaderMap::from_iter([("a".parse().unwrap(), "b".parse().unwrap())]);
    let body = Steps::new()
        .data("one")
        .wait(Duration::from_secs(3))
        .data("two")
        .error("reset")
        .trailers(trailers.clone())
        .never();
    let mut body = pin!(NotUnpin::new(body));
    let start = Instant::now();

    let frame = body.frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "one");
    let frame = body.frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "two");
    assert_eq!(start.elapsed(), Duration::from_secs(3));
    assert_eq!(body.frame().await.unwrap().unwrap_err(), BodyError("reset"));
    let frame = body.frame().await.unwrap().unwrap();
    assert_eq!(frame.into_trailers().unwrap(), trailers);
    assert!(
        timeout(Duration::from_secs(60), body.frame())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn states_a_size_only_when_told_to() {
    let body = Steps::new().data("four").data("more");
    assert_eq!(body.size_hint().exact(), None);
    assert!(!Steps::new().is_end_stream());

    let mut body = body.stating_its_size();
    assert_eq!(body.size_hint().exact(), Some(8));
    body.frame().await;
    assert_eq!(body.size_hint().exact(), Some(4));
    assert!(!body.is_end_stream());
    body.frame().await;
    assert!(body.is_end_stream());
}

#[tokio::test]
async fn splits_at_every_byte() {
    let mut body = Steps::every_byte("abc");
    let mut frames = Vec::new();
    while let Some(frame) = body.frame().await {
        frames.push(frame.unwrap().into_data().unwrap());
    }
    assert_eq!(frames, ["a", "b", "c"]);
}
