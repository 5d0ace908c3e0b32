//! Layers that break a law, and the law that notices.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{HeaderMap, Response};
use test_support::{UpstreamError, ok};
use tower::{Layer, Service};

use crate::laws::{self, Chat};

/// What is wrong with a [`Broken`] service.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    CallsAClone,
    AsksInCall,
    ForgetsItsFuture,
    LosesErrors,
    LosesHeaders,
    SpawnsItsCalls,
    WakesItself,
}

#[derive(Clone, Copy, Debug)]
struct Breaking(Fault);

impl<S> Layer<S> for Breaking {
    type Service = Broken<S>;

    fn layer(&self, inner: S) -> Broken<S> {
        let Self(fault) = *self;
        Broken { fault, inner }
    }
}

#[derive(Clone, Debug)]
struct Broken<S> {
    fault: Fault,
    inner: S,
}

impl<S, R> Service<Chat> for Broken<S>
where
    S: Service<
            Chat,
            Response = Response<R>,
            Error: From<UpstreamError> + Send + 'static,
            Future: Send + 'static,
        > + Clone,
    R: Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = BrokenFuture<Response<R>, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Chat) -> Self::Future {
        let fault = self.fault;
        if fault == Fault::CallsAClone {
            self.inner = self.inner.clone();
        }
        if fault == Fault::AsksInCall {
            let mut cx = Context::from_waker(std::task::Waker::noop());
            let _ = self.inner.poll_ready(&mut cx);
        }
        let sent = self.inner.call(request);
        let answer = async move {
            match sent.await {
                Err(_) if fault == Fault::LosesErrors => Err(UpstreamError("lost").into()),
                Ok(mut response) if fault == Fault::LosesHeaders => {
                    *response.headers_mut() = HeaderMap::new();
                    Ok(response)
                }
                answer => answer,
            }
        };
        let answer: Answering<Response<R>, S::Error> = if fault == Fault::SpawnsItsCalls {
            let spawned = tokio::spawn(answer);
            Box::pin(async { spawned.await.unwrap() })
        } else {
            Box::pin(answer)
        };
        BrokenFuture {
            fault,
            answer: Some(answer),
        }
    }
}

type Answering<R, E> = Pin<Box<dyn Future<Output = Result<R, E>> + Send>>;

struct BrokenFuture<R, E> {
    fault: Fault,
    answer: Option<Answering<R, E>>,
}

impl<R, E> Future for BrokenFuture<R, E> {
    type Output = Result<R, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.fault == Fault::WakesItself {
            cx.waker().wake_by_ref();
        }
        let answer = self.answer.as_mut().unwrap();
        answer.as_mut().poll(cx)
    }
}

impl<R, E> Drop for BrokenFuture<R, E> {
    fn drop(&mut self) {
        if self.fault == Fault::ForgetsItsFuture {
            mem::forget(self.answer.take());
        }
    }
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "called without being made ready")]
async fn a_clone_that_is_called_is_noticed() {
    let layer = Breaking(Fault::CallsAClone);
    laws::every_attempt_calls_an_instance_made_ready(layer, 1, ok()).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "asked for readiness in `call`")]
async fn a_call_that_asks_for_readiness_is_noticed() {
    laws::a_call_asks_nobody_for_readiness(Breaking(Fault::AsksInCall)).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "still in flight after the drop")]
async fn a_future_that_outlives_its_drop_is_noticed() {
    laws::dropping_gives_everything_back(Breaking(Fault::ForgetsItsFuture));
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "lost")]
async fn an_error_of_its_own_is_noticed() {
    laws::an_error_of_a_call_is_kept(Breaking(Fault::LosesErrors)).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "x-own")]
async fn a_header_that_is_lost_is_noticed() {
    laws::a_response_is_kept_whole(Breaking(Fault::LosesHeaders)).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "a task was spawned")]
async fn a_call_that_is_spawned_is_noticed() {
    let layer = Breaking(Fault::SpawnsItsCalls);
    laws::nothing_is_spawned_for_a_request_that_nothing_limits(layer).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "woken in vain")]
async fn a_future_that_wakes_itself_is_noticed() {
    laws::nobody_is_woken_in_vain(Breaking(Fault::WakesItself));
}
