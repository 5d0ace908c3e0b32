//! The timeout of a request is the caller's: it covers waits and attempts together.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Extensions, Request, Response};
use reqwest::Client;
use reqwest_middleware::{ClientBuilder, Middleware, Next};
use reqwest_tower_bridge::{LayerMiddleware, RequestBody};
use throttle_signal::Deadline;
use tokio::time::{Instant, sleep};
use tower::filter::AsyncFilterLayer;
use tower::util::MapRequestLayer;
use tower::{BoxError, ServiceBuilder};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Seen {
    deadline: Option<Duration>,
    left: Option<Duration>,
}

/// Answers without a network and notes what timeout was left.
struct Bottom(Arc<Mutex<Seen>>);

#[async_trait::async_trait]
impl Middleware for Bottom {
    async fn handle(
        &self,
        request: reqwest::Request,
        _: &mut Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        self.0.lock().unwrap().left = request.timeout().copied();
        Ok(Response::new("").into())
    }
}

/// Sends a request through a layer that notes the deadline and then takes 3 s.
async fn through_a_wait(timeout: Option<Duration>, deadline: Option<Duration>) -> Seen {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let at_layer = Arc::clone(&seen);
    let start = Instant::now();
    let stack = ServiceBuilder::new()
        .layer(MapRequestLayer::new(
            move |request: Request<RequestBody>| {
                let deadline = request.extensions().get().map(|Deadline(at)| *at - start);
                at_layer.lock().unwrap().deadline = deadline;
                request
            },
        ))
        .layer(AsyncFilterLayer::new(
            async |request: Request<RequestBody>| {
                sleep(3 * SECOND).await;
                Ok::<_, BoxError>(request)
            },
        ));
    let client = ClientBuilder::new(Client::new())
        .with(LayerMiddleware::new(stack))
        .with(Bottom(Arc::clone(&seen)))
        .build();

    let mut request = client.get("http://nobody.invalid/");
    if let Some(timeout) = timeout {
        request = request.timeout(timeout);
    }
    if let Some(deadline) = deadline {
        request = request.with_extension(Deadline(start + deadline));
    }
    request.send().await.unwrap();
    *seen.lock().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_a_deadline_and_an_attempt_gets_what_is_left_of_it() {
    let seen = through_a_wait(Some(10 * SECOND), None).await;
    assert_eq!(
        seen,
        Seen {
            deadline: Some(10 * SECOND),
            left: Some(7 * SECOND)
        }
    );
}

/// As tower's retry does with a policy that clones what it knows of.
#[tokio::test(start_paused = true)]
async fn a_request_that_a_layer_made_anew_has_the_timeout_too() {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let anew = AsyncFilterLayer::new(async |request: Request<RequestBody>| {
        sleep(3 * SECOND).await;
        let (parts, body) = request.into_parts();
        let mut anew = Request::new(body);
        *anew.uri_mut() = parts.uri;
        Ok::<_, BoxError>(anew)
    });
    let client = ClientBuilder::new(Client::new())
        .with(LayerMiddleware::new(anew))
        .with(Bottom(Arc::clone(&seen)))
        .build();
    let request = client.get("http://nobody.invalid/").timeout(10 * SECOND);
    request.send().await.unwrap();
    assert_eq!(seen.lock().unwrap().left, Some(7 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_after_the_timeout_has_no_time_left() {
    let seen = through_a_wait(Some(2 * SECOND), None).await;
    assert_eq!(seen.left, Some(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn without_a_timeout_there_is_neither() {
    assert_eq!(through_a_wait(None, None).await, Seen::default());
}

#[tokio::test(start_paused = true)]
async fn the_earlier_of_deadline_and_timeout_holds() {
    let seen = through_a_wait(Some(10 * SECOND), Some(4 * SECOND)).await;
    assert_eq!(
        seen,
        Seen {
            deadline: Some(4 * SECOND),
            left: Some(7 * SECOND)
        }
    );

    let seen = through_a_wait(Some(4 * SECOND), Some(10 * SECOND)).await;
    assert_eq!(
        seen,
        Seen {
            deadline: Some(4 * SECOND),
            left: Some(SECOND)
        }
    );
}

#[tokio::test(start_paused = true)]
async fn a_timeout_past_all_clocks_is_none() {
    let seen = through_a_wait(Some(Duration::MAX), None).await;
    assert_eq!(
        seen,
        Seen {
            deadline: None,
            left: Some(Duration::MAX)
        }
    );
}
