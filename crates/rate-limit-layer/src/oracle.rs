//! The whole of a partition against a brute-force count, under random interleavings.

mod check;
mod flag;
mod script;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::time::Duration;

use proptest::prelude::*;
use throttle_signal::{Priority, Wait};

use self::flag::Flag;
use self::script::{Step, plan, quotas, settings, steps};
use crate::core::{Core, Reservation};
use crate::plan::Settings;
use crate::state::{Admission, Asking, State};
use crate::turns::Claim;
use crate::wakes::Wakes;
use crate::{Cost, Limit, Quota};

const MS: u64 = 1_000_000;
const GUARD: u64 = 20 * MS;

struct One {
    id: usize,
    flag: Arc<Flag>,
    stalled: bool,
    called: bool,
    unready: bool,
    asked: (Cost, Option<u64>),
}

/// The world around a partition, and what it has seen.
struct World {
    state: State,
    now: u64,

    /// How far behind the clock is read.
    behind: u64,
    waiting: Vec<One>,
    sent: Vec<Reservation>,

    /// All that was ever sent, and what it counts as by now.
    all: Vec<(u64, Cost)>,
    driver: Option<(u64, Arc<Flag>)>,
    settings: Arc<Settings>,
    quota: Quota,

    /// How much of `all` each limit was not there to see.
    unseen: Vec<usize>,
}

impl World {
    fn new(quota: Quota) -> Self {
        let settings = settings();
        let state = State::new(Core::new(0, plan(quota, &settings)));
        Self {
            state,
            settings,
            now: 1,
            behind: 0,
            waiting: Vec::new(),
            sent: Vec::new(),
            all: Vec::new(),
            driver: None,
            unseen: vec![0; quota.limits().len()],
            quota,
        }
    }

    fn act(&mut self, act: impl FnOnce(&mut State, u64, &mut Wakes)) {
        let mut wakes = Wakes::default();
        let now = self.clock();
        act(&mut self.state, now, &mut wakes);
        wakes.wake();
    }

    /// The time as a partition takes it: someone has read the clock, and whoever reads it next reads
    /// less.
    fn clock(&mut self) -> u64 {
        self.state.core.clock(self.now);
        let read = self.now.saturating_sub(self.behind);
        self.state.core.clock(read)
    }

    /// Polls whoever was woken, and the driver when it is due, until nothing is left to do now.
    fn settle_down(&mut self) {
        loop {
            let mut idle = true;
            if let Some((at, flag)) = &self.driver {
                let flag = Arc::clone(flag);
                if flag.0.swap(false, Ordering::Relaxed) || *at <= self.now {
                    idle = false;
                    let waker = Waker::from(Arc::clone(&flag));
                    let mut next = None;
                    self.act(|state, now, wakes| next = state.drive(now, &waker, wakes));
                    self.driver = next.map(|at| (at, flag));
                }
            }
            let woken = |one: &One| !one.stalled && one.flag.0.swap(false, Ordering::Relaxed);
            if let Some(index) = self.waiting.iter().position(woken) {
                idle = false;
                self.poll(index);
            }
            if idle {
                return;
            }
        }
    }

    /// Polls one as its future does: until its turn has come, and then its service.
    fn poll(&mut self, index: usize) {
        let one = &self.waiting[index];
        let (id, waker) = (one.id, Waker::from(Arc::clone(&one.flag)));
        if !one.called {
            let mut claim = None;
            self.act(|state, now, wakes| claim = Some(state.claim(now, id, &waker, wakes)));
            if self.told(index, claim.unwrap()).is_none() {
                return;
            }
            self.waiting[index].called = true;
        }
        if self.waiting[index].unready {
            let mut hold = None;
            self.act(|state, now, wakes| hold = Some(state.hold(now, id, &waker, wakes)));
            assert!(self.told(index, hold.unwrap()).is_none());
            return;
        }
        self.waiting[index].called = false;
        let mut take = None;
        self.act(|state, now, wakes| take = Some(state.take(now, id, &waker, wakes)));
        let Some(reservation) = self.told(index, take.unwrap()) else {
            return;
        };
        let one = self.waiting.remove(index);
        assert_eq!(reservation.cost, one.asked.0);
        assert!(
            one.asked.1.is_none_or(|start_by| start_by >= self.now),
            "sent too late: {:?} at {}",
            one.asked,
            self.now
        );
        self.admitted(reservation);
    }

    fn told<T>(&mut self, index: usize, claim: Claim<T>) -> Option<T> {
        match claim {
            Claim::Granted(granted) => return Some(granted),
            Claim::HandedBack { .. } => {
                let one = self.waiting.remove(index);
                assert!(one.asked.1.is_some(), "handed back without having a time");
            }
            Claim::Pending { drive } => {
                if drive {
                    self.driver = Some((0, Arc::default()));
                }
            }
        }
        None
    }

