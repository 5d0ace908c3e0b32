//! Answers as upstreams put them, which no layer below has read: what benches, what moves on, what is
//! nobody's fault.

use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use key_rotation_layer::{KeyPool, KeyRotation, KeyRotationLayer, Strategy};
use throttle_signal::RequestFacts;
use tokio::time::{self, Instant};
use tower::{Layer, ServiceExt};

use crate::rotation::{Answer, SECOND};
use crate::upstream::{Body, Upstream, ok, request};

fn pool() -> KeyPool {
    KeyPool::builder()
        .strategy(Strategy::fill_first())
        .account("a", ["sk-a1", "sk-a2"])
        .account("b", ["sk-b"])
        .build()
        .unwrap()
}

fn says(status: u16, body: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

fn events(body: &'static str) -> Response<Body> {
    let mut response = says(200, body);
    let stream = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert("content-type", stream);
    response
}

/// A service whose account `a` answers so, and whose account `b` answers well.
fn service(answer: fn() -> Response<Body>) -> KeyRotation<Upstream> {
    let upstream = Upstream::new(move |seen| if seen.account == "a" { answer() } else { ok() });
    KeyRotationLayer::new(pool()).layer(upstream)
}

async fn send(service: &KeyRotation<Upstream>, request: Request<Body>) -> Answer {
    service.clone().oneshot(request).await.unwrap()
}

/// A request of a layer above that wants streams held to their first event.
fn held() -> Request<Body> {
    let mut request = request();
    RequestFacts::ensure(&mut request, Instant::now());
    RequestFacts::get_mut(request.extensions_mut())
        .unwrap()
        .set_hold_first_event(Some(60 * SECOND));
    request
}

#[tokio::test(start_paused = true)]
async fn what_is_said_decides_who_is_left_alone_and_who_is_asked() {
    type Case = (fn() -> Response<Body>, u16, &'static str);
    let cases: [Case; 7] = [
        // Nobody's fault but the request's: the answer as it is, and `a` again.
        (
            || says(403, r#"{"error":{"message":"not allowed in your region"}}"#),
            403,
            "a a",
        ),
        (
            || says(404, r#"{"error":{"message":"no such model"}}"#),
            404,
            "a a",
        ),
        (|| says(500, "oops"), 500, "a a"),
        // The server's: another key would hear the same.
        (
            || {
                says(
                    529,
                    r#"{"error":{"type":"overloaded_error","message":"Overloaded"}}"#,
                )
            },
            529,
            "a a",
        ),
        // The key's, then its sister's; the account's; the account's and model's.
        (
            || {
                says(
                    401,
                    r#"{"error":{"code":"invalid_api_key","message":"Incorrect API key"}}"#,
                )
            },
            200,
            "a a b b",
        ),
        (
            || says(402, r#"{"error":{"message":"Insufficient Balance"}}"#),
            200,
            "a b b",
        ),
        (
            || {
                says(
                    429,
                    r#"{"error":{"message":"Rate limit reached, try again in 30s"}}"#,
                )
            },
            200,
            "a b b",
        ),
    ];
    for (answer, status, asked) in cases {
        let service = service(answer);
        for _ in 0..2 {
            let response = send(&service, request()).await;
            assert_eq!(response.status(), status, "{asked}");
        }
        assert_eq!(service.get_ref().accounts(), asked, "{status}");
    }
}

/// A stream of a server without room.
const FULL: &str = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";

#[tokio::test(start_paused = true)]
async fn a_refusal_within_a_stream_counts_like_a_plain_one() {
    let refused = service(|| {
        events(
            "data: {\"error\":{\"message\":\"Rate limit reached\",\"code\":\"rate_limit_exceeded\"}}\n\n",
        )
    });
    for _ in 0..2 {
        assert_eq!(send(&refused, held()).await.status(), StatusCode::OK);
    }
    assert_eq!(refused.get_ref().accounts(), "a b b");

    // Of a server without room it is nobody's fault, and comes back whole.
    let full = service(|| events(FULL));
    for _ in 0..2 {
        let response = send(&full, held()).await;
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, FULL);
    }
    assert_eq!(full.get_ref().accounts(), "a a");
}

#[tokio::test(start_paused = true)]
async fn a_conversation_comes_back_to_its_account_after_its_cooldown() {
    let pool = KeyPool::builder()
        .account("a", ["sk-a"])
        .account("b", ["sk-b"])
        .strategy(Strategy::sticky(SECOND))
        .build()
        .unwrap();
    let upstream = Upstream::new(|seen| match seen.at {
        10 => says(
            429,
            r#"{"error":{"message":"Rate limit reached, try again in 20s"}}"#,
        ),
        _ => ok(),
    });
    let service = KeyRotationLayer::new(pool).layer(upstream);
    let turn = || {
        let mut request = request();
        *request.body_mut() = Body::from(r#"{"model":"m1","user":"u1"}"#);
        send(&service, request)
    };
    turn().await;
    let home = service.get_ref().accounts();
    time::advance(10 * SECOND).await;
    turn().await; // refused by both
    assert_eq!(service.get_ref().accounts().len(), 3);
    time::advance(30 * SECOND).await;
    for _ in 0..3 {
        turn().await;
    }
    assert_eq!(service.get_ref().accounts(), [&*home; 3].join(" "));
}
