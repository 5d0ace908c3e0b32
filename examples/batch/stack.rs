use anyhow::Result;
use bytes::Bytes;
use http::HeaderValue;
use http::{Request, Response};
use http_body_util::Full;
use secrecy::ExposeSecret;
use tower::{Service, ServiceBuilder};

use crate::target::Target;
use crate::wire::{Broken, Wire};

pub(crate) fn build(
    target: &Target,
    wire: Wire,
) -> Result<
    impl Service<Request<Full<Bytes>>, Response = Response<Full<Bytes>>, Error = Broken, Future: Send>
    + Clone
    + Send
    + 'static,
> {
    let (_, keys) = target.accounts.iter().next().unwrap();
    let key = HeaderValue::from_str(&format!("Bearer {}", keys[0].expose_secret()))?;
    Ok(ServiceBuilder::new()
        .map_request(move |mut r: Request<Full<Bytes>>| {
            r.headers_mut().insert("authorization", key.clone());
            r
        })
        .service(wire.service()))
}
