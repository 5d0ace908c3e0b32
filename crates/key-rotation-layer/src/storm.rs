//! A pool under random use, held to what it promises whatever happens in whatever order.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use throttle_signal::{Kind, RequestFacts};
use tokio::time::Instant;

use crate::KeyPool;
use crate::bench::Gate;
use crate::choose::{Ask, Choice};
use crate::lease::Lease;
use crate::sentence::Target;
use crate::snapshot::AccountSnapshot;
use crate::term::Length;
use crate::tried::Tried;

const SECOND: Duration = Duration::from_secs(1);
const ACCOUNTS: [&str; 3] = ["a", "b", "c"];

fn pool() -> KeyPool {
    let mut pool = KeyPool::builder();
    for account in ACCOUNTS {
        pool = pool.account(
            account,
            [format!("sk-{account}1"), format!("sk-{account}2")],
        );
    }
    pool.build().unwrap()
}

fn choose(pool: &KeyPool, model: &Arc<str>, now: Instant) -> Option<Lease> {
    let facts = RequestFacts::new(now);
    let ask = Ask {
        facts: &facts,
        model,
        host: None,
        conversation: None,
        headroom: None,
        tried: &Tried::nobody(),
        before: None,
        now,
    };
    match pool.choose(&ask) {
        Choice::Send(lease, _) => Some(lease),
        Choice::Nobody(_) | Choice::Foreign => None,
    }
}

fn in_flight(snapshot: &[AccountSnapshot]) -> usize {
    let keys = snapshot.iter().flat_map(|account| &account.keys);
    keys.map(|key| key.in_flight as usize).sum()
}

/// One of whatever may be refused.
fn refuse(lease: &mut Lease, rng: &mut Rng, now: Instant) {
    let target = [Target::Key, Target::Account, Target::Model][rng.usize(..3)];
    let (kind, length) = match rng.usize(..4) {
        0 => (Kind::RequestRate, Length::Guess),
        1 => (Kind::RequestRate, Length::Exactly(SECOND * rng.u32(1..90))),
        2 => (Kind::TokenRate, Length::Usually(SECOND * 60)),
        _ => (Kind::Credential, Length::OpenEnded(SECOND * 900)),
    };
    lease.refuse(target, kind, length, rng.f64(), now);
}

#[test]
fn whatever_happens_leases_are_counted_and_nobody_is_lost() {
    let models: [Arc<str>; 2] = ["m1".into(), "m2".into()];
    for seed in 0..200 {
        let mut rng = Rng::with_seed(seed);
        let pool = pool();
        let mut now = Instant::now();
        let mut leases: Vec<Lease> = Vec::new();
        for _ in 0..400 {
            match rng.usize(..10) {
                0..4 => leases.extend(choose(&pool, &models[rng.usize(..2)], now)),
                4 => now += SECOND.mul_f64(rng.f64() * [0.5, 30.0, 1000.0][rng.usize(..3)]),
                _ if leases.is_empty() => {}
                5..7 => leases.swap_remove(rng.usize(..leases.len())).pass(),
                // Dropped, as a caller that is gone.
                7 => drop(leases.swap_remove(rng.usize(..leases.len()))),
                _ => {
                    let mut lease = leases.swap_remove(rng.usize(..leases.len()));
                    refuse(&mut lease, &mut rng, now);
                }
            }
            assert_eq!(in_flight(&pool.snapshot()), leases.len(), "seed {seed}");
        }
        leases.clear();
        assert_eq!(in_flight(&pool.snapshot()), 0, "seed {seed}");
        // Given time, and answers, everyone is back.
        for _ in 0..40 {
            now += SECOND * 1000;
            while let Some(lease) = choose(&pool, &models[0], now) {
                lease.pass();
                if rng.u8(..8) == 0 {
                    break;
                }
            }
        }
        for member in pool.members().iter() {
            let state = member.lock();
            let benches = state.account.iter().chain(state.models.get(&models[0]));
            for bench in benches.chain(state.keys.iter().filter_map(|key| key.bench.as_ref())) {
                assert_eq!(bench.gate(now), Gate::Open, "seed {seed}");
            }
        }
    }
}

#[test]
fn of_many_who_come_at_once_one_is_the_probe() {
    let model: Arc<str> = "m".into();
    for open_ended in [false, true] {
        for _ in 0..100 {
            let pool = KeyPool::builder().account("a", ["sk-a"]).build().unwrap();
            let start = Instant::now();
            let mut lease = choose(&pool, &model, start).unwrap();
            let (kind, length) = if open_ended {
                (Kind::Credential, Length::OpenEnded(SECOND))
            } else {
                (Kind::RequestRate, Length::Exactly(SECOND))
            };
            lease.refuse(Target::Account, kind, length, 1.0, start);
            drop(lease);

            let due = start + SECOND;
            let barrier = Barrier::new(8);
            let leases: Vec<_> = thread::scope(|scope| {
                let callers: Vec<_> = (0..8)
                    .map(|_| {
                        scope.spawn(|| {
                            barrier.wait();
                            choose(&pool, &model, due)
                        })
                    })
                    .collect();
                let leases = callers.into_iter().map(|caller| caller.join().unwrap());
                leases.collect()
            });
            assert_eq!(leases.iter().flatten().count(), 1);
            // It is given up, and the next one is the probe.
            drop(leases);
            assert!(choose(&pool, &model, due).is_some());
        }
    }
}

#[test]
fn benched_by_some_while_others_choose_it_is_sent_nothing_more() {
    let model: Arc<str> = "m".into();
    let pool = pool();
    let start = Instant::now();
    let barrier = Barrier::new(8);
    thread::scope(|scope| {
        for seed in 0..8 {
            let (pool, model, barrier) = (&pool, &model, &barrier);
            scope.spawn(move || {
                let mut rng = Rng::with_seed(seed);
                barrier.wait();
                for _ in 0..2000 {
                    let Some(mut lease) = choose(pool, model, start) else {
                        break;
                    };
                    if rng.u8(..50) == 0 {
                        let length = Length::OpenEnded(SECOND);
                        lease.refuse(Target::Account, Kind::Credential, length, 1.0, start);
                        let account = lease.account().clone();
                        drop(lease);
                        // What this thread knows holds for whatever it chooses from now on.
                        let next = choose(pool, model, start);
                        assert!(next.is_none_or(|next| *next.account() != account));
                    }
                }
            });
        }
    });
    assert_eq!(in_flight(&pool.snapshot()), 0);
}
