use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use test_support::{Answer, Upstream, UpstreamError, json, ok, sse, throttled, throttled_for};
use tokio::time;
use tower::{Service, ServiceExt};

fn request(body: &'static str) -> Request<Full<Bytes>> {
    Request::new(Full::from(body))
}

#[tokio::test(start_paused = true)]
async fn answers_in_the_order_of_the_script() {
    let upstream = Upstream::new([throttled_for(7), ok()]);

    let first = upstream.clone().oneshot(request("a")).await.unwrap();
    assert_eq!(first.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(first.headers()["retry-after"], "7");
    time::advance(Duration::from_millis(1500)).await;
    let second = upstream.clone().oneshot(request("b")).await.unwrap();
    assert_eq!(second.status(), StatusCode::OK);

    assert_eq!(upstream.arrivals(), [0, 1500]);
    let bodies: Vec<_> = upstream
        .take_requests()
        .into_iter()
        .map(|request| request.into_body().unwrap())
        .collect();
    assert_eq!(bodies, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn answers_as_a_function_says() {
    let upstream = Upstream::answering(|request| match request.uri().path() {
        "/ok" => Answer::from(ok()).after(Duration::from_secs(2)),
        "/gone" => Answer::error("connection reset"),
        _ => Answer::never(),
    });
    let ask = |path: &str| {
        let request = Request::get(path).body(Full::<Bytes>::default()).unwrap();
        upstream.clone().oneshot(request)
    };

    let start = time::Instant::now();
    assert_eq!(ask("/ok").await.unwrap().status(), StatusCode::OK);
    assert_eq!(start.elapsed(), Duration::from_secs(2));
    assert_eq!(
        ask("/gone").await.unwrap_err(),
        UpstreamError("connection reset")
    );

    let hour = Duration::from_secs(3600);
    let mut never = Box::pin(ask("/never"));
    assert!(time::timeout(hour, &mut never).await.is_err());
    assert_eq!(upstream.in_flight(), 1);
    drop(never);
    assert_eq!(upstream.in_flight(), 0);
}

#[test]
fn panics_if_called_unready() {
    let ready = |service: &mut Upstream| {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let poll = Service::<Request<Full<Bytes>>>::poll_ready(service, &mut cx);
        assert!(poll.is_ready());
    };
    let call =
        |service: &mut Upstream| catch_unwind(AssertUnwindSafe(|| drop(service.call(request("")))));

    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let mut upstream = Upstream::new([throttled(), throttled()]);
    assert!(call(&mut upstream).is_err(), "never made ready");
    ready(&mut upstream);
    assert!(call(&mut upstream.clone()).is_err(), "a clone");
    assert!(call(&mut upstream).is_ok());
    assert!(call(&mut upstream).is_err(), "ready for one call only");
}

#[tokio::test]
async fn makes_json_and_event_streams() {
    let refusal = json(429, &serde_json::json!({ "code": "Throttling" }));
    assert_eq!(refusal.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refusal.headers()["content-type"], "application/json");
    let body = refusal.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, r#"{"code":"Throttling"}"#);

    let stream = sse(["{}", "[DONE]"]);
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let body = stream.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "data: {}\n\ndata: [DONE]\n\n");
}
