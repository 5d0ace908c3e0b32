use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use http::HeaderMap;
use tokio::sync::watch;

use crate::answer::REQUEST_ID;
use crate::metrics::Metrics;
use crate::routes::Routes;
use crate::setup::Setup;
use crate::upstream::Upstream;

/// What one thread serves with.
#[derive(Debug)]
pub(crate) struct Worker {
    setup: watch::Receiver<Arc<Setup>>,
    ending: watch::Receiver<bool>,
    routes: RwLock<Arc<Routes>>,
    metrics: Arc<Metrics>,
    upstream: Upstream,
    /// What tells the requests of this thread and process from those of others.
    prefix: String,
    requests: AtomicU64,
}

impl Worker {
    pub(crate) fn new(
        setup: watch::Receiver<Arc<Setup>>,
        ending: watch::Receiver<bool>,
        metrics: Arc<Metrics>,
        prefix: String,
    ) -> Self {
        let upstream = Upstream::new();
        let routes = Routes::new(Arc::clone(&setup.borrow()), &metrics, &upstream);
        Self {
            routes: RwLock::new(Arc::new(routes)),
            setup,
            ending,
            metrics,
            upstream,
            prefix,
            requests: AtomicU64::new(0),
        }
    }

    pub(crate) const fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Whether the relay was told to end.
    pub(crate) fn is_ending(&self) -> bool {
        *self.ending.borrow()
    }

    /// Becomes ready when the relay is told to end.
    pub(crate) async fn ended(&self) {
        let mut ending = self.ending.clone();
        // The sender goes only when the relay does.
        let _ = ending.wait_for(|ending| *ending).await;
    }

    /// The routes under the configuration in force. A request keeps those it began with.
    pub(crate) fn routes(&self) -> Arc<Routes> {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        let setup = self.setup.borrow();
        if Arc::ptr_eq(&routes.setup, &setup) {
            return Arc::clone(&routes);
        }
        let setup = Arc::clone(&setup);
        drop(routes);
        let fresh = Arc::new(Routes::new(setup, &self.metrics, &self.upstream));
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        *routes = Arc::clone(&fresh);
        fresh
    }

    /// The id a request came with, or one of our own.
    pub(crate) fn request_id(&self, headers: &HeaderMap) -> String {
        let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
        if let Some(id) = given.filter(|id| (1..=64).contains(&id.len())) {
            return id.to_owned();
        }
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let mut id = String::with_capacity(self.prefix.len() + 8);
        id.push_str(&self.prefix);
        let _ = write!(id, "{number:x}");
        id
    }
}
