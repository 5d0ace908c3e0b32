//! The scripts against the arithmetic in Rust, and that against a brute-force count: the same calls in any
//! order, at any times.

mod any_quota;
mod steps;

use proptest::prelude::*;
use test_support::redis::Server;

use self::steps::{Member, Step, config, quotas, steps};
use super::model::Model;
use super::script::body;
use super::shape::{self, Shape, shapes};
use super::wire::{self, Call, Correction, Learned, News, Reply, Script, Status, Tells, Wanted};
use crate::Quota;

struct World<'a> {
    now: f64,
    model: Model,
    server: Option<(&'a mut redis::Connection, String)>,
    members: Vec<Member>,

    /// All slots that were not given back, for the count.
    slots: Vec<(f64, Vec<f64>)>,
    counted: Option<Quota>,
}

const START: f64 = 1e15;
const GUARD: f64 = 50_000.0;

impl<'a> World<'a> {
    fn new(server: Option<(&'a mut redis::Connection, String)>, counted: Option<usize>) -> Self {
        let mut members = vec![Member::default(); 3];
        for member in &mut members {
            member.quota = counted.unwrap_or(0);
            let written = shape::written(&quotas()[member.quota]);
            member.known.epoch = shape::epoch(0, &written);
        }
        Self {
            now: START,
            model: Model::default(),
            server,
            members,
            slots: Vec::new(),
            counted: counted.map(|which| quotas()[which]),
        }
    }

    /// Makes the same call on both.
    fn call(&mut self, call: &Call) -> Reply {
        let answer = self.model.call(self.now, call);
        if let Some((server, key)) = &mut self.server {
            let mut command = redis::cmd("EVAL");
            command.arg(body(call.script));
            let keys = [format!("{key}:state"), format!("{key}:fleet")];
            match call.script {
                Script::Reserve(_) => command
                    .arg(1)
                    .arg(&keys[0])
                    .arg(&call.numbers)
                    .arg(self.now),
                Script::Sync => command
                    .arg(2)
                    .arg(&keys)
                    .arg(&call.numbers)
                    .arg(&call.member)
                    .arg(&call.quota)
                    .arg(self.now),
            };
            let theirs: Vec<u8> = command.query(server).unwrap();
            assert_eq!(
                wire::numbers(&theirs),
                wire::numbers(&answer),
                "the script and its twin disagree about {call:?}"
            );
        }
        Reply::read(&answer).unwrap()
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Pass(time) => self.now += super::number::count(time),
            Step::Back(time) => self.now -= super::number::count(time),
            Step::Reserve {
                who,
                costs,
                horizon,
                scale,
            } => self.reserve(who, &costs, f64::from(horizon), scale),
            Step::Sync {
                who,
                out,
                freeze,
                settle,
                seeds,
                beat,
                tells,
                learned,
            } => self.sync(who, out, freeze, &settle, &seeds, (beat, tells, learned)),
            Step::SetQuota(who, which) => {
                let member = &mut self.members[who];
                member.quota = which;
                member.version += 1;
                member.granted.clear();
                let written = shape::written(&quotas()[which]);
                member.known.epoch = shape::epoch(member.version, &written);
                member.known.version = 0.0;
            }
            Step::Ahead(who) => self.members[who].known.seen += 60e6,
            Step::Wipe => {
                self.model = Model::default();
                if let Some((server, _)) = &mut self.server {
                    redis::cmd("FLUSHALL").exec(*server).unwrap();
                }
            }
        }
    }

    fn shapes(&self, who: usize, scale: f64) -> Vec<Shape> {
        shapes(&quotas()[self.members[who].quota], scale)
    }

    fn reserve(&mut self, who: usize, costs: &[(u64, u64)], horizon: f64, scale: f64) {
        let counted = self.counted.is_some();
        let shapes = self.shapes(who, if counted { 1.0 } else { scale });
        let quota = quotas()[self.members[who].quota];
        let cost = |(input, output): (u64, u64)| {
            let cost = crate::Cost::tokens(input, output);
            let limits = quota.limits().iter();
            limits
                .map(|limit| super::number::count(cost.of(limit.unit())))
                .collect::<Vec<_>>()
        };
        let wanted: Vec<_> = costs
            .iter()
            .map(|it| Wanted {
                tokens: it.0 + it.1 > 0,
                costs: cost(*it),
            })
            .collect();
        let numbers = wire::reserve(self.members[who].known, &shapes, &wanted, horizon);
        let reply = self.call(&Call {
            script: Script::Reserve(shapes.len()),
            numbers,
            member: Vec::new(),
            quota: Vec::new(),
        });
        if reply.status == Status::Fine {
            let known = &mut self.members[who].known;
            known.seen = reply.now;
            if let Some(head) = &reply.head {
                known.version = head.version;
            }
            for (slot, wanted) in reply.slots().into_iter().zip(wanted) {
                assert!(slot >= reply.now);
                self.granted(slot, &wanted.costs);
                self.members[who].granted.push((slot, wanted.costs));
            }
        }
    }

