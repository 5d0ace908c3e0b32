use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use model_studio_sim::{Ask, Limits, Partition, RefusalKind, Usage};
use serde_json::json;
use tokio::time::{Instant, sleep};
use tower::Service;

use crate::draw::{Draw, LogNormal};
use crate::job::Job;
use crate::tally::Tally;

/// A way there and a way back: 40 ms each, jitter independent from one to the next.
const ONE_WAY: LogNormal = LogNormal {
    median: 0.040,
    sigma: 0.3,
};

/// The network and the provider behind it, as the service at the bottom of a client's stack.
///
/// A request travels, is counted when it arrives, and its answer travels back. tokio's timer has a
/// granularity of a millisecond, so every step ends on the next whole one: for all clients alike.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    seed: u64,
    epoch: Instant,
    states_wait: bool,
    world: Mutex<World>,
}

#[derive(Debug)]
struct World {
    /// By the credential of their account.
    partitions: Vec<(HeaderValue, Partition)>,
    tally: Tally,
}

impl Network {
    /// One account, whatever credential a request has.
    pub(crate) fn new(seed: u64, limits: Limits) -> Self {
        Self::of_accounts(seed, [(HeaderValue::from_static(""), limits)])
    }

    /// Several accounts, told apart by the `Authorization` of a request.
    pub(crate) fn of_accounts(
        seed: u64,
        accounts: impl IntoIterator<Item = (HeaderValue, Limits)>,
    ) -> Self {
        let partitions = accounts
            .into_iter()
            .map(|(credential, limits)| (credential, Partition::new(limits)))
            .collect();
        let world = World {
            partitions,
            tally: Tally::default(),
        };
        Self {
            shared: Arc::new(Shared {
                seed,
                epoch: Instant::now(),
                states_wait: false,
                world: Mutex::new(world),
            }),
        }
    }

    /// Sets whether refusals say how long to wait, in whole seconds. No by default.
    pub(crate) fn states_wait(mut self, states_wait: bool) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.states_wait = states_wait;
        }
        self
    }

    /// What has been counted so far, and begins anew.
    pub(crate) fn take_tally(&self) -> Tally {
        std::mem::take(&mut self.shared.world().tally)
    }

    /// Counts a job that found no answer.
    pub(crate) fn lost(&self) {
        self.shared.world().tally.lost += 1;
    }

    /// Counts a job, when it comes up.
    pub(crate) fn born(&self) {
        self.shared.world().tally.jobs += 1;
    }
}

impl Service<Request<Full<Bytes>>> for Network {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { Ok(shared.exchange(&request).await) })
    }
}

