use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use rate_limit_layer::shared::{LocalStore, SharedStore, SharedStoreBuilder, StoreDriver};
use rate_limit_layer::{Limiter, Quota, RateLimitLayer, Unit};
use retry_429_layer::Retry429Layer;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt};

use crate::upstream::Upstream;

/// What every fleet here may send, in which time.
pub(crate) const LIMIT: u64 = 60;
pub(crate) const WINDOW: Duration = Duration::from_secs(1);

/// Wide, as a machine that tests in parallel may send late.
pub(crate) const GUARD: Duration = Duration::from_millis(200);

pub(crate) const MODEL: &str = "qwen3-max";

pub(crate) const fn quota(most: u64) -> Quota {
    Quota::new().limit(Unit::Requests, most, WINDOW)
}

/// One of a fleet, and the work it is given.
pub(crate) struct Instance {
    pub(crate) store: SharedStore,
    pub(crate) limiter: Limiter,
    driver: JoinHandle<()>,
    stack: BoxCloneSyncService<Request<Full<Bytes>>, Response<()>, std::convert::Infallible>,
    callers: JoinSet<()>,
    count: Arc<Count>,
    sent: Arc<AtomicU64>,
}

#[derive(Default)]
struct Count {
    stop: AtomicBool,
    begun: AtomicU64,
    answered: AtomicU64,
}

impl Instance {
    /// Joins the fleet through a real store.
    pub(crate) async fn connect(url: &str, upstream: &Upstream) -> Self {
        Self::connect_by(SharedStore::builder, url, upstream).await
    }

    /// Joins it as one for whom the store is never late, whatever else this machine does.
    pub(crate) async fn connect_patiently(url: &str, upstream: &Upstream) -> Self {
        let builder = || SharedStore::builder().time_limit(Duration::from_secs(10));
        Self::connect_by(builder, url, upstream).await
    }

    async fn connect_by(
        builder: impl Fn() -> SharedStoreBuilder,
        url: &str,
        upstream: &Upstream,
    ) -> Self {
        // A machine with too much to do may let even five seconds pass.
        for _ in 0..3 {
            match builder().connect(url).await {
                Err(error) if error.is_unreachable() => {}
                connected => return Self::new(connected.unwrap(), upstream),
            }
        }
        Self::new(builder().connect(url).await.unwrap(), upstream)
    }

    /// Joins the fleet in process.
    pub(crate) fn join(store: &LocalStore, upstream: &Upstream) -> Self {
        Self::join_as(SharedStore::builder(), store, upstream)
    }

    pub(crate) fn join_as(
        builder: SharedStoreBuilder,
        store: &LocalStore,
        upstream: &Upstream,
    ) -> Self {
        Self::new(builder.join(store), upstream)
    }

    pub(crate) fn new((store, driver): (SharedStore, StoreDriver), upstream: &Upstream) -> Self {
        let sent = Arc::default();
        let limiter = Limiter::builder()
            .model(MODEL, quota(LIMIT))
            .guard(GUARD)
            .shared(store.clone())
            .build();
        let stack = ServiceBuilder::new()
            .map_response(|response: Response<_>| response.map(drop))
            .layer(Retry429Layer::new())
            .layer(RateLimitLayer::new(limiter.clone()))
            .service(upstream.client(Arc::clone(&sent)));
        Self {
            store,
            limiter,
            driver: tokio::spawn(driver),
            stack: BoxCloneSyncService::new(stack),
            callers: JoinSet::new(),
            count: Arc::default(),
            sent,
        }
    }

    /// Gives it so many callers, each of whom asks again as soon as it is answered.
    pub(crate) fn busy(mut self, callers: usize) -> Self {
        for _ in 0..callers {
            let (stack, count) = (self.stack.clone(), Arc::clone(&self.count));
            self.callers.spawn(async move {
                while !count.stop.load(Ordering::Relaxed) {
                    count.begun.fetch_add(1, Ordering::Relaxed);
                    let answer = stack.clone().oneshot(request()).await.unwrap();
                    if answer.status() == StatusCode::OK {
                        count.answered.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        self
    }

    /// How many of its requests were answered so far.
    pub(crate) fn answered(&self) -> u64 {
        self.count.answered.load(Ordering::Relaxed)
    }

    /// Whether it has no store for now.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.store.stats().in_outage > 0
    }

    /// Waits until it has answered so many more.
    pub(crate) async fn answers(&self, more: u64) {
        let enough = self.answered() + more;
        until("answers", || self.answered() >= enough).await;
    }

    /// Lets its callers come to their end, and returns how many requests were lost.
    pub(crate) async fn finish(mut self) -> u64 {
        self.count.stop.store(true, Ordering::Relaxed);
        let all = async { while self.callers.join_next().await.is_some() {} };
        timeout(Duration::from_secs(30), all).await.unwrap();
        self.count.begun.load(Ordering::Relaxed) - self.answered()
    }

    /// Ends it as `kill -9` ends a process: with all who wait, and without a word to the store. Returns how many
    /// requests it sent.
    pub(crate) async fn die(mut self) -> u64 {
        self.driver.abort();
        self.callers.abort_all();
        while self.callers.join_next().await.is_some() {}
        self.sent.load(Ordering::Relaxed)
    }
}

/// Lets all come to their end.
pub(crate) async fn nothing_is_lost(fleet: impl IntoIterator<Item = Instance>) {
    for instance in fleet {
        assert_eq!(instance.finish().await, 0);
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

pub(crate) fn request() -> Request<Full<Bytes>> {
    let body = format!(r#"{{"model":"{MODEL}","messages":[]}}"#);
    Request::new(Full::from(body))
}

/// Looks until `true` is seen, on whatever clock there is.
pub(crate) async fn until(what: &str, mut seen: impl FnMut() -> bool) {
    for _ in 0..4_000 {
        if seen() {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("waited 20 s for {what}");
}
