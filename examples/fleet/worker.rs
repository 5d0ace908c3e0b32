use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Uri;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::demand::Demand;
use crate::job::work;
use crate::stack::Stack;
use crate::word::Said;

/// Jobs under way at once, those that wait included; one more is turned away. So demand may exceed
/// the quota for as long as it likes.
pub(crate) const PLACES: usize = 100;

/// One instance at work, wherever it lives.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(crate) demand: Demand,
    pub(crate) places: usize,
    pub(crate) stack: Stack,
    pub(crate) uri: Uri,
}

impl Worker {
    /// Begins jobs as they come up until `stop`, then finishes those it has begun. Says what it does
    /// to `say`.
    pub(crate) async fn run<S>(self, stop: impl Future<Output = ()>, say: S)
    where
        S: Fn(&Said) + Clone + Send + Sync + 'static,
    {
        let start = Instant::now();
        let under_way = Arc::new(AtomicUsize::new(0));
        let mut jobs = JoinSet::new();
        let born = || {
            while jobs.try_join_next().is_some() {}
            if under_way.load(Ordering::Relaxed) == self.places {
                return say(&Said::TurnedAway);
            }
            under_way.fetch_add(1, Ordering::Relaxed);
            say(&Said::Begun);
            let job = work(self.stack.clone(), self.uri.clone(), start);
            let (under_way, say) = (Arc::clone(&under_way), say.clone());
            jobs.spawn(async move {
                say(&Said::Done(job.await));
                under_way.fetch_sub(1, Ordering::Relaxed);
            });
        };
        tokio::select! {
            () = self.demand.of(self.index, start, born) => {}
            () = stop => {}
        }
        while jobs.join_next().await.is_some() {}
    }
}
