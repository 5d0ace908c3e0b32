//! Model Studio on tokio's clock: the simulator's limits behind a service, without sockets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use model_studio_sim::{Ask, Limits, Partition, RefusalKind, Usage};
use serde_json::{Value, json};
use test_support::{Answer, Seen, Upstream};
use tokio::time::Instant;

pub(crate) type Body = Full<Bytes>;

/// Accounts, their keys and what they may ask of a model.
#[derive(Clone)]
pub(crate) struct Studio {
    shared: Arc<Mutex<Shared>>,
    start: Instant,
}

struct Shared {
    /// The account of a key.
    keys: HashMap<String, &'static str>,
    limits: HashMap<(&'static str, String), Limits>,
    partitions: HashMap<(&'static str, String), Partition>,
    overdue: Vec<&'static str>,
    latency: Duration,
    /// How long a refusal takes.
    refusing: Duration,
    /// Of so many requests, one at random is refused for its rate; 0 for none.
    one_in: u64,
    dice: u64,
    seen: Vec<Sent>,
}

/// A request that arrived.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Sent {
    pub(crate) at: Duration,
    pub(crate) key: String,
    pub(crate) model: String,
    pub(crate) refused: bool,
    /// Nobody has this key.
    pub(crate) invalid: bool,
}

impl Studio {
    pub(crate) fn new() -> Self {
        let shared = Shared {
            keys: HashMap::new(),
            limits: HashMap::new(),
            partitions: HashMap::new(),
            overdue: Vec::new(),
            latency: Duration::from_millis(500),
            refusing: Duration::ZERO,
            one_in: 0,
            dice: 0,
            seen: Vec::new(),
        };
        Self {
            shared: Arc::new(Mutex::new(shared)),
            start: Instant::now(),
        }
    }

    /// A key of an account.
    pub(crate) fn key(self, account: &'static str, key: &str) -> Self {
        self.shared.lock().unwrap().keys.insert(key.into(), account);
        self
    }

    /// What an account may ask of a model; without this, anything.
    pub(crate) fn limits(self, account: &'static str, model: &str, limits: Limits) -> Self {
        self.shared
            .lock()
            .unwrap()
            .limits
            .insert((account, model.into()), limits);
        self
    }

    /// An account that has not paid.
    pub(crate) fn overdue(self, account: &'static str) -> Self {
        self.shared.lock().unwrap().overdue.push(account);
        self
    }

    /// How long answers take to generate.
    pub(crate) fn latency(self, latency: Duration) -> Self {
        self.shared.lock().unwrap().latency = latency;
        self
    }

    /// How long a refusal takes to come.
    pub(crate) fn refusing(self, latency: Duration) -> Self {
        self.shared.lock().unwrap().refusing = latency;
        self
    }

    /// Refuses one in so many for its rate, though it has room.
    pub(crate) fn moody(self, one_in: u64, seed: u64) -> Self {
        {
            let mut shared = self.shared.lock().unwrap();
            (shared.one_in, shared.dice) = (one_in, seed);
        }
        self
    }

    /// A key that is no good from now on.
    pub(crate) fn revoke(&self, key: &str) {
        self.shared.lock().unwrap().keys.remove(key);
    }

    /// The service itself.
    pub(crate) fn upstream(&self) -> Upstream {
        let (shared, start) = (Arc::clone(&self.shared), self.start);
        Upstream::answering(move |seen: &Seen| shared.lock().unwrap().answer(seen, start.elapsed()))
    }

    /// What has arrived so far.
    pub(crate) fn seen(&self) -> Vec<Sent> {
        self.shared.lock().unwrap().seen.clone()
    }
}

impl Shared {
    fn answer(&mut self, seen: &Seen, at: Duration) -> Answer {
        let header = seen
            .headers()
            .get("authorization")
            .map_or("", |value| value.to_str().unwrap());
        let key = header.trim_start_matches("Bearer ").to_owned();
        let body: Value = serde_json::from_slice(seen.body().as_ref().unwrap()).unwrap();
        let model = body["model"].as_str().unwrap().to_owned();
        let outcome = self.arrive(&key, &model, at);
        self.seen.push(Sent {
            at,
            key,
            model,
            refused: outcome.is_err(),
            invalid: outcome.is_err_and(|(status, _)| status == 401),
        });
        match outcome {
            Ok(()) => {
                let usage = json!({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2});
                let answer = json!({"choices": [{"message": {"content": "done"}}], "usage": usage});
                Answer::from(respond(200, &answer)).after(self.latency)
            }
            // As Model Studio puts them, for OpenAI's clients; there is no `Retry-After`.
            Err((status, code)) => {
                let error =
                    json!({"error": {"message": code, "type": code, "param": null, "code": code}});
                Answer::from(respond(status, &error)).after(self.refusing)
            }
        }
    }

    fn arrive(&mut self, key: &str, model: &str, at: Duration) -> Result<(), (u16, &'static str)> {
        let account = *self.keys.get(key).ok_or((401, "invalid_api_key"))?;
        if self.overdue.contains(&account) {
            return Err((400, "Arrearage"));
        }
        // Steps of a linear congruential generator; its upper bits are random enough.
        let step = self.dice.wrapping_mul(0x5851_F42D_4C95_7F2D);
        self.dice = step.wrapping_add(0x1405_7B7E_F767_814F);
        if self.one_in > 0 && (self.dice >> 33) % self.one_in == 0 {
            return Err((429, "limit_requests"));
        }
        let place = (account, model.to_owned());
        let Some(limits) = self.limits.get(&place) else {
            return Ok(());
        };
        let partition = self
            .partitions
            .entry(place)
            .or_insert_with(|| Partition::new(limits.clone()));
        match partition.arrive(at, Ask::new(1, 1)) {
            Ok(ticket) => {
                partition.finish(at, ticket, Usage::new(1, 1));
                Ok(())
            }
            Err(refusal) if refusal.kind == RefusalKind::RequestRate => {
                Err((429, "limit_requests"))
            }
            Err(_) => Err((429, "insufficient_quota")),
        }
    }
}

fn respond(status: u16, body: &Value) -> Response<Body> {
    test_support::json(status, body)
}

/// A chat for Model Studio's endpoint.
pub(crate) fn chat(model: &str) -> Request<Body> {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 8});
    Request::post("https://dashscope.aliyuncs.com/compatible-mode/v1/chat/completions")
        .header("content-type", "application/json")
        .body(Full::from(body.to_string()))
        .unwrap()
}
