use std::convert::Infallible;
use std::f64::consts::TAU;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use model_studio_sim::{Ask, Limits, Partition, Usage};
use tokio::time::{Instant, sleep};
use tower::Service;

use crate::tally::Counted;

/// One way takes 40 ms in the middle, an answer 150 ms more.
const ONE_WAY: Duration = Duration::from_millis(40);
const ANSWER: Duration = Duration::from_millis(150);
const SPREAD: f64 = 0.3;

/// The network and the provider behind it, in virtual time: a request travels, is counted when it
/// arrives, and its answer travels back.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    world: Arc<Mutex<World>>,
    epoch: Instant,
}

#[derive(Debug)]
struct World {
    partition: Partition,
    chance: fastrand::Rng,
}

impl Network {
    pub(crate) fn new(limits: Limits, seed: u64) -> Self {
        let world = World {
            partition: Partition::new(limits),
            chance: fastrand::Rng::with_seed(seed),
        };
        Self {
            world: Arc::new(Mutex::new(world)),
            epoch: Instant::now(),
        }
    }

    /// What the provider has counted so far.
    pub(crate) fn counted(&self) -> Counted {
        self.world().partition.tally().into()
    }

    async fn exchange(self) -> Response<Full<Bytes>> {
        let [there, answer, back] =
            [ONE_WAY, ANSWER, ONE_WAY].map(|median| log_normal(median, &mut self.world().chance));
        sleep(there).await;
        let arrived = self
            .world()
            .partition
            .arrive(self.epoch.elapsed(), Ask::new(4, 8));
        let (status, body) = match arrived {
            Ok(ticket) => {
                sleep(answer).await;
                let partition = &mut self.world().partition;
                partition.finish(self.epoch.elapsed(), ticket, Usage::new(4, 8));
                (StatusCode::OK, ANSWERED)
            }
            Err(_) => (StatusCode::TOO_MANY_REQUESTS, REFUSED),
        };
        sleep(back).await;
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = status;
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        response
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const ANSWERED: &str = r#"{"choices":[{"message":{"role":"assistant","content":"Elbe"}}],"usage":{"prompt_tokens":4,"completion_tokens":8,"total_tokens":12}}"#;

/// In Model Studio's words.
const REFUSED: &str = r#"{"error":{"message":"Requests rate limit exceeded, please try again later.","type":"limit_requests","param":null,"code":"limit_requests"}}"#;

impl Service<Request<Full<Bytes>>> for Network {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _request: Request<Full<Bytes>>) -> Self::Future {
        let network = self.clone();
        Box::pin(async move { Ok(network.exchange().await) })
    }
}

/// What delays look like: half are below `median`, and some are much longer.
fn log_normal(median: Duration, chance: &mut fastrand::Rng) -> Duration {
    // Box and Muller; 1 − u keeps the logarithm's argument above zero.
    let radius = (-2.0 * (1.0 - chance.f64()).ln()).sqrt();
    median.mul_f64((SPREAD * radius * (TAU * chance.f64()).cos()).exp())
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;

    use super::*;
    use crate::quota::Quota;

    #[tokio::test(start_paused = true)]
    async fn what_is_over_the_limit_is_refused_and_counted() {
        let quota: Quota = "10/10s".parse().unwrap();
        let network = Network::new(quota.limits(), 1);
        let mut calls = JoinSet::new();
        for _ in 0..12 {
            calls.spawn(network.clone().call(Request::new(Full::from("{}"))));
        }
        let answers = calls.join_all().await;
        let answered = answers
            .into_iter()
            .filter(|answer| answer.as_ref().is_ok_and(|answer| answer.status() == 200));
        assert_eq!(answered.count(), 10);
        let counted = network.counted();
        assert_eq!((counted.granted, counted.refused), (10, 2));
    }
}
