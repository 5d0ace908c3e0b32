use std::mem;

use bytes::Bytes;
use http::{Extensions, Request, Response};
use http_body::Body;
use reqwest::{ResponseBuilderExt, Url};
use throttle_signal::Deadline;

use crate::RequestBody;
use crate::body::{BoxError, from_reqwest, into_reqwest};
use crate::origin::Origin;

/// Hands a request to the layers, with `shared` among its extensions where it has none of the kind
/// itself.
///
/// # Errors
///
/// The URL is not one that can be sent, which reqwest would say as well.
pub(crate) fn request_up(
    request: reqwest::Request,
    shared: &Extensions,
) -> reqwest::Result<(Request<RequestBody>, Origin)> {
    let origin = Origin::of(&request);
    let mut request = Request::<reqwest::Body>::try_from(request)?.map(from_reqwest);
    let own = mem::replace(request.extensions_mut(), shared.clone());
    let extensions = request.extensions_mut();
    extensions.extend(own);
    if let Some(ends) = origin.ends() {
        let earlier = extensions.get().is_some_and(|Deadline(at)| *at <= ends);
        if !earlier {
            extensions.insert(Deadline(ends));
        }
    }
    extensions.insert(origin.clone());
    Ok((request, origin))
}

/// Takes a request from the layers, which may have made it anew: then it is that of `origin`.
///
/// # Errors
///
/// The layers made a URI of it that reqwest has no URL for.
pub(crate) fn request_down<B>(
    mut request: Request<B>,
    origin: Option<&Origin>,
) -> reqwest::Result<reqwest::Request>
where
    B: Body<Data: Into<Bytes>, Error: Into<BoxError>> + Send + Sync + 'static,
{
    let own = request.extensions_mut().remove::<Origin>();
    let mut request = reqwest::Request::try_from(request.map(into_reqwest))?;
    if request
        .body()
        .and_then(reqwest::Body::as_bytes)
        .is_some_and(<[u8]>::is_empty)
    {
        *request.body_mut() = None;
    }
    if let Some(origin) = own.as_ref().or(origin) {
        origin.restore(&mut request);
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
