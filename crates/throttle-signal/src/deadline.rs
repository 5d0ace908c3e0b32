use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, Request};
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use crate::{Deadline, RequestFacts};

/// Layer that gives every request a [`Deadline`] so long after it is called.
///
/// An earlier deadline that a request carries already stays. It cuts nothing off: it tells the
/// layers below how long their waits may be. For a hard limit put a timeout outside of it.
///
/// # Example
///
/// ```
/// use std::convert::Infallible;
/// use std::time::Duration;
///
/// use http::{Request, Response};
/// use throttle_signal::{Deadline, DeadlineLayer};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Infallible> {
/// let client = ServiceBuilder::new()
///     .layer(DeadlineLayer::new(Duration::from_secs(90)))
///     .service(service_fn(async |request: Request<()>| {
///         assert!(request.extensions().get::<Deadline>().is_some());
///         Ok::<_, Infallible>(Response::new(()))
///     }));
///
/// client.oneshot(Request::new(())).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct DeadlineLayer {
    within: Duration,
}

impl DeadlineLayer {
    /// Creates a layer whose deadlines are `within` from the call.
    ///
    /// One too far away for the clock, which is centuries, sets none.
    #[must_use]
    pub const fn new(within: Duration) -> Self {
        Self { within }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = WithDeadline<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WithDeadline {
            inner,
            within: self.within,
        }
    }
}

/// Service that gives every request a [`Deadline`]. See [`DeadlineLayer`].
#[derive(Clone, Debug)]
pub struct WithDeadline<S> {
    inner: S,
    within: Duration,
}

impl<S> WithDeadline<S> {
    /// Returns the inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, B> Service<Request<B>> for WithDeadline<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if let Some(at) = Instant::now().checked_add(self.within) {
            let extensions = request.extensions_mut();
            if let Some(facts) = RequestFacts::get_mut(extensions) {
                facts.lower_deadline(at);
            }
            let deadline = extensions.get_or_insert_with(|| Deadline(at));
            deadline.0 = deadline.0.min(at);
        }
        self.inner.call(request)
    }
}

/// How long the caller of a gRPC method waits for the answer: `grpc-timeout`, at most eight digits
/// and a unit (gRPC over HTTP/2, "Requests").
pub(crate) fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{HeaderValue, Response};
    use tower::{ServiceExt, service_fn};

    use super::*;

    async fn deadline_after(request: Request<()>) -> Option<Deadline> {
        let service = service_fn(async |request: Request<()>| {
            let deadline = request.extensions().get::<Deadline>().copied();
            Ok::<_, Infallible>(Response::new(deadline))
        });
        let service = DeadlineLayer::new(Duration::from_secs(10)).layer(service);
        service.oneshot(request).await.unwrap().into_body()
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_the_earlier_deadline() {
        let now = Instant::now();
        let ten = Deadline(now + Duration::from_secs(10));
        assert_eq!(deadline_after(Request::new(())).await, Some(ten));

        for (seconds, expected) in [(3, 3), (30, 10)] {
            let mut request = Request::new(());
            let set = Deadline(now + Duration::from_secs(seconds));
            request.extensions_mut().insert(set);
            let expected = Deadline(now + Duration::from_secs(expected));
            assert_eq!(deadline_after(request).await, Some(expected), "{seconds}");
        }
    }

    #[test]
    fn reads_every_unit_of_grpc_timeout() {
        let read = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", HeaderValue::from_static(value));
            grpc_timeout(&headers)
        };
        assert_eq!(read("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(read("3M"), Some(Duration::from_secs(180)));
        assert_eq!(read("4S"), Some(Duration::from_secs(4)));
        assert_eq!(read("99999999m"), Some(Duration::from_millis(99_999_999)));
        assert_eq!(read("5u"), Some(Duration::from_micros(5)));
        assert_eq!(read("6n"), Some(Duration::from_nanos(6)));
        for wrong in ["", "S", "5", "5s", "-1S", "999999999S", "1.5S", "é"] {
            assert_eq!(read_any(wrong), None, "{wrong}");
        }
    }

    fn read_any(value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(
            "grpc-timeout",
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
        grpc_timeout(&headers)
    }
}
