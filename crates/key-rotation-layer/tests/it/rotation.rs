//! A pool of two accounts and the layer over it, for the other files.

use std::time::Duration;

use http::Response;
use key_rotation_layer::{KeyPool, KeyRotation, KeyRotationLayer};
use throttle_signal::{Classified, Kind, Scope, Throttle, Trail, Wait};
use tower::{Layer, ServiceExt};

use crate::upstream::{Body, Seen, Upstream, request, throttle};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn pool() -> KeyPool {
    KeyPool::builder()
        .account("a", ["sk-a1", "sk-a2"])
        .account("b", ["sk-b1"])
        .build()
        .unwrap()
}

pub(crate) fn service(
    pool: &KeyPool,
    answer: impl Fn(&Seen) -> Response<Body> + Send + Sync + 'static,
) -> KeyRotation<Upstream> {
    KeyRotationLayer::new(pool.clone()).layer(Upstream::new(answer))
}

pub(crate) type Answer = Response<replay_body::PeekBody<Body>>;

pub(crate) async fn send(service: &KeyRotation<Upstream>) -> Answer {
    service.clone().oneshot(request()).await.unwrap()
}

pub(crate) fn verdict(response: &Answer) -> Throttle {
    Classified::throttle(response.extensions()).unwrap().clone()
}

pub(crate) fn trail(response: &Answer) -> Trail {
    response.extensions().get::<Trail>().unwrap().clone()
}

pub(crate) fn rate(wait: Wait) -> Throttle {
    throttle(Kind::RequestRate, Scope::Model).with_wait(wait)
}
