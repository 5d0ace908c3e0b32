use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use anyhow::Result;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// 600 bytes, as a short answer of Model Studio has.
const ANSWER: &str = concat!(
    r#"{"choices":[{"message":{"role":"assistant","content":"Requests are admitted while each window has room; "#,
    r#"one that has none is refused in the words of the provider, and whoever sends faster than it allows learns "#,
    r#"so at once. A quota belongs to an account and a model, whatever key is used, and what one key takes the "#,
    r#"others lack."},"finish_reason":"stop","index":0,"logprobs":null}],"object":"chat.completion","usage":"#,
    r#"{"prompt_tokens":21,"completion_tokens":64,"total_tokens":85,"prompt_tokens_details":{"cached_tokens":0}},"#,
    r#""created":1764000000,"system_fingerprint":null,"model":"m","id":"chatcmpl-0001"}"#
);

const EVENT: &str = concat!(
    r#"data: {"choices":[{"delta":{"content":"Requests are "},"finish_reason":null,"index":0,"logprobs":null}],"#,
    r#""object":"chat.completion.chunk","usage":null,"created":1764000000,"system_fingerprint":null,"model":"m","#,
    r#""id":"chatcmpl-0001"}"#,
    "\n\n"
);
const DONE: &str = "data: [DONE]\n\n";

/// How many events a stream has before its last.
pub(crate) const EVENTS: usize = 20;

/// Answers every chat at once, on one thread.
pub(crate) async fn serve(addr: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(addr).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(
            http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)),
        );
    }
}

async fn answer(
    request: Request<Incoming>,
) -> Result<Response<Either<Full<Bytes>, Events>>, hyper::Error> {
    let body = request.into_body().collect().await?.to_bytes();
    let streams = body.windows(13).any(|part| part == br#""stream":true"#);
    let (kind, body) = if streams {
        ("text/event-stream", Either::Right(Events::default()))
    } else {
        let body = Full::new(Bytes::from_static(ANSWER.as_bytes()));
        ("application/json", Either::Left(body))
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}

/// A stream of events, each written by itself.
#[derive(Debug, Default)]
pub(crate) struct Events {
    sent: usize,
    paused: bool,
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.sent > EVENTS {
            return Poll::Ready(None);
        }
        // hyper writes when it has to wait for the next piece.
        self.paused = !self.paused;
        if self.paused && self.sent > 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.paused = false;
        self.sent += 1;
        let event = if self.sent > EVENTS { DONE } else { EVENT };
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(event.as_bytes())))))
    }
}
