//! Time that passes whenever someone sleeps, and one runtime a thread, for loom.
//!
//! loom runs the threads of a model one at a time on one real thread, so what is this thread's
//! belongs to the model, and what is `loom::thread_local` to one of its threads.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use loom::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::driver::Driver;

thread_local! {
    static EPOCH: Instant = Instant::now();
    static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

loom::thread_local! {
    static SPAWNED: RefCell<Vec<Driver>> = RefCell::new(Vec::new());
}

/// Begins a model's time.
pub(crate) fn restart() {
    PASSED.set(Duration::ZERO);
}

pub(crate) fn now() -> Instant {
    EPOCH.with(|epoch| *epoch + PASSED.get())
}

/// The lock of a partition, as loom sees it.
pub(crate) struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    pub(crate) fn new(guarded: T) -> Self {
        Self(Mutex::new(guarded))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A timer that ends as soon as it is polled: time has passed.
pub(crate) struct Sleep(Instant);

pub(crate) fn sleep_until(until: Instant) -> Sleep {
    Sleep(until)
}

impl Sleep {
    pub(crate) fn reset(mut self: Pin<&mut Self>, until: Instant) {
        self.0 = until;
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        PASSED.set(PASSED.get().max(self.0 - EPOCH.with(|epoch| *epoch)));
        Poll::Ready(())
    }
}

/// Begins a task on this thread's runtime.
pub(crate) fn spawn(driver: Driver) {
    SPAWNED.with(|spawned| spawned.borrow_mut().push(driver));
}

/// A runtime of one thread: it runs a future to its end, and what was spawned until then. The rest
/// is dropped, as when a program ends.
pub(crate) struct Runtime<F> {
    main: Task<F>,
    spawned: Vec<Task<Driver>>,
}

struct Task<F> {
    future: Pin<Box<F>>,
    woken: Option<Arc<Woken>>,
}

/// A waker of its own for each task: were they polled together, one could pass for another's.
struct Woken {
    flag: AtomicBool,
    thread: Waker,
}

impl<F: Future> Runtime<F> {
    pub(crate) fn block_on(future: F) -> F::Output {
        loom::future::block_on(Self {
            main: Task::new(future),
            spawned: Vec::new(),
        })
    }
}

impl<F: Future> Future for Runtime<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let polled = self.main.poll(cx);
        let spawned = SPAWNED.with(|spawned| std::mem::take(&mut *spawned.borrow_mut()));
        self.spawned.extend(spawned.into_iter().map(Task::new));
        if polled.is_ready() {
            return polled;
        }
        self.spawned.retain_mut(|task| task.poll(cx).is_pending());
        Poll::Pending
    }
}

impl<F: Future> Task<F> {
    fn new(future: F) -> Self {
        Self {
            future: Box::pin(future),
            woken: None,
        }
    }

    /// Polls it if it was woken.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<F::Output> {
        let woken = self.woken.get_or_insert_with(|| {
            Arc::new(Woken {
                flag: AtomicBool::new(true),
                thread: cx.waker().clone(),
            })
        });
        if !woken.flag.swap(false, Ordering::Relaxed) {
            return Poll::Pending;
        }
        let waker = Waker::from(Arc::clone(woken));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.flag.store(true, Ordering::Relaxed);
        self.thread.wake_by_ref();
    }
}
