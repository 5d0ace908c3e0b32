use std::hint::spin_loop;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// A lock for what is looked at many times a second and each time for some fifty nanoseconds.
///
/// What it guards moves to the core that takes it, and that takes longer than what is done with it there. So
/// who finds it taken does not ask again at once, which would have it move each time, but leaves it for a
/// moment to a core that has it already. Only after some microseconds, when whoever has it may have been
/// put aside by the system, it sleeps.
///
/// A panic while it is held does not close it.
#[derive(Debug)]
pub(crate) struct Lock<T>(Mutex<T>);

/// How many pauses of the processor are waited the first time, about half a microsecond.
const PAUSES: u32 = 32;

/// How often, and each time for twice as long.
const TRIES: u32 = 4;

impl<T> Lock<T> {
    pub(crate) const fn new(guarded: T) -> Self {
        Self(Mutex::new(guarded))
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.try_lock().unwrap_or_else(|| self.wait())
    }

    #[inline]
    fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(guard)) => Some(guard.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    #[cold]
    #[inline(never)]
    fn wait(&self) -> MutexGuard<'_, T> {
        for time in 0..TRIES {
            (0..PAUSES << time).for_each(|_| spin_loop());
            if let Some(guard) = self.try_lock() {
                return guard;
            }
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Barrier;
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    #[test]
    fn one_at_a_time() {
        let (count, start) = (Lock::new(0), Barrier::new(4));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..10_000 {
                        let mut count = count.lock();
                        let seen = *count;
                        *count = std::hint::black_box(seen) + 1;
                    }
                });
            }
        });
        assert_eq!(*count.lock(), 40_000);
    }

    #[test]
    fn who_waits_for_long_has_it_in_the_end() {
        let (lock, (waits, has)) = (Lock::new(1), channel());
        thread::scope(|scope| {
            let guard = lock.lock();
            scope.spawn(|| waits.send(*lock.wait()));
            // Longer than it spins for, or not: it is not to be had before.
            thread::yield_now();
            assert!(has.try_recv().is_err());
            drop(guard);
            assert_eq!(has.recv(), Ok(1));
        });
    }

    #[test]
    fn a_panic_does_not_close_it() {
        let lock = Lock::new(1);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _guard = lock.lock();
            panic!("while it is held");
        }));
        assert!(panicked.is_err());
        assert_eq!(*lock.lock(), 1);
        assert_eq!(*lock.wait(), 1);
    }
}
