use std::any::Any;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::Body;
use http_body_util::Full;
use replay_body::{Replay, ReplayBody};

/// What an error of a body is turned into on its way through reqwest.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request on its way through the layers.
///
/// One that reqwest has in memory is complete and can be sent again; a stream passes as it is and
/// cannot, nor is any of it kept.
pub type RequestBody = ReplayBody<reqwest::Body>;

/// Makes a body of reqwest one that our layers understand.
pub(crate) fn from_reqwest(body: reqwest::Body) -> RequestBody {
    match whole(body) {
        Ok(data) => ReplayBody::from(data),
        Err(stream) => ReplayBody::tee(stream, 0),
    }
}

/// Makes a body that comes out of the layers one of reqwest.
///
/// Data that is in memory stays so: reqwest follows a 307 or 308, and reqwest-retry sends again,
/// only what it can clone. Of a body of a type not named here nothing is known, and it streams.
pub(crate) fn into_reqwest<B>(body: B) -> reqwest::Body
where
    B: Body<Data: Into<Bytes>, Error: Into<BoxError>> + Send + Sync + 'static,
{
    let mut body = Some(body);
    let any: &mut dyn Any = &mut body;
    if let Some(body) = any
        .downcast_mut::<Option<reqwest::Body>>()
        .and_then(Option::take)
    {
        return body;
    }
    let Some(body) = body else {
        return reqwest::Body::default();
    }; // never: it was not taken

    let any: &dyn Any = &body;
    let data = (any.downcast_ref::<RequestBody>().and_then(in_memory))
        .or_else(|| in_memory(any.downcast_ref::<ReplayBody<RequestBody>>()?))
        .or_else(|| in_memory(any.downcast_ref::<ReplayBody<Full<Bytes>>>()?))
        .or_else(|| in_memory(any.downcast_ref::<Full<Bytes>>()?));
    match data {
        Some(data) => reqwest::Body::from(data),
        None => reqwest::Body::wrap(body),
    }
}

/// The data of a body that is all in memory, and has no trailers: reqwest has no place for those but in
/// a stream.
fn in_memory<B>(body: &B) -> Option<Bytes>
where
    B: Body<Data = Bytes> + Replay,
{
    only_frame(body.replay()?)
}

/// Takes the data out of a body that reqwest has in memory, or gives back one that it has not.
fn whole(body: reqwest::Body) -> Result<Bytes, reqwest::Body> {
    if body.as_bytes().is_none() {
        return Err(body);
    }
    // Taking it saves the copy which `as_bytes` would cost.
    Ok(only_frame(body).unwrap_or_default())
}

/// The data of a body that yields it at once, in one frame, and then nothing.
fn only_frame<B>(body: B) -> Option<Bytes>
where
    B: Body<Data = Bytes>,
{
    let mut body = pin!(body);
    let mut cx = Context::from_waker(Waker::noop());
    let data = match body.as_mut().poll_frame(&mut cx) {
        Poll::Ready(Some(Ok(frame))) => frame.into_data().ok()?,
        Poll::Ready(None) => Bytes::new(),
        Poll::Ready(Some(Err(_))) | Poll::Pending => return None,
    };
    body.is_end_stream().then_some(data)
}
