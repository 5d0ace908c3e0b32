//! Bodies that can be sent again, and those that cannot.

use bytes::Bytes;
use http_body::Body;
use http_body_util::{BodyExt, Empty, Full};
use replay_body::{Replay, ReplayBody};
use test_support::{BodyError, NotUnpin, Steps};

use crate::support::{read, trailers};

type Teed = ReplayBody<Steps>;

#[test]
fn full_and_empty_bodies_are_replayable() {
    let full = Full::new(Bytes::from("hello"));
    assert_eq!(full.bytes().unwrap(), "hello");
    assert_eq!(full.replay().unwrap().bytes().unwrap(), "hello");
    assert_eq!(full.keep().replay().unwrap().bytes().unwrap(), "hello");
    assert_eq!(full.bytes().unwrap(), "hello"); // asking takes nothing away

    assert_eq!(Full::<Bytes>::default().bytes().unwrap(), "");
    assert_eq!(Empty::<Bytes>::new().bytes().unwrap(), "");
    assert!(Empty::<Bytes>::new().replay().is_some());
}

#[tokio::test]
async fn a_complete_body_is_replayed_from_its_first_byte_with_its_trailers() {
    let mut body = Teed::complete(Bytes::from("hello"), Some(trailers()));
    body.frame().await.unwrap().unwrap();

    let again = read(body.replay().unwrap(), true).await;
    assert_eq!(again.data, b"hello");
    assert_eq!(again.trailers, Some(trailers()));
    assert_eq!(body.bytes().unwrap(), "hello");

    let rest = read(body, true).await;
    assert_eq!(rest.data, b"");
    assert_eq!(rest.trailers, Some(trailers()));
}

#[tokio::test]
async fn a_flowing_body_is_replayable_once_it_has_ended() {
    let body = Steps::new().data("he").data("llo").trailers(trailers());
    let mut body = Teed::tee(body, 5);
    let kept = body.keep();
    for _ in 0..2 {
        assert!(body.replay().is_none());
        assert!(body.bytes().is_none());
        assert!(kept.replay().is_none());
        body.frame().await.unwrap().unwrap();
    }
    assert!(kept.replay().is_none()); // the trailers are still to come

    body.frame().await.unwrap().unwrap();
    assert!(body.is_complete());
    assert_eq!(body.bytes().unwrap(), "hello");
    drop(body);
    let again = read(kept.replay().unwrap(), true).await;
    assert_eq!(
        (again.data, again.trailers),
        (b"hello".to_vec(), Some(trailers()))
    );
}

#[tokio::test]
async fn a_body_that_says_it_has_ended_need_not_be_polled_again() {
    // hyper stops reading there.
    let mut body = Teed::tee(Steps::new().data("all").stating_its_size(), 5);
    body.frame().await.unwrap().unwrap();
    assert!(body.is_end_stream());
    assert_eq!(body.bytes().unwrap(), "all");
}

#[tokio::test]
async fn an_empty_stream_is_replayable_once_it_has_ended() {
    // A replay flag that is set by the first data would never be set here.
    let mut body = Teed::tee(Steps::new(), 5);
    let kept = body.keep();
    assert!(kept.replay().is_none());
    assert!(body.frame().await.is_none());
    assert_eq!(kept.replay().unwrap().bytes().unwrap(), "");
}

#[tokio::test]
async fn a_body_over_its_cap_flows_on_and_is_not_replayable() {
    let body = Teed::tee(Steps::new().data("hello").data("!").data("?"), 5);
    let kept = body.keep();
    assert_eq!(read(body, true).await.data, b"hello!?");
    assert!(kept.replay().is_none());

    let known = Teed::tee(Steps::new().data("hello!").stating_its_size(), 5);
    let kept = known.keep();
    assert_eq!(known.size_hint().exact(), Some(6));
    assert_eq!(read(known, true).await.data, b"hello!");
    assert!(kept.replay().is_none());
}

#[tokio::test]
async fn a_part_of_a_body_is_never_replayed_as_the_whole() {
    let body = Teed::tee(Steps::new().data("half").error("reset"), 100);
    let failed = body.keep();
    assert_eq!(read(body, false).await.error, Some(BodyError("reset")));
    assert!(failed.replay().is_none());

    // Polled on after its error it ends, which makes it no more whole.
    let mut body = Teed::tee(Steps::new().data("half").error("reset"), 100);
    let kept = body.keep();
    while body.frame().await.is_some() {}
    assert!(kept.replay().is_none());

    let mut body = Teed::tee(Steps::new().data("half").data("half"), 100);
    let dropped = body.keep();
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert!(dropped.replay().is_none());
}

#[tokio::test]
async fn a_body_that_is_not_unpin_is_recorded_too() {
    let body = ReplayBody::tee(NotUnpin::new(Steps::new().data("hello")), 5);
    let kept = body.keep();
    assert_eq!(read(body, true).await.data, b"hello");
    assert_eq!(kept.replay().unwrap().bytes().unwrap(), "hello");
}

#[test]
fn a_body_that_has_ended_is_complete_at_once() {
    let body = Teed::tee(Steps::new().stating_its_size(), 0);
    assert!(body.is_end_stream());
    assert_eq!(body.bytes().unwrap(), "");

    let default = Teed::default();
    assert!(default.is_end_stream() && default.is_complete());
    assert_eq!(Teed::from(Bytes::from("a")).bytes().unwrap(), "a");
}
