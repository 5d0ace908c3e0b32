//! hyper-util's client: the body of a request is `Full<Bytes>` and can be sent again as it is.

use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ::axum::Router;
use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::{Notify, mpsc};
use tower::{Layer, Service, ServiceExt};

use crate::axum::serve;
use crate::layers::{falling_back, limiter, pacing, retrying, rotating, stack};
use crate::studio::{body, chat, check, studio};

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

#[tokio::test]
async fn over_http_2() {
    let studio = studio(0.2).await;
    let client: HyperClient = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http();
    let chats = || (0..5).map(|_| chat(&studio)).collect();
    answers(
        pacing(&limiter()).layer(retrying().layer(client.clone())),
        chats(),
    )
    .await;
    answers(stack().service(client), chats()).await;
}

/// A server whose handlers wait for ever, and the count of those that wait.
async fn hanging() -> (String, Arc<AtomicUsize>, Arc<Notify>) {
    struct Waiting(Arc<AtomicUsize>, Arc<Notify>);

    impl Drop for Waiting {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
            self.1.notify_one();
        }
    }

    let (waiting, changed) = (Arc::<AtomicUsize>::default(), Arc::<Notify>::default());
    let state = (Arc::clone(&waiting), Arc::clone(&changed));
    let handler = move || {
        let (waiting, changed) = state.clone();
        async move {
            waiting.fetch_add(1, Ordering::Relaxed);
            let _waiting = Waiting(waiting, Arc::clone(&changed));
            changed.notify_one();
            std::future::pending::<()>().await;
        }
    };
    let url = serve(Router::new().fallback(handler)).await;
    (url, waiting, changed)
}

/// The effect of a drop, and not only the drop: the server sees the connection close.
#[tokio::test]
async fn a_dropped_request_ends_at_the_server() {
    let (url, waiting, changed) = hanging().await;
    macro_rules! ends {
        ($service:expr) => {{
            let request = Request::post(&url).body(Full::from("{}")).unwrap();
            let sent = tokio::spawn($service.oneshot(request));
            changed.notified().await;
            assert_eq!(waiting.load(Ordering::Relaxed), 1);
            sent.abort();
            changed.notified().await;
            assert_eq!(waiting.load(Ordering::Relaxed), 0);
        }};
    }
    ends!(pacing(&limiter()).layer(client()));
    ends!(rotating(None).layer(client()));
    ends!(retrying().layer(client()));
    ends!(falling_back().layer(client()));
    ends!(stack().service(client()));
}

/// Each event is sent only once the one before it has been seen.
#[tokio::test]
async fn the_events_of_a_stream_arrive_as_they_are_sent() {
    macro_rules! flows {
        ($layers:expr) => {{
            let (send, receive) = mpsc::unbounded_channel::<&'static str>();
            let receive = Arc::new(Mutex::new(Some(receive)));
            let handler = move || {
                let events = stream::unfold(
                    receive.lock().unwrap().take().unwrap(),
                    async |mut receive| {
                        let event = receive.recv().await?;
                        let event = format!(
                            "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{event}\"}}}}]}}\n\n"
                        );
                        Some((Ok::<_, Infallible>(event), receive))
                    },
                );
                let response = Response::builder().header("content-type", "text/event-stream");
                let response = response
                    .body(::axum::body::Body::from_stream(events))
                    .unwrap();
                async { response }
            };
            let url = serve(Router::new().fallback(handler)).await;
            let request = Request::post(url)
                .header("content-type", "application/json")
                .body(Full::from(body(true)))
                .unwrap();
            send.send("first").unwrap();
            let answer = $layers.oneshot(request).await.unwrap();
            let mut answer = answer.into_body();
            for (event, next) in [("first", "second"), ("second", "third")] {
                let frame = answer.frame().await.unwrap().unwrap();
                let data = frame.into_data().unwrap();
                assert!(String::from_utf8_lossy(&data).contains(event), "{data:?}");
                send.send(next).unwrap();
            }
            drop(send);
            let rest = answer.collect().await.unwrap().to_bytes();
            assert!(String::from_utf8_lossy(&rest).contains("third"), "{rest:?}");
        }};
    }
    flows!(pacing(&limiter()).layer(client()));
    flows!(rotating(None).layer(client()));
    flows!(retrying().layer(client()));
    flows!(falling_back().layer(client()));
    flows!(stack().service(client()));
}
