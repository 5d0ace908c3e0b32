//! The lock of a partition and its wakers, in every order that threads can come to them.
//!
//! loom runs each model again and again, once for each order with up to so many preemptions. Time
//! passes whenever a driver sleeps, so a thread that is not scheduled is a waiter that stalls. Each
//! thread is a runtime of its own, which drops its driver when its own work is done. Were a wake lost
//! or a waiter forgotten, no thread could go on, and loom says so.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use loom::thread;
use throttle_signal::RequestFacts;

use crate::Quota;
use crate::clock::Clock;
use crate::control::Guard;
use crate::estimate::Measure;
use crate::partition::{Asked, Partition, Permit, Waiter};
use crate::plan::{Plan, Settings};
use crate::refusal::Refusal;
use crate::sync::{Runtime, now, restart};

const ONE_A_SECOND: Quota = Quota::new().requests_per_second(1);

const ONE_AT_ONCE: Quota = Quota::new().concurrent(1);

fn model(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 10_000;
    builder.check(move || {
        restart();
        model();
    });
}

fn partition(quota: Quota) -> Arc<Partition> {
    let settings = Settings {
        guard: Guard::Fixed(Duration::ZERO),
        ..Settings::default()
    };
    let plan = Arc::new(Plan::new(quota, Arc::new(settings)));
    let clock = Arc::new(Clock::from(now()));
    Arc::new(Partition::new(None, None, clock, now(), plan))
}

fn ask(partition: &Arc<Partition>, facts: &RequestFacts) -> Asked {
    let measure = Measure::of_facts(facts);
    Arc::clone(partition).ask(now(), facts, measure)
}

fn facts() -> RequestFacts {
    RequestFacts::new(now())
}

/// Asks, waits as long as it takes, and returns what comes of it.
fn admitted(partition: &Arc<Partition>, facts: &RequestFacts) -> Result<Permit, Refusal> {
    match ask(partition, facts) {
        Asked::Admitted(permit) => Ok(permit),
        Asked::Refused(refusal) => Err(refusal),
        Asked::Waits(mut waiter) => Runtime::block_on(poll_fn(|cx| {
            if let Err(refusal) = ready!(waiter.poll_turn(cx)) {
                return Poll::Ready(Err(refusal));
            }
            waiter.poll_take(cx)
        })),
    }
}

fn sent(mut permit: Permit) {
    permit.sent();
    if let Some(permit) = permit.answered() {
        permit.failed();
    }
}

fn taken(partition: &Arc<Partition>) -> Permit {
    match ask(partition, &facts()) {
        Asked::Admitted(permit) => permit,
        other => panic!("{other:?}"),
    }
}

fn waits(partition: &Arc<Partition>) -> Waiter {
    match ask(partition, &facts()) {
        Asked::Waits(waiter) => waiter,
        other => panic!("{other:?}"),
    }
}

/// Whether nobody waits, nothing is in flight, and so much was sent.
fn is_at_rest(partition: &Arc<Partition>, used: u64) {
    let snapshot = partition.snapshot();
    assert_eq!((snapshot.waiting, snapshot.in_flight), (0, 0));
    let limit = snapshot.limits.first();
    assert!(limit.is_none_or(|limit| limit.used <= used), "{limit:?}");
    partition.with(|state, now, _| {
        let later = now + 10_000_000_000;
        assert!(state.is_idle(later), "{state:?}");
    });
}

#[test]
fn two_on_two_threads_are_both_served() {
    model(3, || {
        let partition = partition(ONE_A_SECOND);
        let first = partition.clone();
        sent(taken(&partition));
        let other = thread::spawn(move || sent(admitted(&first, &facts()).unwrap()));
        sent(admitted(&partition, &facts()).unwrap());
        other.join().unwrap();
        is_at_rest(&partition, 1);
    });
}

#[test]
fn one_that_is_cancelled_with_its_runtime_passes_its_slot_on() {
    model(3, || {
        let partition = partition(ONE_A_SECOND);
        sent(taken(&partition));
        let mut gone = waits(&partition);
        let other = {
            let partition = partition.clone();
            thread::spawn(move || sent(admitted(&partition, &facts()).unwrap()))
        };
        // Polled once, so that the driver is on this runtime, and then dropped with it.
        Runtime::block_on(poll_fn(move |cx| {
            if let Poll::Ready(turn) = gone.poll_turn(cx) {
                turn.unwrap();
            }
            Poll::Ready(())
        }));
        other.join().unwrap();
        is_at_rest(&partition, 1);
    });
}

