//! What a candidate changes in a request, and what it leaves as it was.

use fallback_layer::{Candidate, FallbackLayer};
use http::{HeaderName, HeaderValue, Request, StatusCode, Uri};
use http_body_util::Full;
use replay_body::ReplayBody;
use test_support::{Steps, Upstream, ok};
use tower::{Layer, ServiceExt};

use crate::chain::{exhausted, layer, upstream};
use crate::{Body, models, request};

#[tokio::test(start_paused = true)]
async fn every_byte_but_the_model_arrives_as_it_was() {
    let body = "{ \"seed\": 12345678901234567890, \"messages\":[{\"model\":\"max\"}],\t\"model\" : \"max\" }";
    let service = layer().layer(upstream(&[("max", exhausted)]));
    let mut request = request();
    *request.body_mut() = Full::from(body);
    request
        .headers_mut()
        .insert("content-length", body.len().into());
    service.clone().oneshot(request).await.unwrap();
    let arrived = service.get_ref().take_requests();
    assert_eq!(arrived[0].body().as_ref().unwrap(), body);
    let expected = body
        .replace(": \"max\" }", ": \"plus\" }")
        .replace("\"model\" : \"max\"", "\"model\" : \"plus\"");
    assert_eq!(arrived[1].body().as_ref().unwrap(), &expected);
    assert_eq!(
        arrived[1].headers()["content-length"],
        expected.len().to_string()
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_rewritten_goes_as_it_came_and_its_refusal_comes_back() {
    let encoded = |mut request: Request<Body>| {
        request
            .headers_mut()
            .insert("content-encoding", HeaderValue::from_static("gzip"));
        request
    };
    let layer = FallbackLayer::new([Candidate::model("plus"), Candidate::model("turbo")]);
    let service = layer.layer(Upstream::new([exhausted()]));
    let response = service.clone().oneshot(encoded(request())).await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(models(service.get_ref()), "max"); // untouched
    assert!(!response.headers().contains_key("x-fallback-candidate"));

    let service = layer.layer(Upstream::new([exhausted()]));
    let streaming = request().map(|_| ReplayBody::tee(Steps::new().data("{}"), 1 << 20));
    let response = service.oneshot(streaming).await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(start_paused = true)]
async fn another_endpoint_is_asked_without_the_first_ones_secrets() {
    let layer = FallbackLayer::new([
        Candidate::model("max"),
        Candidate::model("gpt")
            .base_url(Uri::from_static("https://two.example/openai/v1"))
            .header(
                HeaderName::from_static("x-tier"),
                HeaderValue::from_static("gold"),
            ),
    ])
    .base_path("/v1");
    let service = layer.layer(Upstream::new([exhausted(), ok()]));
    let mut request = request();
    request
        .headers_mut()
        .insert("authorization", HeaderValue::from_static("Bearer one"));
    service.clone().oneshot(request).await.unwrap();
    let arrived = service.get_ref().take_requests();
    assert_eq!(arrived[0].headers()["authorization"], "Bearer one");
    assert_eq!(
        arrived[1].uri(),
        "https://two.example/openai/v1/chat/completions"
    );
    assert_eq!(arrived[1].headers()["x-tier"], "gold");
    assert!(!arrived[1].headers().contains_key("authorization"));
}

#[tokio::test(start_paused = true)]
async fn another_endpoint_is_asked_without_the_key_in_the_url() {
    let layer = FallbackLayer::new([
        Candidate::model("max"),
        Candidate::named("two").base_url(Uri::from_static("https://two.example")),
    ]);
    let service = layer.layer(Upstream::new([exhausted(), ok()]));
    let mut request = request();
    *request.uri_mut() = Uri::from_static(
        "https://api.example.com/v1?key=one&alt=sse&keys=2&api_key=three&access_token=four",
    );
    let mut token = HeaderValue::from_static("five");
    token.set_sensitive(true);
    request.headers_mut().insert("x-own-token", token);
    service.clone().oneshot(request).await.unwrap();
    let arrived = service.get_ref().take_requests();
    assert!(arrived[0].uri().query().unwrap().contains("key=one"));
    assert_eq!(arrived[1].uri(), "https://two.example/v1?alt=sse&keys=2");
    assert!(!arrived[1].headers().contains_key("x-own-token"));
}
