//! hyper-util's client: the body of a request is `Full<Bytes>` and can be sent again as it is.

use std::fmt::Debug;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tower::{Layer, Service, ServiceExt};

use crate::layers::{falling_back, limiter, pacing, retrying, rotating, stack};
use crate::studio::{chat, check, studio};

pub(crate) type HyperClient = Client<HttpConnector, Full<Bytes>>;

pub(crate) fn client() -> HyperClient {
    Client::builder(TokioExecutor::new()).build_http()
}

/// Sends chats through `service`, all at once, and checks that each is answered.
pub(crate) async fn answers<S, R>(service: S, chats: Vec<Request<Full<Bytes>>>)
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>, Error: Debug + Send, Future: Send>
        + Clone
        + Send
        + 'static,
    R: Body<Data = Bytes, Error: Debug> + Send + 'static,
{
    let sent = chats
        .into_iter()
        .map(|chat| tokio::spawn(service.clone().oneshot(chat)));
    for answer in sent.collect::<Vec<_>>() {
        let (parts, body) = answer.await.unwrap().unwrap().into_parts();
        check(parts.status, &body.collect().await.unwrap().to_bytes());
    }
}

#[tokio::test]
async fn each_layer_alone() {
    let studio = studio(0.0).await;
    let chats = || vec![chat(&studio), chat(&studio)];
    answers(pacing(&limiter()).layer(client()), chats()).await;
    answers(rotating(None).layer(client()), chats()).await;
    answers(retrying().layer(client()), chats()).await;
    answers(falling_back().layer(client()), chats()).await;
}

#[tokio::test]
async fn stacked() {
    let studio = studio(0.2).await;
    let chats = (0..20).map(|_| chat(&studio)).collect();
    answers(stack().service(client()), chats).await;
    assert_eq!(studio.ledger().requests(), 20);
}
