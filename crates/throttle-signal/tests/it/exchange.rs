//! A request, its response and what was read of it, for the other files.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use replay_body::PeekBody;
use throttle_signal::{Classified, Kind, Reader, Throttle};

pub(crate) fn request(uri: &str) -> Request<Full<Bytes>> {
    let body = Full::from(r#"{"model":"qwen3-max"}"#);
    Request::builder().uri(uri).body(body).unwrap()
}

pub(crate) fn response<B>(status: u16, content_type: &'static str, body: B) -> Response<B> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

pub(crate) const JSON: &str = "application/json";

pub(crate) const SSE: &str = "text/event-stream";

pub(crate) const ALI: &str = "https://dashscope.aliyuncs.com/v1";

pub(crate) async fn read<B: Body<Data = Bytes>>(
    uri: &str,
    response: Response<B>,
) -> Response<PeekBody<B>> {
    Reader::new().begin(&request(uri)).read(response).await
}

pub(crate) fn kind<B>(response: &Response<B>) -> Option<Kind> {
    Classified::throttle(response.extensions()).map(Throttle::kind)
}
