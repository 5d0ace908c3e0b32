use std::fmt;
use std::task::{Context, Poll};

use http::Request;
use tower_layer::Layer;
use tower_service::Service;

/// Layer that turns the request body into another, at the bottom of a stack.
///
/// Clients such as tonic's channel take one type of body. With a function pointer such as
/// `tonic::body::Body::new` the type of the stack can still be named.
///
/// # Example
///
/// ```
/// use std::convert::Infallible;
///
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use replay_body::{IntoBodyLayer, ReplayBody, ReplayLayer};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// type Boxed = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Infallible> {
/// let client = ServiceBuilder::new()
///     .layer(ReplayLayer::new(1 << 20))
///     .layer(IntoBodyLayer::new(Boxed::new::<ReplayBody<Full<Bytes>>>))
///     .service(service_fn(async |_: Request<Boxed>| Ok::<_, Infallible>(Response::new(()))));
///
/// client.oneshot(Request::new(Full::new(Bytes::from("hello")))).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct IntoBodyLayer<F> {
    into: F,
}

impl<F> IntoBodyLayer<F> {
    /// Creates a layer that applies `into` to the body of each request.
    pub const fn new(into: F) -> Self {
        Self { into }
    }
}

impl<S, F> Layer<S> for IntoBodyLayer<F>
where
    F: Clone,
{
    type Service = IntoBody<S, F>;

    fn layer(&self, inner: S) -> Self::Service {
        IntoBody::new(inner, self.into.clone())
    }
}

impl<F> fmt::Debug for IntoBodyLayer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoBodyLayer").finish_non_exhaustive()
    }
}

/// Middleware that turns the request body into another.
///
/// Made by [`IntoBodyLayer`]. Its future is the inner service's.
#[derive(Clone, Copy)]
pub struct IntoBody<S, F> {
    inner: S,
    into: F,
}

impl<S, F> IntoBody<S, F> {
    /// Wraps `inner`, applying `into` to the body of each request.
    pub const fn new(inner: S, into: F) -> Self {
        Self { inner, into }
    }

    /// Returns a reference to the inner service.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns a mutable reference to the inner service.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the inner service, consuming `self`.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, F, B, B2> Service<Request<B>> for IntoBody<S, F>
where
    S: Service<Request<B2>>,
    F: Fn(B) -> B2,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.inner.call(request.map(&self.into))
    }
}

impl<S, F> fmt::Debug for IntoBody<S, F>
where
    S: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoBody")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
