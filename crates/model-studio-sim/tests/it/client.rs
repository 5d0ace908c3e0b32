//! A client for one simulator.

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client as Hyper, Error};
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

pub(crate) const CHAT: &str = "/compatible-mode/v1/chat/completions";

#[derive(Clone)]
pub(crate) struct Client {
    hyper: Hyper<HttpConnector, Full<Bytes>>,
    origin: String,
    pub(crate) key: &'static str,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    pub(crate) fn new(addr: impl std::fmt::Display) -> Self {
        Self {
            hyper: Hyper::builder(TokioExecutor::new()).build_http(),
            origin: format!("http://{addr}"),
            key: "sk-a1",
        }
    }

    /// One that speaks HTTP/2, all of it on one connection.
    pub(crate) fn http_2(addr: impl std::fmt::Display) -> Self {
        Self {
            hyper: Hyper::builder(TokioExecutor::new())
                .http2_only(true)
                .build_http(),
            ..Self::new(addr)
        }
    }

    pub(crate) fn with_key(&self, key: &'static str) -> Self {
        Self {
            key,
            ..self.clone()
        }
    }

    /// A request with the client's key, and a body if there is one.
    pub(crate) fn request(&self, path: &str, body: Option<&Value>) -> Request<Full<Bytes>> {
        let body = body.map(Value::to_string);
        Request::builder()
            .method(if body.is_some() { "POST" } else { "GET" })
            .uri(format!("{}{path}", self.origin))
            .header("authorization", format!("Bearer {}", self.key))
            .body(body.unwrap_or_default().into())
            .unwrap()
    }

    pub(crate) fn try_send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> impl Future<Output = Result<Response<Incoming>, Error>> + Send + use<> {
        self.hyper.request(request)
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let (head, body) = self.try_send(request).await.unwrap().into_parts();
        Answer {
            status: head.status,
            headers: head.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(path, None)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(path, Some(body))).await
    }

    /// A chat of one message.
    pub(crate) async fn chat(&self, model: &str, text: &str) -> Answer {
        self.post(CHAT, &prompt(model, text)).await
    }
}

pub(crate) fn prompt(model: &str, text: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": text }] })
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The events of a stream, `[DONE]` as null.
    pub(crate) fn events(&self) -> Vec<Value> {
        let text = std::str::from_utf8(&self.body).unwrap();
        let events = text.split_terminator("\n\n");
        let data = events.map(|event| event.strip_prefix("data: ").unwrap());
        data.map(|data| match data {
            "[DONE]" => Value::Null,
            _ => serde_json::from_str(data).unwrap(),
        })
        .collect()
    }
}
