use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::partition::{Look, Partition};
use crate::sync::{Sleep, now, sleep_until, spawn};

pin_project! {
    /// Looks after the queue of a partition for as long as anyone waits there: one task and one
    /// timer, whatever the number of waiters.
    ///
    /// Waiters cannot do it themselves. Whichever of them held the timer, its task may not be
    /// polled for a long time, and the others would wait for it.
    pub(crate) struct Driver {
        partition: Arc<Partition>,
        ended: bool,
        #[pin]
        sleep: Sleep,
    }

    impl PinnedDrop for Driver {
        fn drop(this: Pin<&mut Self>) {
            if !this.ended {
                // The runtime is shutting down; those who wait on another one go on.
                this.partition.with(|state, _, wakes| state.abandon(wakes));
            }
        }
    }
}

impl Driver {
    /// Begins to drive `partition` on the current runtime.
    ///
    /// # Panics
    ///
    /// Without one. Then somebody else is to drive.
    pub(crate) fn spawn(partition: &Arc<Partition>) {
        let mut unless_begun = Abandon(Some(partition));
        let sleep = sleep_until(now());
        unless_begun.0 = None;
        spawn(Self {
            partition: Arc::clone(partition),
            ended: false,
            sleep,
        });
    }
}

/// Gives up to drive a partition, when it is dropped.
struct Abandon<'a>(Option<&'a Partition>);

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        if let Some(partition) = self.0 {
            partition.with(|state, _, wakes| state.abandon(wakes));
        }
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        loop {
            match this.partition.drive(cx.waker()) {
                // Nobody waits, or none of those who do is polled.
                None => {
                    *this.ended = true;
                    return Poll::Ready(());
                }
                Some(Look::OnChange) => return Poll::Pending,
                Some(Look::At(next)) => {
                    this.sleep.as_mut().reset(next);
                    if this.sleep.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}
