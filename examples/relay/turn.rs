use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// Wakes the task that has a connection in its hands.
///
/// Whatever the connection wakes while that task is at it anyway is only noted: the task looks again
/// before it lets go, which costs less than another turn of the scheduler.
#[derive(Debug, Default)]
pub(crate) struct Turn(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    woken: bool,
    // Whether the task has let go, and is to be woken.
    waits: bool,
    task: Option<Waker>,
}

impl Turn {
    /// The task is at it.
    pub(crate) fn begin(&self) {
        let mut state = self.state();
        state.woken = false;
        state.waits = false;
    }

    /// The task lets go, and is woken from now on. Returns whether it may: not if something was
    /// woken since it [began](Self::begin).
    pub(crate) fn end(&self, task: &Waker) -> bool {
        let mut state = self.state();
        if state.woken {
            return false;
        }
        state.waits = true;
        match &mut state.task {
            Some(known) => known.clone_from(task), // which keeps it if it is the same
            None => state.task = Some(task.clone()),
        }
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.state();
        state.woken = true;
        if std::mem::take(&mut state.waits) {
            if let Some(task) = &state.task {
                task.wake_by_ref();
            }
        }
    }
}
