use std::time::Duration;

use reqwest::Url;
use tokio::time::Instant;

/// What `http::Request` has no place for: in its extensions while it is with the layers, and with
/// [`NextService`](crate::NextService) for requests that a layer made anew.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    url: Url,
    // When the request's own timeout is over, counted from the moment it reached us.
    ends: Option<Instant>,
}

impl Origin {
    pub(crate) fn of(request: &reqwest::Request) -> Self {
        let timeout = request.timeout();
        Self {
            url: request.url().clone(),
            ends: timeout.and_then(|timeout| Instant::now().checked_add(*timeout)),
        }
    }

    pub(crate) const fn ends(&self) -> Option<Instant> {
        self.ends
    }

    pub(crate) fn into_url(self) -> Url {
        self.url
    }

    /// Gives a request that comes out of the layers what it lost on the way.
    pub(crate) fn restore(&self, request: &mut reqwest::Request) {
        // A URI has no fragment.
        if request.url().fragment().is_none() {
            request.url_mut().set_fragment(self.url.fragment());
        }
        // The caller's timeout covers waits and all attempts; this one gets what is left of it.
        if let Some(ends) = self.ends {
            let left = ends.saturating_duration_since(Instant::now());
            let timeout = request.timeout_mut();
            *timeout = Some(timeout.unwrap_or(Duration::MAX).min(left));
        }
    }
}
