use std::mem;
use std::time::Duration;

use bytes::Bytes;
use http::{Extensions, Request, Response};
use http_body::Body;
use reqwest::{ResponseBuilderExt, Url};
use throttle_signal::Deadline;
use tokio::time::Instant;

use crate::RequestBody;
use crate::body::{BoxError, from_reqwest, into_reqwest};

/// What `http::Request` has no place for, in its extensions while it is with the layers.
#[derive(Clone, Debug)]
struct Origin {
    url: Url,
    // When the request's own timeout is over, counted from the moment it reached us.
    ends: Option<Instant>,
}

/// Hands a request to the layers, with `shared` among its extensions where it has none of the kind
/// itself. The URL is for an answer that does not come from reqwest.
///
/// # Errors
///
/// The URL is not one that can be sent, which reqwest would say as well.
pub(crate) fn request_up(
    request: reqwest::Request,
    shared: &Extensions,
) -> reqwest::Result<(Request<RequestBody>, Url)> {
    let url = request.url().clone();
    let now = Instant::now();
    let ends = request
        .timeout()
        .and_then(|timeout| now.checked_add(*timeout));

    let mut request = Request::<reqwest::Body>::try_from(request)?.map(from_reqwest);
    let own = mem::replace(request.extensions_mut(), shared.clone());
    let extensions = request.extensions_mut();
    extensions.extend(own);
    if let Some(ends) = ends {
        let earlier = extensions.get().is_some_and(|Deadline(at)| *at <= ends);
        if !earlier {
            extensions.insert(Deadline(ends));
        }
    }
    extensions.insert(Origin {
        url: url.clone(),
        ends,
    });
    Ok((request, url))
}

/// Takes a request from the layers.
///
/// # Errors
///
/// The layers made a URI of it that reqwest has no URL for.
pub(crate) fn request_down<B>(mut request: Request<B>) -> reqwest::Result<reqwest::Request>
where
    B: Body<Data: Into<Bytes>, Error: Into<BoxError>> + Send + Sync + 'static,
{
    let origin = request.extensions_mut().remove::<Origin>();
    let mut request = reqwest::Request::try_from(request.map(into_reqwest))?;
    if request
        .body()
        .and_then(reqwest::Body::as_bytes)
        .is_some_and(<[u8]>::is_empty)
    {
        *request.body_mut() = None;
    }
    let Some(origin) = origin else {
        return Ok(request);
    };

    // A URI has no fragment.
    if request.url().fragment().is_none() {
        request.url_mut().set_fragment(origin.url.fragment());
    }
    // The caller's timeout covers waits and all attempts; this one gets what is left of it.
    if let Some(ends) = origin.ends {
        let left = ends.saturating_duration_since(Instant::now());
        let timeout = request.timeout_mut();
        *timeout = Some(timeout.unwrap_or(Duration::MAX).min(left));
    }
    Ok(request)
}

/// Hands a response to the layers, with its URL among the extensions.
pub(crate) fn response_up(response: reqwest::Response) -> Response<reqwest::Body> {
    let url = response.url().clone();
    let mut response = Response::<reqwest::Body>::from(response);
    response.extensions_mut().extend(url_extension(url));
    response
}

/// Takes a response from the layers; its URL is `url` if reqwest did not give it one.
pub(crate) fn response_down<B>(response: Response<B>, url: Url) -> reqwest::Response
where
    B: Body<Data: Into<Bytes>, Error: Into<BoxError>> + Send + Sync + 'static,
{
    let (mut parts, body) = response.into_parts();
    let mut extensions = url_extension(url);
    extensions.extend(parts.extensions);
    parts.extensions = extensions;
    reqwest::Response::from(Response::from_parts(parts, into_reqwest(body)))
}

/// The extension in which reqwest looks for a URL. Its type is private, so it is taken from where
/// reqwest puts it.
fn url_extension(url: Url) -> Extensions {
    let response = Response::builder().url(url).body(());
    response
        .map(|response| response.into_parts().0.extensions)
        .unwrap_or_default()
}
