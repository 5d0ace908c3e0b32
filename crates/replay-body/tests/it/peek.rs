//! Looking into a body and handing it on whole.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use http_body_util::{BodyExt, Full};
use replay_body::{Peek, PeekBody};
use test_support::{BodyError, NotUnpin, Steps, event};
use tokio::time::{Instant, timeout};

use crate::support::{read, trailers};

#[tokio::test]
async fn reads_a_short_body_to_its_end() {
    let peeked = Peek::new(Steps::new().data("slow ").data("down"), 64).await;
    assert_eq!(peeked.head(), "slow down");
    assert!(peeked.is_complete());
    assert!(peeked.trailers().is_none() && peeked.error().is_none());

    let body = peeked.into_body();
    assert_eq!(body.size_hint().exact(), Some(9));
    assert_eq!(read(body, true).await.data, b"slow down");
}

#[tokio::test]
async fn reads_no_frame_past_its_limit() {
    let frames = || Steps::new().data("ab").data("cd").data("ef").never();
    for (limit, head) in [(0, ""), (1, "ab"), (2, "ab"), (3, "abcd"), (5, "abcdef")] {
        let peeked = Peek::new(frames(), limit).await;
        assert_eq!(peeked.head(), head);
        assert!(!peeked.is_complete());
    }
}

#[tokio::test]
async fn is_complete_if_the_limit_is_met_by_a_body_that_says_it_has_ended() {
    let peeked = Peek::new(Steps::new().data("ab").stating_its_size(), 2).await;
    assert!(peeked.is_complete());
    let ended = Peek::new(Full::<Bytes>::default(), 0).await;
    assert!(ended.is_complete());
    assert!(ended.into_body().is_end_stream());
}

#[tokio::test]
async fn stops_at_trailers_and_yields_them_again() {
    let peeked = Peek::new(Steps::new().data("a").trailers(trailers()), 64).await;
    assert_eq!(peeked.trailers(), Some(&trailers()));
    assert!(peeked.is_complete());

    let body = peeked.into_body();
    assert!(!body.is_end_stream());
    let all = read(body, true).await;
    assert_eq!((all.data, all.trailers), (b"a".to_vec(), Some(trailers())));
}

#[tokio::test]
async fn keeps_an_error_for_its_place() {
    let peeked = Peek::new(Steps::new().data("half").error("reset").stating(20), 64).await;
    assert_eq!(peeked.error(), Some(&BodyError("reset")));
    assert!(!peeked.is_complete());

    let body = peeked.into_body();
    // Framed by the four bytes there are, it would look whole to whom it is sent.
    assert_eq!(body.size_hint().exact(), Some(20));
    let all = read(body, false).await;
    assert_eq!(all.data, b"half");
    assert_eq!(all.error, Some(BodyError("reset")));
}

#[tokio::test(start_paused = true)]
async fn holds_a_stream_no_longer_than_to_what_it_waits_for() {
    let first = event("{}");
    let (some, rest) = first.split_at(5);
    let stream = Steps::new()
        .wait(Duration::from_secs(1))
        .data(some.to_owned())
        .wait(Duration::from_secs(1))
        .data(rest.to_owned())
        .wait(Duration::from_secs(3600))
        .data(event("[DONE]"));

    let start = Instant::now();
    let has_event = |head: &[u8]| head.windows(2).any(|two| two == b"\n\n");
    let peeked = Peek::new(stream, 64 * 1024).until(has_event).await;
    assert_eq!(start.elapsed(), Duration::from_secs(2));
    assert_eq!(peeked.head(), &first);
    assert!(!peeked.is_complete());

    let all = read(peeked.into_body(), true).await;
    assert_eq!(all.data, format!("{first}{}", event("[DONE]")).into_bytes());
}

#[tokio::test(start_paused = true)]
async fn goes_on_where_it_was_after_losing_a_race() {
    let minute = Duration::from_secs(60);
    let body = Steps::new().data("a").wait(minute).data("b");
    let mut peek = Peek::new(body, 64);

    let second = Duration::from_secs(1);
    assert!(timeout(second, &mut peek).await.is_err());
    assert!(timeout(second, &mut peek).await.is_err());
    assert_eq!(peek.await.head(), "ab");
}

#[tokio::test]
async fn is_pending_when_polled_after_completion() {
    let mut peek = pin!(Peek::new(Steps::new(), 64));
    let _ = peek.as_mut().await;
    assert!(matches!(futures_poll(peek.as_mut()), Poll::Pending));
}

fn futures_poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    future.poll(&mut cx)
}

#[tokio::test]
async fn an_untouched_body_passes_as_it_is() {
    let body = Steps::new().data("a").data("b").stating_its_size();
    let mut body = pin!(PeekBody::new(NotUnpin::new(body)));
    assert_eq!(body.size_hint().exact(), Some(2));
    for expected in ["a", "b"] {
        assert!(!body.is_end_stream());
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), expected);
    }
    assert!(body.is_end_stream());
}

#[tokio::test]
async fn a_body_that_is_not_unpin_is_peeked_into_too() {
    let body = NotUnpin::new(Steps::every_byte("abc"));
    let peeked = Peek::new(body, 1).await;
    assert_eq!(read(peeked.into_body(), true).await.data, b"abc");
}

#[tokio::test]
async fn a_body_can_be_peeked_into_again() {
    let body = Steps::new().data("abc").trailers(trailers());
    let body = Peek::new(body, 1).await.into_body();
    let body = Peek::new(body, 64).await.into_body();
    let all = read(body, true).await;
    assert_eq!(
        (all.data, all.trailers),
        (b"abc".to_vec(), Some(trailers()))
    );
}

#[tokio::test]
async fn a_body_can_be_made_from_memory() {
    let full = PeekBody::<Steps>::full(Bytes::from("429"));
    assert_eq!(full.size_hint().exact(), Some(3));
    assert_eq!(read(full, true).await.data, b"429");
    assert!(PeekBody::<Steps>::empty().is_end_stream());
}

#[tokio::test]
async fn one_frame_is_not_copied() {
    let data = Bytes::from(vec![7; 100]);
    let peeked = Peek::new(Full::new(data.clone()), 64).await;
    assert_eq!(peeked.head().as_ptr(), data.as_ptr());
    let again = peeked.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(again.as_ptr(), data.as_ptr());
}