    /// Lets time pass, in steps no longer than the driver's.
    fn pass(&mut self, time: u64) {
        let until = self.now + time;
        self.settle_down();
        while let Some((at, _)) = self.driver.as_ref().filter(|(at, _)| *at <= until) {
            self.now = self.now.max(*at);
            self.settle_down();
        }
        self.now = until;
        self.settle_down();
    }

    fn ask(&mut self, asking: &Asking<'_>, polled: bool) {
        let (cost, start_by) = (asking.cost, asking.start_by);
        let now = self.clock();
        match self.state.ask(now, asking) {
            Admission::Now(reservation) => self.admitted(reservation),
            Admission::Queued(id) => {
                let flag = Arc::new(Flag(AtomicBool::new(polled)));
                let asked = (cost, start_by);
                self.waiting.push(One {
                    id,
                    flag,
                    stalled: !polled,
                    called: false,
                    unready: false,
                    asked,
                });
            }
            Admission::TooLate(_) => assert!(start_by.is_some()),
            Admission::Never(unit) => {
                let mut of_unit = self
                    .quota
                    .limits()
                    .iter()
                    .filter(|limit| limit.unit() == unit);
                assert!(of_unit.all(|limit| limit.most() < cost.of(unit)));
            }
            Admission::Closed(_) => panic!("nothing closes it here"),
        }
    }

    fn set_paused(&mut self, paused: bool) {
        self.settings.paused.store(paused, Ordering::Relaxed);
        self.act(State::changed);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Ask {
                cost,
                start_by,
                priority,
                polled,
            } => {
                let start_by = start_by.map(|after| self.now + after);
                let priority = Priority(priority);
                let asking = Asking {
                    cost,
                    arrived: self.now,
                    start_by,
                    priority,
                    tenant: None,
                    key: None,
                };
                self.ask(&asking, polled);
            }
            Step::Pass(time) => self.pass(time),
            Step::Cancel(which) if !self.waiting.is_empty() => {
                let one = self.waiting.remove(which % self.waiting.len());
                self.act(|state, now, wakes| state.cancel(now, one.id, wakes));
            }
            Step::Stall(which) if !self.waiting.is_empty() => {
                let which = which % self.waiting.len();
                self.waiting[which].stalled = true;
            }
            Step::Resume(which) if !self.waiting.is_empty() => {
                let which = which % self.waiting.len();
                self.waiting[which].stalled = false;
                self.poll(which);
            }
            Step::Ready(which, ready) if !self.waiting.is_empty() => {
                let which = which % self.waiting.len();
                let one = &mut self.waiting[which];
                one.unready = !ready;
                if ready && one.called && !one.stalled {
                    self.poll(which);
                }
            }
            Step::Settle(which, actual) if !self.sent.is_empty() => {
                let sent = self.sent.remove(which % self.sent.len());
                // An upstream that gives back never charges more than it did at first.
                let actual = Cost {
                    input: actual.input.min(sent.cost.input),
                    output: actual.output.min(sent.cost.output),
                    ..sent.cost
                };
                self.count_as(&sent, actual);
                self.act(|state, now, wakes| state.settle(now, &sent, actual, wakes));
            }
            Step::Refund(which) if !self.sent.is_empty() => {
                let sent = self.sent.remove(which % self.sent.len());
                self.count_as(&sent, Cost::default());
                self.act(|state, now, wakes| state.refund(now, &sent, wakes));
            }
            Step::Refuse(which, kind, wait) if !self.sent.is_empty() => {
                let sent = self.sent.remove(which % self.sent.len());
                let actual = Cost {
                    requests: sent.cost.requests,
                    ..Cost::default()
                };
                self.count_as(&sent, actual);
                let wait = wait.map_or(Wait::Unknown, |wait| {
                    Wait::Stated(Duration::from_nanos(wait))
                });
                self.act(|state, now, wakes| {
                    state.refused(now, &sent, kind, wait, wakes);
                    state.settle(now, &sent, actual, wakes);
                });
            }
            Step::SetQuota(which) => {
                let old = self.quota;
                self.quota = quotas(old.burst() >= 1.0)[which];
                let unseen = |limit: &Limit| {
                    let same =
                        |old: &Limit| (old.unit(), old.window()) == (limit.unit(), limit.window());
                    let kept = old.limits().iter().position(same);
                    kept.map_or(self.all.len(), |kept| self.unseen[kept])
                };
                self.unseen = self.quota.limits().iter().map(unseen).collect();
                let plan = plan(self.quota, &self.settings);
                self.act(|state, now, wakes| state.set_plan(now, &plan, wakes));
                self.now += 1;
            }
            Step::Back(behind) => self.behind = behind,
            Step::Pause(paused) => {
                self.set_paused(paused);
            }
            _ => {}
        }
        self.settle_down();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_window_is_exceeded_no_waiter_lost_and_nothing_leaked(bursts: bool, first in 0..3_usize, steps in steps()) {
        let mut world = World::new(quotas(bursts)[first]);
        for step in steps {
            world.step(step);
        }
        world.finish();
    }
}
