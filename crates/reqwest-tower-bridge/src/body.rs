use std::any::Any;
use std::pin::Pin;
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
    let data = (any.downcast_ref::<RequestBody>().and_then(Replay::bytes))
        .or_else(|| any.downcast_ref::<ReplayBody<RequestBody>>()?.bytes())
        .or_else(|| any.downcast_ref::<ReplayBody<Full<Bytes>>>()?.bytes())
        .or_else(|| any.downcast_ref::<Full<Bytes>>()?.bytes());
    match data {
        Some(data) => reqwest::Body::from(data),
        None => reqwest::Body::wrap(body),
    }
}

/// Takes the data out of a body that reqwest has in memory, or gives back one that it has not.
fn whole(mut body: reqwest::Body) -> Result<Bytes, reqwest::Body> {
    if body.as_bytes().is_none() {
        return Err(body);
    }
    // It yields all it has in one frame; taking that saves the copy which `as_bytes` would cost.
    let mut cx = Context::from_waker(Waker::noop());
    match Pin::new(&mut body).poll_frame(&mut cx) {
        Poll::Ready(Some(Ok(frame))) => Ok(frame.into_data().unwrap_or_default()),
        Poll::Ready(Some(Err(_)) | None) | Poll::Pending => Ok(Bytes::new()),
    }
}
