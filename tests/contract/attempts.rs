//! One attempt is over before the next begins, however it ended.

use std::task::{Context, Poll};

use fallback_layer::{Candidate, FallbackLayer};
use http::StatusCode;
use retry_429_layer::{Backoff, Retry429Layer, WithErrors};
use test_support::{Answer, Seen, Upstream, UpstreamError, ok, throttled_for, with_status};
use tokio::time::sleep;
use tokio_test::{assert_pending, task};
use tower::{Layer, Service, ServiceExt};

use crate::laws::{Chat, SECOND, an_error_of_readiness_is_kept_at_a_later_attempt, chat};

#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_is_kept_when_sent_again() {
    let layer = crate::retry_429();
    an_error_of_readiness_is_kept_at_a_later_attempt(layer, throttled_for(1)).await;
}

#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_is_kept_at_the_next_account() {
    let layer = crate::key_rotation();
    an_error_of_readiness_is_kept_at_a_later_attempt(layer, throttled_for(1)).await;
}

#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_is_kept_at_the_last_candidate() {
    let refusal = with_status(StatusCode::SERVICE_UNAVAILABLE);
    let layer = crate::fallback();
    an_error_of_readiness_is_kept_at_a_later_attempt(layer, refusal).await;
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_takes_too_long_is_left_before_the_next_is_asked() {
    let upstream = Upstream::answering(|seen: &Seen| {
        let body = seen.body().as_deref().unwrap_or_default();
        if body.starts_with(br#"{"model":"qwen3-max""#) {
            return Answer::never();
        }
        Answer::from(ok()).after(SECOND)
    });
    let layer = FallbackLayer::new([
        Candidate::model("qwen3-max").first_byte(SECOND),
        Candidate::model("qwen-plus"),
    ]);
    let mut sent = task::spawn(layer.layer(upstream.clone()).oneshot(chat()));
    assert_pending!(sent.poll());
    assert_eq!((upstream.arrivals().len(), upstream.in_flight()), (1, 1));
    sleep(SECOND + SECOND / 2).await;
    assert_pending!(sent.poll());
    assert_eq!((upstream.arrivals().len(), upstream.in_flight()), (2, 1));
    sleep(2 * SECOND).await;
    assert_eq!(sent.await.unwrap().status(), StatusCode::OK);
}

/// A service that is never ready and says why.
#[derive(Clone)]
struct Door {
    broken: bool,
    inner: Upstream,
}

impl Service<Chat> for Door {
    type Response = <Upstream as Service<Chat>>::Response;
    type Error = UpstreamError;
    type Future = <Upstream as Service<Chat>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        if self.broken {
            return Poll::Ready(Err(UpstreamError("closed")));
        }
        Service::<Chat>::poll_ready(&mut self.inner, cx)
    }

    fn call(&mut self, request: Chat) -> Self::Future {
        self.inner.call(request)
    }
}

/// Whether it shows when asked for readiness or when called, an error moves on or comes back.
#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_is_treated_like_one_of_a_call() {
    let called = |first| {
        let upstream = Upstream::new([Answer::error("closed")]);
        let (broken, inner) = (false, upstream);
        if first {
            Door { broken, inner }
        } else {
            let (broken, inner) = (true, Upstream::silent());
            Door { broken, inner }
        }
    };
    for of_a_call in [true, false] {
        let other = Door {
            broken: false,
            inner: Upstream::answering(|_| ok()),
        };
        let layer = FallbackLayer::new([Candidate::named("one")]);
        let kept = layer
            .layer(called(of_a_call))
            .or(Candidate::named("other"), other.clone());
        let error = kept.oneshot(chat()).await.map(drop).unwrap_err();
        assert_eq!(error, UpstreamError("closed"));

        let moves_on = FallbackLayer::new([Candidate::named("one")])
            .on_error(|error| *error == UpstreamError("closed"));
        let moved = moves_on
            .layer(called(of_a_call))
            .or(Candidate::named("other"), other);
        assert_eq!(moved.oneshot(chat()).await.unwrap().status(), 200);
    }
}

/// tower has an instance that failed to become ready be thrown away: it is not asked again, whatever
/// the policy says of such errors.
#[tokio::test(start_paused = true)]
async fn an_instance_that_failed_is_not_asked_again() {
    let policy = WithErrors::new(Backoff::new(), |_: &UpstreamError| true);
    let door = Door {
        broken: true,
        inner: Upstream::silent(),
    };
    let service = Retry429Layer::with_policy(policy).layer(door);
    let error = service.oneshot(chat()).await.map(drop).unwrap_err();
    assert_eq!(error, UpstreamError("closed"));
}
