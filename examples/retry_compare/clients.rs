//! The rivals, each as its own documentation sets it up, with so many retries.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_openai::error::OpenAIError;
use async_openai::middleware::retry::OpenAIRetryLayer;
use async_openai::middleware::{HttpRequestFactory, ReqwestService};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::ExponentialBackoff;
use retry_429_layer::{Backoff, Retry429Layer};
use throttle_signal::{Profile, Reader};
use tower::retry::Policy;
use tower::retry::backoff::{Backoff as _, ExponentialBackoffMaker, MakeBackoff};
use tower::retry::budget::{Budget, TpsBudget};
use tower::{Layer, ServiceBuilder, ServiceExt};

type Answer = Pin<Box<dyn Future<Output = Result<u16, String>> + Send>>;

/// A client that gets a URL and says with which status it ended, or why it did not.
#[derive(Clone)]
pub(crate) struct Rival {
    pub(crate) name: &'static str,
    get: Arc<dyn Fn(String) -> Answer + Send + Sync>,
}

impl Rival {
    fn new<F>(name: &'static str, get: impl Fn(String) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<u16, String>> + Send + 'static,
    {
        let get = Arc::new(move |url| Box::pin(get(url)) as Answer);
        Self { name, get }
    }

    pub(crate) fn get(&self, url: String) -> Answer {
        (self.get)(url)
    }
}

impl fmt::Debug for Rival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

type Hyper = Client<HttpConnector, Full<Bytes>>;

fn hyper() -> Hyper {
    Client::builder(TokioExecutor::new()).build_http()
}

fn request(url: &str) -> Result<Request<Full<Bytes>>, String> {
    Request::get(url).body(Full::default()).map_err(said)
}

fn said(error: impl Error) -> String {
    error.to_string()
}

fn turned_away(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE
}

/// This workspace's layer, reading by the profile of the provider it is said to talk to.
pub(crate) fn ours(profile: &str, retries: u32) -> Rival {
    let reader = Profile::named(profile).map_or_else(Reader::new, |it| Reader::new().profile(it));
    let layer = Retry429Layer::with_policy(Backoff::new().max_retries(retries)).reader(reader);
    let client = layer.layer(hyper());
    Rival::new("retry-429-layer", move |url| {
        let client = client.clone();
        async move {
            let response = client.oneshot(request(&url)?).await.map_err(said)?;
            Ok(response.status().as_u16())
        }
    })
}

/// tower brings backoff and budget; the policy that joins them is its user's.
#[derive(Clone)]
struct TowerPolicy {
    left: u32,
    backoff: <ExponentialBackoffMaker as MakeBackoff>::Backoff,
    budget: Arc<TpsBudget>,
}

impl<R> Policy<Request<Full<Bytes>>, Response<R>, hyper_util::client::legacy::Error>
    for TowerPolicy
{
    type Future = tokio::time::Sleep;

    fn retry(
        &mut self,
        _: &mut Request<Full<Bytes>>,
        result: &mut Result<Response<R>, hyper_util::client::legacy::Error>,
    ) -> Option<Self::Future> {
        match result {
            Ok(response) if turned_away(response.status()) => {
                let granted = self.budget.withdraw();
                self.left = self.left.checked_sub(1)?;
                granted.then(|| self.backoff.next_backoff())
            }
            _ => {
                self.budget.deposit();
                None
            }
        }
    }

    fn clone_request(&mut self, request: &Request<Full<Bytes>>) -> Option<Request<Full<Bytes>>> {
        Some(request.clone())
    }
}

pub(crate) fn tower_retry(retries: u32) -> Rival {
    let policy = TowerPolicy {
        left: retries,
        backoff: ExponentialBackoffMaker::default().make_backoff(),
        budget: Arc::new(TpsBudget::default()),
    };
    let client = ServiceBuilder::new().retry(policy).service(hyper());
    Rival::new("tower retry", move |url| {
        let client = client.clone();
        async move {
            let response = client.oneshot(request(&url)?).await.map_err(said)?;
            Ok(response.status().as_u16())
        }
    })
}

pub(crate) fn reqwest_own(retries: u32) -> Result<Rival, reqwest::Error> {
    let retry = reqwest::retry::for_host("127.0.0.1")
        .max_retries_per_request(retries)
        .classify_fn(|attempt| match attempt.status() {
            Some(status) if turned_away(status) => attempt.retryable(),
            _ => attempt.success(),
        });
    let client = reqwest::Client::builder().retry(retry).build()?;
    Ok(Rival::new("reqwest's own", move |url| {
        let request = client.get(url).send();
        async move { Ok(request.await.map_err(said)?.status().as_u16()) }
    }))
}

pub(crate) fn reqwest_retry(retries: u32) -> Rival {
    let policy = ExponentialBackoff::builder().build_with_max_retries(retries);
    let client = reqwest_middleware::ClientBuilder::new(reqwest::Client::new())
        .with(RetryTransientMiddleware::new_with_policy(policy))
        .build();
    Rival::new("reqwest-retry", move |url| {
        let request = client.get(url).send();
        async move { Ok(request.await.map_err(said)?.status().as_u16()) }
    })
}

pub(crate) fn async_openai(retries: u32) -> Rival {
    let retries = usize::try_from(retries).unwrap_or(usize::MAX);
    let client = OpenAIRetryLayer::new(retries).layer(ReqwestService::new(reqwest::Client::new()));
    Rival::new("async-openai", move |url: String| {
        let client = client.clone();
        let factory = HttpRequestFactory::new(move || {
            let request = reqwest::Client::new().get(url.as_str()).build();
            async move { request.map_err(OpenAIError::Reqwest) }
        });
        async move {
            Ok(client
                .oneshot(factory)
                .await
                .map_err(said)?
                .status()
                .as_u16())
        }
    })
}

pub(crate) fn tower_resilience(retries: u32) -> Rival {
    let attempts = usize::try_from(retries)
        .unwrap_or(usize::MAX)
        .saturating_add(1);
    let layer =
        tower_resilience_retry::RetryLayer::<_, Response<hyper::body::Incoming>, _>::builder()
            .max_attempts(attempts)
            .exponential_backoff(Duration::from_millis(100))
            .retry_on_response(|response: &Response<_>| turned_away(response.status()))
            .build();
    let client = layer.layer(hyper());
    Rival::new("tower-resilience", move |url| {
        let client = client.clone();
        async move {
            let response = client.oneshot(request(&url)?).await.map_err(said)?;
            Ok(response.status().as_u16())
        }
    })
}