    fn sync(
        &mut self,
        who: usize,
        out: Option<u64>,
        freeze: Option<(usize, u64)>,
        settle: &[(usize, u64)],
        seeds: &[u64],
        (beat, tells, (delta, err, want)): (bool, usize, (i32, u32, f64)),
    ) {
        let shapes = self.shapes(who, 1.0);
        let counted = self.counted.is_some();
        let mut news = News {
            guard: GUARD,
            beat,
            want,
            ttl: 120_000.0,
            expected: 3.0,
            ..News::default()
        };
        if let Some((which, until)) = freeze {
            let until = self.now + super::number::count(until);
            match which {
                2 => news.closed = until,
                unit => news.frozen[unit] = until,
            }
        }
        for (which, actual) in settle {
            let granted = &mut self.members[who].granted;
            if granted.is_empty() {
                break;
            }
            let (at, costs) = granted.remove(which % granted.len());
            let actual = super::number::count(*actual);
            // Given back, or settled for some other number of tokens.
            let back = which % 3 == 0;
            let less = costs.clone();
            let more: Vec<_> = costs
                .iter()
                .map(|cost| {
                    if back || counted {
                        0.0
                    } else {
                        actual.min(*cost * 2.0)
                    }
                })
                .collect();
            if let Some(slot) = self
                .slots
                .iter()
                .position(|slot| *slot == (at, costs.clone()))
            {
                self.slots.remove(slot);
            }
            news.corrections.push(Correction { at, less, more });
        }
        if !counted {
            if let Some(out) = out {
                news.since = (self.now - super::number::count(out)).max(1.0);
            }
            let mut at: Vec<_> = seeds
                .iter()
                .map(|ago| self.now - super::number::count(*ago))
                .collect();
            at.sort_by(f64::total_cmp);
            news.seeds = shapes
                .iter()
                .map(|_| at.iter().map(|at| (*at, 1.0)).collect())
                .collect();
        }
        news.tells = [Tells::Nothing, Tells::SoFar, Tells::All][if counted { 2 } else { tells }];
        news.written = self.now - f64::from(u8::from(beat)) * 300_000.0;
        let member = &self.members[who];
        let learned = Learned {
            delta: if counted { 0.0 } else { f64::from(delta) },
            most_guard: 250_000.0,
            err: f64::from(err),
        };
        let numbers = wire::sync(member.known, learned, &shapes, &news);
        let reply = self.call(&Call {
            script: Script::Sync,
            numbers,
            member: format!("member {who}").into_bytes(),
            quota: shape::written(&quotas()[member.quota]),
        });
        let member = &mut self.members[who];
        let head = reply.head.unwrap();
        if reply.status == Status::OtherQuota {
            let theirs = shape::quota(&reply.rest).unwrap();
            member.quota = quotas().iter().position(|quota| *quota == theirs).unwrap();
            member.version = shape::version(head.epoch);
            member.known.epoch = head.epoch;
            member.known.version = 0.0;
            member.granted.clear();
        } else if reply.status == Status::Fine {
            member.known.generation = head.generation;
            member.known.version = head.version;
            member.known.seen = reply.now;
        }
    }

    /// Checks a slot against all that stand before it.
    fn granted(&mut self, slot: f64, costs: &[f64]) {
        if let Some(quota) = &self.counted {
            for (index, shape) in shapes(quota, 1.0).iter().enumerate() {
                let inside = self
                    .slots
                    .iter()
                    .filter(|(at, _)| *at > slot - shape.window);
                let used: f64 = inside.map(|(_, costs)| costs[index]).sum();
                assert!(
                    used + costs[index] <= shape.most || used == 0.0 || costs[index] == 0.0,
                    "{used} + {} in {shape:?}",
                    costs[index]
                );
            }
        }
        self.slots.push((slot, costs.to_vec()));
    }
}

#[test]
fn the_scripts_do_what_their_twin_does() {
    let Some(server) = Server::start("") else {
        return;
    };
    let mut connection = redis::Client::open(server.url())
        .unwrap()
        .get_connection()
        .unwrap();
    let mut runner = proptest::test_runner::TestRunner::new(config(60));
    let connection = std::cell::RefCell::new(&mut connection);
    runner
        .run(&steps(true), |steps| {
            let mut connection = connection.borrow_mut();
            redis::cmd("FLUSHALL").exec(&mut connection).unwrap();
            let mut world = World::new(Some((&mut connection, "case".to_owned())), None);
            for step in steps {
                world.step(step);
            }
            Ok(())
        })
        .unwrap();
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn no_window_of_the_store_is_exceeded(which in 0..4_usize, steps in steps(false)) {
        let mut world = World::new(None, Some(which));
        for step in steps {
            world.step(step);
        }
    }
}
