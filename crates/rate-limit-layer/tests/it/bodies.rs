//! What the wrapped response body tells.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Body as _;
use http_body_util::{BodyExt, Full};
use rate_limit_layer::{Limiter, Quota, RateLimitLayer, ResponseBody};
use test_support::{Steps, Upstream};
use tower::{Layer, ServiceExt};

use crate::support::Body;

async fn response(body: impl Fn() -> Steps + Send + 'static) -> Response<ResponseBody<Steps>> {
    let upstream = Upstream::answering(move |_| {
        let mut response = Response::new(body());
        response.headers_mut().insert(
            "content-type",
            HeaderValue::from_static("text/event-stream"),
        );
        response
    });
    let limiter = Limiter::new(Quota::new().tokens_per_minute(1000));
    let request = Request::new(Full::<Bytes>::default());
    RateLimitLayer::new(limiter)
        .layer(upstream)
        .oneshot(request)
        .await
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn data_trailers_and_errors_come_as_they_are() {
    let trailers = HeaderMap::from_iter([(http::header::ETAG, HeaderValue::from_static("x"))]);
    let sent = trailers.clone();
    let body = response(move || Steps::new().data("a").data("b").trailers(sent.clone()))
        .await
        .into_body();
    let collected = body.collect().await.unwrap();
    assert_eq!(collected.trailers(), Some(&trailers));
    assert_eq!(collected.to_bytes(), "ab");

    let mut body = response(|| Steps::new().data("a").error("torn"))
        .await
        .into_body();
    assert_eq!(
        body.frame().await.unwrap().unwrap().into_data().unwrap(),
        "a"
    );
    assert_eq!(body.frame().await.unwrap().unwrap_err().0, "torn");
}

#[tokio::test(start_paused = true)]
async fn the_size_and_the_end_are_told() {
    let body = response(|| Steps::new().data("four").stating_its_size())
        .await
        .into_body();
    assert_eq!(body.size_hint().exact(), Some(4));
    assert!(!body.is_end_stream());
    assert!(ResponseBody::<Body>::default().is_end_stream());
}
