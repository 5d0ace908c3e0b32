use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

use super::calls::Kind;
use super::failure::Failure;
use super::store::Inner;
use super::wire::{Call, Reply};
use crate::partition::Partition;
use crate::watch;

/// Calls the store for all partitions of an instance; to be spawned.
///
/// It ends when the last [`SharedStore`](super::SharedStore) and limiter are gone. If it is dropped before, with its
/// task or its runtime, they go on as [without the store](super::Outage) at once and for good: also those who wait,
/// who under [`Outage::Closed`](super::Outage::Closed) are refused when they cannot wait any longer.
#[must_use = "nothing is granted unless it is spawned"]
pub struct StoreDriver {
    inner: Arc<Inner>,
    running: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl StoreDriver {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        let running = Box::pin(drive(Arc::clone(&inner)));
        Self { inner, running }
    }
}

impl Future for StoreDriver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.running.as_mut().poll(cx)
    }
}

impl Drop for StoreDriver {
    fn drop(&mut self) {
        _ = self.inner.set_down(true);
        for partition in self.inner.partitions() {
            partition.store_lost();
        }
    }
}

impl fmt::Debug for StoreDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreDriver").finish_non_exhaustive()
    }
}

/// How a call ended.
struct Ended {
    id: usize,
    partition: Arc<Partition>,
    kind: Kind,
    began: Instant,
    reply: Result<Reply, Failure>,
}

async fn drive(inner: Arc<Inner>) {
    let mut calls = FuturesUnordered::new();
    let mut due = BTreeSet::new();
    while !inner.has_ended() {
        let mut ready = inner.take_ready();
        let now = Instant::now();
        while let Some((at, id)) = due.first().copied().filter(|(at, _)| *at <= now) {
            due.remove(&(at, id));
            ready.push(id);
        }
        for id in ready {
            due.retain(|(_, other)| *other != id);
            let Some(partition) = inner.partition(id) else {
                continue;
            };
            while let Some((kind, asked)) = partition.next_store_call() {
                let partition = Arc::clone(&partition);
                calls.push(call(Arc::clone(&inner), id, partition, kind, asked));
            }
            if let Some(at) = partition.store_call_due() {
                due.insert((at, id));
            }
        }
        let next = due.first().map(|(at, _)| *at);
        let ended = tokio::select! {
            ended = calls.next(), if !calls.is_empty() => ended,
            () = inner.called.notified() => None,
            () = until(next) => None,
        };
        if let Some(ended) = ended {
            if inner.set_down(ended.reply.is_err()) {
                watch::store(ended.reply.as_ref().err());
            }
            let reply = ended.reply.as_ref().ok();
            ended
                .partition
                .store_answered(ended.began, ended.kind, reply);
            inner.poke(ended.id);
        }
    }
}

async fn call(
    inner: Arc<Inner>,
    id: usize,
    partition: Arc<Partition>,
    kind: Kind,
    asked: Call,
) -> Ended {
    let began = Instant::now();
    let reply = inner.call(&partition, &asked).await;
    inner.count(|stats| {
        match kind {
            Kind::Reserve => stats.reserve_calls += 1,
            Kind::Sync => stats.other_calls += 1,
        }
        stats.failed_calls += u64::from(reply.is_err());
    });
    Ended {
        id,
        partition,
        kind,
        began,
        reply,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
