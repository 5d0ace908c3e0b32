use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use serde_json::Value;
use throttle_signal::{AccountId, Trail};
use tokio::sync::Mutex;
use tokio::time::{Interval, MissedTickBehavior};
use tower::Service;

use crate::quota::MODELS;
use crate::target::Target;
use crate::wire::{Broken, Wire};

/// How people live with a quota today, without the layers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ByHand {
    /// Sends everything and takes what comes.
    Nothing,
    /// On a refusal, waits 2ⁿ + U(0, 1) seconds; five tries in all.
    Backoff,
    /// Sends one request every 60/RPM seconds.
    Queue,
    /// Takes the next key for each request, and on a refusal the one after it, each key once.
    RoundRobin,
    /// On a refusal, asks the next model.
    NextModel,
}

const TRIES: i32 = 5;

/// What the strategies have at hand. Those that do not turn keys use the first, as a program that
/// has one key would.
#[derive(Debug)]
struct Client {
    wire: Wire,
    keys: Vec<(AccountId, HeaderValue)>,
    turn: AtomicUsize,
    ticks: Mutex<Interval>,
}

impl ByHand {
    pub(crate) const ALL: [Self; 5] = [
        Self::Nothing,
        Self::Backoff,
        Self::Queue,
        Self::RoundRobin,
        Self::NextModel,
    ];

    /// Its name in tables and JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "no handling",
            Self::Backoff => "backoff 2^n + U(0,1)",
            Self::Queue => "fixed-interval queue",
            Self::RoundRobin => "round-robin keys",
            Self::NextModel => "model fallback",
        }
    }

    /// The strategy over `wire`, as a service.
    ///
    /// # Errors
    ///
    /// Fails if a key cannot stand in a header.
    pub(crate) fn service(
        self,
        target: &Target,
        wire: Wire,
    ) -> Result<
        impl Service<
            Request<Full<Bytes>>,
            Response = Response<Full<Bytes>>,
            Error = Broken,
            Future: Send,
        > + Clone
        + Send
        + use<>,
    > {
        let rate = target.quota(MODELS[0]).rate().unwrap_or(1.0);
        let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / rate));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let client = Arc::new(Client {
            wire,
            keys: target.credentials()?,
            turn: AtomicUsize::new(0),
            ticks: Mutex::new(ticks),
        });
        Ok(tower::service_fn(move |request| {
            let client = Arc::clone(&client);
            async move {
                match self {
                    Self::Nothing => client.ask(0, request).await,
                    Self::Backoff => client.back_off(request).await,
                    Self::Queue => {
                        client.ticks.lock().await.tick().await;
                        client.ask(0, request).await
                    }
                    Self::RoundRobin => client.turn_keys(request).await,
                    Self::NextModel => client.change_model(request).await,
                }
            }
        }))
    }
}

type Answer = Result<Response<Full<Bytes>>, Broken>;

impl Client {
    async fn back_off(&self, request: Request<Full<Bytes>>) -> Answer {
        let mut n = 0;
        loop {
            let answer = self.ask(0, request.clone()).await;
            n += 1;
            if !refused(&answer) || n == TRIES {
                return answer;
            }
            let wait = f64::from(2_i32.pow(n.unsigned_abs() - 1)) + fastrand::f64();
            tokio::time::sleep(Duration::from_secs_f64(wait)).await;
        }
    }

    async fn turn_keys(&self, request: Request<Full<Bytes>>) -> Answer {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut answer = self.ask(first, request.clone()).await;
        for key in 1..self.keys.len() {
            if !refused(&answer) {
                break;
            }
            answer = self.ask(first + key, request.clone()).await;
        }
        answer
    }

    async fn change_model(&self, request: Request<Full<Bytes>>) -> Answer {
        let mut answer = self.ask(0, request.clone()).await;
        for model in &MODELS[1..3] {
            if !refused(&answer) {
                break;
            }
            answer = self.ask(0, with_model(&request, model)).await;
        }
        answer
    }

    /// Sends with one of the keys, and notes who answered.
    async fn ask(&self, key: usize, mut request: Request<Full<Bytes>>) -> Answer {
        let (account, key) = &self.keys[key % self.keys.len()];
        request.headers_mut().insert(AUTHORIZATION, key.clone());
        let model = request.extensions().get::<Model>().copied();
        let mut answer = self.wire.send(request).await?;
        let trail = Trail::of(answer.extensions_mut());
        trail.account = Some(account.clone());
        trail.model = model.map(|Model(model)| model.into());
        Ok(answer)
    }
}

fn refused(answer: &Answer) -> bool {
    answer
        .as_ref()
        .is_ok_and(|answer| answer.status() == StatusCode::TOO_MANY_REQUESTS)
}

/// The model a request was rewritten to.
#[derive(Clone, Copy, Debug)]
struct Model(&'static str);

fn with_model(request: &Request<Full<Bytes>>, model: &'static str) -> Request<Full<Bytes>> {
    let mut request = request.clone();
    let body = replay_body::Replay::bytes(request.body()).unwrap_or_default();
    if let Ok(Value::Object(mut body)) = serde_json::from_slice(&body) {
        body.insert("model".to_owned(), model.into());
        *request.body_mut() = Full::new(Value::Object(body).to_string().into());
    }
    request.extensions_mut().insert(Model(model));
    request
}
