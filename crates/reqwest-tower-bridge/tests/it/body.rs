//! Bodies in memory stay in memory; streams stream.

use std::convert::Infallible;
use std::future::ready;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use http::{Extensions, HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use replay_body::{Replay, ReplayLayer};
use reqwest::Client;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use reqwest_tower_bridge::{LayerMiddleware, NextLayer, RequestBody};
use tower::util::MapRequestLayer;

use crate::server::serve;

/// A stream of so many frames that does not know its length.
#[derive(Default)]
struct Frames(u8);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or_default();
        Poll::Ready(left.map(|_| Ok(Frame::data(Bytes::from_static(b"frame ")))))
    }
}

/// What a layer and the middleware below it know of a body.
#[derive(Debug, Default, Eq, PartialEq)]
struct Seen {
    bytes: Option<Bytes>,
    replays: bool,
    hint: Option<u64>,
    below: Option<Bytes>,
}

/// Sends `body` through `layer`, and says what was seen on the way and what arrived.
async fn send<L>(layer: L, body: reqwest::Body) -> (Seen, String)
where
    L: for<'a> NextLayer<'a> + Send + Sync + 'static,
{
    let addr = serve(Router::new().route("/", post(async |body: String| body))).await;
    let seen = Arc::new(Mutex::new(Seen::default()));
    let (at_layer, at_bottom) = (Arc::clone(&seen), Arc::clone(&seen));
    let spy = MapRequestLayer::new(move |request: Request<RequestBody>| {
        let mut seen = at_layer.lock().unwrap();
        seen.bytes = request.body().bytes();
        seen.replays = request.body().replay().is_some();
        seen.hint = request.body().size_hint().exact();
        request
    });
    let bottom = MapRequestLayer::new(move |request: Request<RequestBody>| {
        at_bottom.lock().unwrap().below = request.body().bytes();
        request
    });
    let client: ClientWithMiddleware = ClientBuilder::new(Client::new())
        .with(LayerMiddleware::new(spy))
        .with(LayerMiddleware::new(layer))
        .with(LayerMiddleware::new(bottom))
        .build();
    let response = client
        .post(format!("http://{addr}/"))
        .body(body)
        .send()
        .await
        .unwrap();
    let text = response.text().await.unwrap();
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    (seen, text)
}

#[tokio::test]
async fn a_body_in_memory_is_at_hand_as_a_whole_and_stays_so_below() {
    let (seen, text) = send(tower::layer::util::Identity::new(), "hello".into()).await;
    let hello = Some(Bytes::from("hello"));
    assert_eq!(
        seen,
        Seen {
            bytes: hello.clone(),
            replays: true,
            hint: Some(5),
            below: hello
        }
    );
    assert_eq!(text, "hello");
}

#[tokio::test]
async fn a_body_in_memory_is_not_copied() {
    let data = Bytes::from(vec![b'x'; 1 << 16]);
    let (seen, _) = send(tower::layer::util::Identity::new(), data.clone().into()).await;
    assert_eq!(seen.below.unwrap().as_ptr(), data.as_ptr());
}

#[tokio::test]
async fn a_stream_passes_and_is_not_replayed() {
    let (seen, text) = send(
        tower::layer::util::Identity::new(),
        reqwest::Body::wrap(Frames(3)),
    )
    .await;
    assert_eq!(seen, Seen::default());
    assert_eq!(text, "frame frame frame ");
}

/// Frames that state their size.
struct Sized(Frames);

impl Body for Sized {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::from(self.0.0) * 6)
    }
}

#[tokio::test]
async fn a_body_that_a_layer_collects_is_in_memory_below() {
    let (seen, text) = send(
        ReplayLayer::new(1 << 10),
        reqwest::Body::wrap(Sized(Frames(2))),
    )
    .await;
    assert_eq!(seen.bytes, None);
    assert_eq!(seen.below, Some(Bytes::from("frame frame ")));
    assert_eq!(text, "frame frame ");
}

#[tokio::test]
async fn the_trailers_of_a_body_that_a_layer_collects_go_down_with_it() {
    let trailers = HeaderMap::from_iter([("x-end".parse().unwrap(), "kept".parse().unwrap())]);
    let body = Sized(Frames(2)).with_trailers(ready(Some(Ok(trailers))));
    let seen = Arc::new(Mutex::new(None));
    let bottom = Bottom(Arc::clone(&seen));
    let client = ClientBuilder::new(Client::new())
        .with(LayerMiddleware::new(ReplayLayer::new(1 << 10)))
        .with(bottom)
        .build();
    let request = client.post("http://nobody.invalid/");
    request
        .body(reqwest::Body::wrap(body))
        .send()
        .await
        .unwrap();
    let body = seen.lock().unwrap().take().unwrap();
    let body = body.collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["x-end"], "kept");
    assert_eq!(body.to_bytes(), "frame frame ");
}

/// Answers without a network and keeps the body it was sent.
struct Bottom(Arc<Mutex<Option<reqwest::Body>>>);

#[async_trait::async_trait]
impl Middleware for Bottom {
    async fn handle(
        &self,
        mut request: reqwest::Request,
        _: &mut Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        *self.0.lock().unwrap() = request.body_mut().take();
        Ok(Response::new("").into())
    }
}

#[tokio::test]
async fn a_layer_may_change_the_body() {
    let full = MapRequestLayer::new(|request: Request<RequestBody>| {
        request.map(|_| Full::new(Bytes::from("full")))
    });
    let (seen, text) = send(full, "hello".into()).await;
    assert_eq!(seen.below, Some(Bytes::from("full")));
    assert_eq!(text, "full");

    let own = MapRequestLayer::new(|request: Request<RequestBody>| {
        request.map(|_| reqwest::Body::from("own"))
    });
    let (seen, text) = send(own, "hello".into()).await;
    assert_eq!(seen.below, Some(Bytes::from("own")));
    assert_eq!(text, "own");

    let frames = MapRequestLayer::new(|request: Request<RequestBody>| request.map(|_| Frames(1)));
    let (seen, text) = send(frames, "hello".into()).await;
    assert_eq!(seen.below, None);
    assert_eq!(text, "frame ");
}