impl Shared {
    async fn exchange(&self, request: &Request<Full<Bytes>>) -> Response<Full<Bytes>> {
        let Some(job) = request.extensions().get::<Job>() else {
            return answer(StatusCode::BAD_REQUEST, "{}".into());
        };
        let attempt = job.attempt();
        self.world().tally.sent(job, job.born.elapsed());
        sleep(ONE_WAY.duration(&mut Draw::There(attempt).of(self.seed, job.id))).await;

        let ask = Ask::new(job.prompt, job.max_tokens);
        let arrival = self.epoch.elapsed();
        let back = ONE_WAY.duration(&mut Draw::Back(attempt).of(self.seed, job.id));
        let account = request.headers().get(AUTHORIZATION);
        let admitted = {
            let World { partitions, tally } = &mut *self.world();
            let Some(partition) = find(partitions, account) else {
                return answer(StatusCode::UNAUTHORIZED, refusal(RefusalKind::InvalidKey));
            };
            match partition.arrive(arrival, ask) {
                Ok(ticket) => {
                    tally.admitted(job);
                    Ok(ticket)
                }
                Err(refusal) => {
                    tally.refused += 1;
                    let wait = self.states_wait.then(|| partition.wait(arrival, ask));
                    Err((refusal.kind, wait.flatten()))
                }
            }
        };

        match admitted {
            Ok(ticket) => {
                sleep(job.service).await;
                let usage = Usage::new(job.prompt, job.answer);
                if let Some(partition) = find(&mut self.world().partitions, account) {
                    partition.finish(self.epoch.elapsed(), ticket, usage);
                }
                sleep(back).await;
                answer(StatusCode::OK, completion(job))
            }
            Err((kind, wait)) => {
                sleep(back).await;
                let mut response = answer(StatusCode::TOO_MANY_REQUESTS, refusal(kind));
                if let Some(wait) = wait {
                    let seconds = whole_seconds(wait);
                    response.headers_mut().insert(RETRY_AFTER, seconds.into());
                }
                response
            }
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find<'a>(
    partitions: &'a mut [(HeaderValue, Partition)],
    account: Option<&HeaderValue>,
) -> Option<&'a mut Partition> {
    let all = partitions.len();
    let mut partitions = partitions.iter_mut();
    let found = partitions.find(|partition| all == 1 || Some(&partition.0) == account);
    found.map(|(_, partition)| partition)
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

fn answer(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn completion(job: &Job) -> String {
    json!({
        "object": "chat.completion",
        "model": crate::job::MODEL,
        "choices": [{
            "index": 0,
            "message": { "role": "assistant", "content": "" },
            "finish_reason": if job.answer < job.max_tokens { "stop" } else { "length" },
        }],
        "usage": {
            "prompt_tokens": job.prompt,
            "completion_tokens": job.answer,
            "total_tokens": job.tokens(),
        },
    })
    .to_string()
}

/// In Model Studio's words, of which the first decide what is meant.
fn refusal(kind: RefusalKind) -> String {
    let (code, message) = match kind {
        RefusalKind::RequestRate => (
            "limit_requests",
            "Requests rate limit exceeded, please try again later.",
        ),
        RefusalKind::TokenRate => (
            "insufficient_quota",
            "You exceeded your current quota, please check your plan and billing details.",
        ),
        RefusalKind::InvalidKey => ("invalid_api_key", "Incorrect API key provided."),
        _ => ("limit_burst_rate", "Request rate increased too quickly."),
    };
    json!({ "error": { "message": message, "type": code, "param": null, "code": code } })
        .to_string()
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use throttle_signal::{Kind, Reader};

    use super::*;
    use crate::server::Server;

    /// Sends so many jobs at once and returns the answers in the order of the jobs.
    async fn answers(server: Server, jobs: u64) -> (Network, Vec<Response<Full<Bytes>>>) {
        let workload = server.workload();
        let network = Network::new(1, server.limits(1)).states_wait(server.states_wait());
        let calls = (0..jobs).map(|id| {
            let request = Job::new(&workload, 1, id, Instant::now()).request();
            tokio::spawn(network.clone().call(request))
        });
        let calls: Vec<_> = calls.collect();
        let mut answers = Vec::new();
        for call in calls {
            answers.push(call.await.unwrap().unwrap());
        }
        (network, answers)
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_over_the_limit_is_refused_and_counted() {
        let (network, answers) = answers(Server::A, 12).await;
        let refused = |answer: &&Response<_>| answer.status() == StatusCode::TOO_MANY_REQUESTS;
        assert_eq!(answers.iter().filter(refused).count(), 2);
        let tally = network.take_tally();
        assert_eq!((tally.sends, tally.admitted, tally.refused), (12, 10, 2));
        assert_eq!(network.take_tally().sends, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_server_that_says_so_states_how_long_to_wait() {
        for server in [Server::A, Server::H] {
            let (_, answers) = answers(server, 12).await;
            let mut stated = answers
                .iter()
                .filter_map(|answer| answer.headers().get(RETRY_AFTER));
            match server {
                Server::H => assert_eq!(stated.next().unwrap(), "1"),
                _ => assert_eq!(stated.next(), None),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_reports_what_the_job_used() {
        let (network, mut answers) = answers(Server::A, 1).await;
        let body = answers
            .remove(0)
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["usage"]["total_tokens"], network.take_tally().tokens);
    }

    #[test]
    fn refusals_are_read_for_what_they_are() {
        let read = |kind| {
            let (status, headers) = (StatusCode::TOO_MANY_REQUESTS, http::HeaderMap::new());
            let body = refusal(kind);
            let host = "dashscope.aliyuncs.com";
            let read = Reader::new().classify(host, status, &headers, body.as_bytes());
            read.map(|throttle| throttle.kind())
        };
        assert_eq!(read(RefusalKind::RequestRate), Some(Kind::RequestRate));
        assert_eq!(read(RefusalKind::TokenRate), Some(Kind::TokenRate));
        assert_eq!(read(RefusalKind::Burst), Some(Kind::Burst));
        assert_eq!(read(RefusalKind::InvalidKey), Some(Kind::Credential));
    }
}