#[test]
fn an_answer_that_ends_lets_the_next_go() {
    model(3, || {
        let partition = partition(ONE_AT_ONCE);
        let mut held = taken(&partition);
        held.sent();
        let threads = [(); 2].map(|()| {
            let partition = partition.clone();
            thread::spawn(move || sent(admitted(&partition, &facts()).unwrap()))
        });
        drop(held);
        for thread in threads {
            thread.join().unwrap();
        }
        is_at_rest(&partition, 0);
    });
}

#[test]
fn a_permit_that_is_not_used_goes_to_another() {
    for quota in [ONE_A_SECOND, ONE_AT_ONCE] {
        model(3, move || {
            let partition = partition(quota);
            let unused = taken(&partition);
            let other = {
                let partition = partition.clone();
                thread::spawn(move || {
                    let began = now();
                    sent(admitted(&partition, &facts()).unwrap());
                    now() - began
                })
            };
            drop(unused);
            assert!(other.join().unwrap() < Duration::from_millis(1_100));
            is_at_rest(&partition, 1);
        });
    }
}

#[test]
fn one_that_is_never_polled_holds_nobody_up() {
    model(3, || {
        let partition = partition(ONE_AT_ONCE);
        let mut held = taken(&partition);
        held.sent();
        let stalled = waits(&partition);
        let other = {
            let partition = partition.clone();
            thread::spawn(move || sent(admitted(&partition, &facts()).unwrap()))
        };
        drop(held);
        other.join().unwrap();
        drop(stalled);
        is_at_rest(&partition, 0);
    });
}

#[test]
fn one_whose_service_is_not_ready_holds_nobody_up() {
    for quota in [ONE_A_SECOND, ONE_AT_ONCE] {
        model(3, move || {
            let partition = partition(quota);
            let mut held = taken(&partition);
            held.sent();
            let mut unready = waits(&partition);
            let other = {
                let partition = partition.clone();
                thread::spawn(move || sent(admitted(&partition, &facts()).unwrap()))
            };
            drop(held);
            // Polled until its turn has come, at most, and not since.
            Runtime::block_on(poll_fn(|cx| {
                if unready.poll_turn(cx).is_ready() {
                    assert!(unready.poll_recalled(cx).is_pending());
                }
                Poll::Ready(())
            }));
            other.join().unwrap();
            drop(unready);
            is_at_rest(&partition, 2);
        });
    }
}

#[test]
fn one_who_cannot_wait_is_handed_back_or_sent_in_time() {
    model(3, || {
        let partition = partition(ONE_A_SECOND);
        sent(taken(&partition));
        let last = now() + Duration::from_secs(1);
        let other = {
            let partition = partition.clone();
            thread::spawn(move || sent(admitted(&partition, &facts()).unwrap()))
        };
        let mut urgent = facts();
        urgent.lower_start_by(last);
        match admitted(&partition, &urgent) {
            Ok(permit) => sent(permit),
            Err(refusal) => assert!(matches!(refusal, Refusal::TooLate(_)), "{refusal:?}"),
        }
        other.join().unwrap();
        is_at_rest(&partition, 1);
    });
}

#[test]
fn one_called_back_hears_of_it_wherever_it_waits() {
    model(3, || {
        let partition = partition(ONE_A_SECOND);
        sent(taken(&partition));
        let mut waiter = waits(&partition);
        let other = thread::spawn(move || {
            Runtime::block_on(poll_fn(|cx| match ready!(waiter.poll_turn(cx)) {
                // Its turn has come, and the service below is never ready.
                Ok(()) => waiter.poll_recalled(cx),
                Err(refusal) => Poll::Ready(refusal),
            }))
        });
        partition.with(|state, now, wakes| state.recall(now, None, wakes));
        let refusal = other.join().unwrap();
        assert!(matches!(refusal, Refusal::TooLate(_)), "{refusal:?}");
        is_at_rest(&partition, 1);
    });
}

#[test]
fn a_change_of_quota_wakes_those_who_wait() {
    model(3, || {
        let partition = partition(ONE_AT_ONCE);
        let mut held = taken(&partition);
        held.sent();
        let other = {
            let partition = partition.clone();
            thread::spawn(move || sent(admitted(&partition, &facts()).unwrap()))
        };
        let settings = Arc::new(Settings::default());
        let plan = Arc::new(Plan::new(Quota::new(), settings));
        partition.with(|state, now, wakes| state.set_plan(now, &plan, wakes));
        other.join().unwrap();
        drop(held);
        is_at_rest(&partition, 0);
    });
}
