//! A Model Studio to talk to.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use model_studio_sim::{Limits, Simulator};

use crate::layers::MODEL;

/// Serves two accounts without limits; a share of the requests is refused for no reason.
pub(crate) async fn studio(refused: f64) -> Simulator {
    Simulator::builder()
        .account("a", ["sk-a1", "sk-a2"])
        .account("b", ["sk-b1"])
        .model(MODEL, Limits::unlimited())
        .model("qwen-plus", Limits::unlimited())
        .refuse_at_random(refused)
        .start()
        .await
        .unwrap()
}

pub(crate) fn body(stream: bool) -> String {
    format!(
        r#"{{"model":"{MODEL}","messages":[{{"role":"user","content":"hello"}}],"stream":{stream}}}"#
    )
}

/// A chat, with a key of its own for layers that bring none.
pub(crate) fn chat(studio: &Simulator) -> Request<Full<Bytes>> {
    let url = format!("{}/chat/completions", studio.base_url());
    let request = Request::post(url)
        .header("authorization", "Bearer sk-a1")
        .header("content-type", "application/json");
    request.body(Full::from(body(false))).unwrap()
}

/// Checks a chat's answer, given whole.
pub(crate) fn check(status: StatusCode, body: &[u8]) {
    let text = String::from_utf8_lossy(body);
    assert_eq!(status, StatusCode::OK, "{text}");
    assert!(
        text.contains("\"choices\"") && text.contains("\"usage\""),
        "{text}"
    );
}
