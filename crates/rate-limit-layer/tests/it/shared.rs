//! A fleet that shares a quota through a store in this process, in virtual time.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, StatusCode};
use rate_limit_layer::shared::{LocalStore, Outage, SharedStore};
use rate_limit_layer::{Limiter, Quota, RateLimit, Unit};
use test_support::{Upstream, ok, throttled_for};
use throttle_signal::StartBy;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tower::ServiceExt;

use crate::support::{Body, chat, ms, pass, service};

const QUOTA: Quota = Quota::new()
    .limit(Unit::Requests, 100, Duration::from_secs(2))
    .limit(Unit::Requests, 600, Duration::from_secs(12));

const MODEL: &str = "qwen3-max";

fn request() -> Request<Body> {
    chat(MODEL, 100)
}

/// An instance of the fleet.
struct Instance {
    store: SharedStore,
    limiter: Limiter,
    service: RateLimit<Upstream>,
    driver: JoinHandle<()>,
    sending: JoinSet<()>,
}

/// What all of them sent, as milliseconds since the upstream began.
#[derive(Clone, Default)]
struct Sent(Arc<Mutex<Vec<(Instant, usize)>>>);

struct Fleet {
    local: LocalStore,
    sent: Sent,
    began: Instant,
    instances: Vec<Instance>,
}

impl Fleet {
    fn new(size: usize) -> Self {
        Self::with(size, QUOTA, Outage::LastShare)
    }

    fn with(size: usize, quota: Quota, outage: Outage) -> Self {
        let local = LocalStore::new();
        local.set_latency(ms(1));
        let mut fleet = Self {
            local,
            sent: Sent::default(),
            began: Instant::now(),
            instances: Vec::new(),
        };
        (0..size).for_each(|_| fleet.join(quota, outage));
        fleet
    }

    fn join(&mut self, quota: Quota, outage: Outage) {
        let builder = SharedStore::builder().outage(outage);
        let (store, driver) = builder.join(&self.local);
        let limiter = Limiter::builder()
            .model(MODEL, quota)
            .guard(ms(20))
            .shared(store.clone())
            .build();
        let (sent, number) = (self.sent.clone(), self.instances.len());
        let upstream = Upstream::answering(move |_| {
            sent.0.lock().unwrap().push((Instant::now(), number));
            ok()
        });
        self.instances.push(Instance {
            service: service(&limiter, &upstream),
            store,
            limiter,
            driver: tokio::spawn(driver),
            sending: JoinSet::new(),
        });
    }

    /// Has an instance send so many a second, for so many seconds.
    fn load(&mut self, instance: usize, rate: u32, seconds: u32) {
        let instance = &mut self.instances[instance];
        let service = instance.service.clone();
        instance.sending.spawn(async move {
            let mut tasks = JoinSet::new();
            for _ in 0..rate * seconds {
                tasks.spawn(service.clone().oneshot(request()));
                tokio::time::sleep(Duration::from_secs(1) / rate).await;
            }
            while let Some(answer) = tasks.join_next().await {
                answer.unwrap().unwrap();
            }
        });
    }

    fn load_all(&mut self, rate: u32, seconds: u32) {
        (0..self.instances.len()).for_each(|instance| self.load(instance, rate, seconds));
    }

    /// How many were sent between these seconds, by one instance or all.
    fn sent(&self, from: u64, to: u64, instance: Option<usize>) -> usize {
        let sent = self.sent.0.lock().unwrap();
        let window = self.began + Duration::from_secs(from)..self.began + Duration::from_secs(to);
        let of = |who: usize| instance.is_none_or(|instance| instance == who);
        sent.iter()
            .filter(|(at, who)| window.contains(at) && of(*who))
            .count()
    }

    /// No window of the quota holds more than its limit.
    fn check(&self, quota: &Quota) {
        self.check_but(quota, 0, 0);
    }

    /// The same, but for windows that end in these seconds, which may hold so much more for each 100.
    fn check_but(&self, quota: &Quota, from: u64, percent: usize) {
        let sent = self.sent.0.lock().unwrap();
        for limit in quota.limits() {
            let most = usize::try_from(limit.most()).unwrap();
            let mut first = 0;
            for (last, (at, _)) in sent.iter().enumerate() {
                while sent[first].0 + limit.window() <= *at {
                    first += 1;
                }
                let count = last - first + 1;
                let since = *at - self.began;
                let more = if since >= Duration::from_secs(from) {
                    percent
                } else {
                    0
                };
                let most = most + most * more / 100;
                assert!(count <= most, "{count} in {limit:?} after {since:?}");
            }
        }
    }

    fn in_outage(&self) -> usize {
        let out = self.instances.iter().map(|one| one.store.stats().in_outage);
        out.sum()
    }
}

#[tokio::test(start_paused = true)]
async fn a_fleet_uses_its_quota_up_and_exceeds_no_window() {
    let mut fleet = Fleet::new(8);
    fleet.load_all(10, 60); // one and a half times the quota
    pass(60_000).await;
    fleet.check(&QUOTA);
    // 100 in 2.02 s.
    let sent = fleet.sent(12, 60, None);
    assert!(sent >= 2_370, "{sent} of 2376");
    let shares: Vec<_> = (0..8).map(|it| fleet.sent(12, 60, Some(it))).collect();
    assert!(
        shares.iter().all(|share| (287..=307).contains(share)),
        "{shares:?}"
    );
    let stats: Vec<_> = fleet
        .instances
        .iter()
        .map(|one| one.store.stats())
        .collect();
    let calls: u64 = stats
        .iter()
        .map(|one| one.reserve_calls + one.other_calls)
        .sum();
    let grants: u64 = stats.iter().map(|one| one.grants).sum();
    assert!(
        calls * 100 <= grants * 105,
        "{calls} calls for {grants} slots {stats:?}"
    );
    assert!(
        stats
            .iter()
            .all(|one| one.failed_calls == 0 && one.instances == 8)
    );
}

#[tokio::test(start_paused = true)]
async fn one_instance_alone_has_the_whole_quota() {
    let mut fleet = Fleet::new(3);
    fleet.load(1, 80, 40);
    pass(40_000).await;
    fleet.check(&QUOTA);
    let sent = fleet.sent(12, 36, None);
    assert!(sent >= 1_182, "{sent} of 1188");
}

#[tokio::test(start_paused = true)]
async fn a_request_with_room_waits_for_no_more_than_a_call() {
    let fleet = Fleet::new(2);
    let first = &fleet.instances[0].service;
    first.clone().oneshot(request()).await.unwrap();
    for _ in 0..20 {
        pass(100).await;
        let asked = Instant::now();
        first.clone().oneshot(request()).await.unwrap();
        assert!(asked.elapsed() <= ms(3), "{:?}", asked.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn shares_follow_who_joins_and_who_dies_within_a_second() {
    let mut fleet = Fleet::new(2);
    fleet.load_all(60, 40);
    pass(20_000).await;
    fleet.join(QUOTA, Outage::LastShare);
    fleet.load(2, 60, 20);
    pass(10_000).await;
    let share = fleet.sent(21, 30, Some(2));
    assert!((140..=158).contains(&share), "{share} of 445 for the third");

    // It dies with all who wait for it.
    let dead = fleet.instances.pop().unwrap();
    dead.driver.abort();
    drop(dead);
    let sent_before = fleet.sent(0, 30, Some(2));
    pass(10_000).await;
    assert_eq!(fleet.sent(0, 40, Some(2)), sent_before);
    let share = fleet.sent(31, 40, None);
    let each: Vec<_> = (20..40).map(|at| fleet.sent(at, at + 1, None)).collect();
    assert!(
        share >= 440,
        "{share} of 445 for the two that are left {each:?}"
    );
    fleet.check(&QUOTA);
}

#[tokio::test(start_paused = true)]
async fn the_last_share_goes_on_while_the_store_is_away() {
    let mut fleet = Fleet::new(8);
    fleet.load_all(10, 60);
    pass(24_000).await;
    fleet.local.set_reachable(false);
    pass(12_000).await;
    assert_eq!(fleet.in_outage(), 8);
    let away = fleet.sent(24, 36, None);
    assert!(away >= 540, "{away} of 594");
    fleet.local.set_reachable(true);
    pass(24_000).await;
    assert_eq!(fleet.in_outage(), 0);
    fleet.check(&QUOTA);
    let back = fleet.sent(38, 60, None);
    assert!(back >= 1_080, "{back} of 1089 once it is back");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_comes_back_empty_grants_nothing_until_all_have_told() {
    let mut fleet = Fleet::new(8);
    fleet.load_all(10, 60);
    pass(24_000).await;
    fleet.local.set_reachable(false);
    pass(5_000).await;
    fleet.local.wipe();
    fleet.local.set_reachable(true);
    pass(31_000).await;
    fleet.check(&QUOTA);
    let back = fleet.sent(31, 60, None);
    let each: Vec<_> = (20..60).map(|at| fleet.sent(at, at + 1, None)).collect();
    assert!(back >= 1_420, "{back} of 1435 once it is back {each:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wipe_opens_no_window() {
    let mut fleet = Fleet::new(8);
    fleet.load_all(10, 60);
    for _ in 0..5 {
        pass(7_300).await;
        fleet.local.wipe();
    }
    pass(20_000).await;
    fleet.check(&QUOTA);
    let sent = fleet.sent(12, 48, None);
    assert!(sent >= 1_650, "{sent} of 1782");
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_does_not_come_back_is_counted_with_its_part() {
    let mut fleet = Fleet::new(4);
    fleet.load_all(15, 60);
    pass(20_000).await;
    let dead = fleet.instances.pop().unwrap();
    dead.driver.abort();
    drop(dead);
    fleet.local.wipe();
    pass(20_000).await;
    fleet.check(&QUOTA);
    let sent = fleet.sent(22, 40, None);
    assert!(sent >= 600, "{sent}");
}

#[tokio::test(start_paused = true)]
async fn a_dead_store_costs_one_time_limit_and_not_one_for_each_request() {
    let fleet = Fleet::new(1);
    let service = &fleet.instances[0].service;
    service.clone().oneshot(request()).await.unwrap();
    fleet.local.set_reachable(false);
    pass(1_600).await;
    let asked = Instant::now();
    for _ in 0..5 {
        service.clone().oneshot(request()).await.unwrap();
    }
    let stats = fleet.instances[0].store.stats();
    assert!(asked.elapsed() <= ms(10), "{:?} {stats:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_outage_goes_by_its_name() {
    let cases = [
        (Outage::Closed, 0..=0),
        (Outage::Share(NonZeroU32::new(4).unwrap()), 140..=155),
        (Outage::Open, 590..=605),
    ];
    for (outage, expected) in cases {
        let mut fleet = Fleet::with(1, QUOTA, outage);
        fleet.instances[0]
            .service
            .clone()
            .oneshot(request())
            .await
            .unwrap();
        pass(20_000).await;
        fleet.local.set_reachable(false);
        fleet.load(0, 60, 13);
        pass(12_100).await;
        let sent = fleet.sent(20, 33, None);
        assert!(expected.contains(&sent), "{outage:?}: {sent}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_who_never_reached_the_store_waits() {
    let local = LocalStore::new();
    local.set_reachable(false);
    let (store, driver) = SharedStore::builder().join(&local);
    tokio::spawn(driver);
    let limiter = Limiter::builder().model(MODEL, QUOTA).shared(store).build();
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter, &upstream);
    let waits = tokio::spawn(service.oneshot(request()));
    pass(5_000).await;
    assert!(!waits.is_finished());
    local.set_reachable(true);
    pass(300).await;
    assert!(waits.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_quota_set_on_one_reaches_all() {
    let mut fleet = Fleet::new(3);
    fleet.load_all(30, 40);
    pass(15_000).await;
    let less = QUOTA.limit(Unit::Requests, 10, Duration::from_secs(2));
    fleet.instances[0].limiter.set_quota(MODEL, less);
    pass(15_000).await;
    let sent = fleet.sent(18, 30, None);
    assert!((57..=60).contains(&sent), "{sent} of 60");
    fleet.instances[2].limiter.set_quota(MODEL, QUOTA);
    pass(10_000).await;
    let sent = fleet.sent(31, 40, None);
    assert!(sent >= 440, "{sent} of 445");
    fleet.check(&QUOTA);
}

#[tokio::test(start_paused = true)]
async fn a_quota_set_where_nothing_is_sent_reaches_those_who_send() {
    let mut fleet = Fleet::new(3);
    let less = QUOTA.limit(Unit::Requests, 10, Duration::from_secs(2));
    let least = QUOTA.limit(Unit::Requests, 4, Duration::from_secs(2));
    fleet.load(0, 60, 40);
    fleet.load(1, 60, 40);
    pass(3_000).await;
    fleet.instances[1].limiter.set_quota(MODEL, less);
    pass(12_000).await;
    fleet.instances[2].limiter.set_quota(MODEL, least);
    pass(15_000).await;
    let sent = fleet.sent(18, 30, None);
    assert!((21..=24).contains(&sent), "{sent} of 24");
}

/// It was: the partition was forgotten, and with it that its quota was set later than the one it was built with.
#[tokio::test(start_paused = true)]
async fn a_quota_that_was_set_is_not_forgotten_where_nothing_is_sent() {
    let less = QUOTA.limit(Unit::Requests, 10, Duration::from_secs(2));
    for (built, set) in [(QUOTA, less), (less, QUOTA)] {
        let mut fleet = Fleet::with(2, built, Outage::LastShare);
        fleet.load_all(5, 3);
        pass(2_000).await;
        fleet.instances[0].limiter.set_quota(MODEL, set);
        pass(60_000).await;
        fleet.instances.iter().for_each(|it| it.limiter.sweep());
        fleet.local.wipe(); // as when the keys' time to live is over
        for instance in [1, 0] {
            fleet.load(instance, 5, 3);
            pass(5_000).await;
        }
        for instance in &fleet.instances {
            let limits = instance.limiter.snapshot()[0].limits.clone();
            let limits: Vec<_> = limits.iter().map(|it| it.limit).collect();
            assert_eq!(limits, set.limits());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_one_holds_back_all() {
    let local = LocalStore::new();
    let sent = Sent::default();
    let services: Vec<_> = (0..3)
        .map(|number| {
            let (store, driver) = SharedStore::builder().join(&local);
            tokio::spawn(driver);
            let limiter = Limiter::builder().model(MODEL, QUOTA).shared(store).build();
            let sent = sent.clone();
            let upstream = Upstream::answering(move |_| {
                let mut sent = sent.0.lock().unwrap();
                sent.push((Instant::now(), number));
                if sent.len() == 30 {
                    throttled_for(5)
                } else {
                    ok()
                }
            });
            service(&limiter, &upstream)
        })
        .collect();
    let mut tasks = JoinSet::new();
    for service in services.iter().cycle().take(300) {
        tasks.spawn(service.clone().oneshot(request()));
    }
    pass(4_000).await;
    // The refused one, and what was on its way until the others heard of it.
    let count = sent.0.lock().unwrap().len();
    assert!((30..=50).contains(&count), "{count}");
    pass(3_000).await;
    assert!(sent.0.lock().unwrap().len() > 80);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_known_to_be_too_long_is_refused_without_a_call() {
    let mut fleet = Fleet::new(4);
    fleet.load_all(20, 30);
    pass(20_000).await;
    let one = &fleet.instances[0];
    let before = one.store.stats().reserve_calls;
    let asked = Instant::now();
    for _ in 0..200 {
        let mut request = request();
        request
            .extensions_mut()
            .insert(StartBy(Instant::now() + ms(50)));
        let answer = one.service.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(asked.elapsed() <= ms(1));
    assert_eq!(one.store.stats().reserve_calls, before);
}

#[tokio::test(start_paused = true)]
async fn slots_of_those_who_give_up_go_to_others() {
    let mut fleet = Fleet::new(2);
    fleet.load(0, 60, 30);
    let impatient = fleet.instances[1].service.clone();
    let storm = tokio::spawn(async move {
        loop {
            let tasks: Vec<_> = (0..10)
                .map(|_| tokio::spawn(impatient.clone().oneshot(request())))
                .collect();
            pass(97).await;
            tasks.iter().for_each(JoinHandle::abort);
            pass(3).await;
        }
    });
    pass(26_000).await;
    storm.abort();
    fleet.check(&QUOTA);
    let sent = fleet.sent(12, 24, None);
    assert!(sent >= 585, "{sent} of 594");
}

#[tokio::test(start_paused = true)]
async fn without_its_driver_an_instance_goes_on_as_in_an_outage() {
    let fleet = Fleet::new(2);
    let one = &fleet.instances[0];
    one.service.clone().oneshot(request()).await.unwrap();
    one.driver.abort();
    pass(10).await;
    one.service.clone().oneshot(request()).await.unwrap();
    assert_eq!(fleet.in_outage(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_waits_when_the_driver_is_dropped_goes_by_the_outage() {
    let fleet = Fleet::new(2);
    let one = &fleet.instances[0];
    let mut waiting = JoinSet::new();
    for _ in 0..80 {
        waiting.spawn(one.service.clone().oneshot(request()));
    }
    pass(100).await;
    one.driver.abort();
    pass(5_000).await;
    let mut answered = 0;
    while let Some(answer) = waiting.try_join_next() {
        assert_eq!(answer.unwrap().unwrap().status(), StatusCode::OK);
        answered += 1;
    }
    assert_eq!(answered, 80);
    fleet.check(&QUOTA);
}

#[tokio::test(start_paused = true)]
async fn who_waits_when_the_driver_is_dropped_and_may_not_go_on_is_refused_in_time() {
    let fleet = Fleet::with(1, QUOTA, Outage::Closed);
    let one = &fleet.instances[0];
    let mut waiting = JoinSet::new();
    for _ in 0..80 {
        let mut request = request();
        let start_by = StartBy(Instant::now() + ms(2_000));
        request.extensions_mut().insert(start_by);
        waiting.spawn(one.service.clone().oneshot(request));
    }
    pass(100).await;
    one.driver.abort();
    pass(2_100).await;
    let mut refused = 0;
    while let Some(answer) = waiting.try_join_next() {
        let status = answer.unwrap().unwrap().status();
        refused += usize::from(status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(waiting.is_empty(), "{} still wait", waiting.len());
    assert!(refused >= 60, "{refused}");
}

#[tokio::test(start_paused = true)]
async fn the_driver_ends_with_the_last_handle() {
    let mut fleet = Fleet::new(1);
    let one = fleet.instances.pop().unwrap();
    one.service.clone().oneshot(request()).await.unwrap();
    drop((one.store, one.limiter, one.service));
    pass(1).await;
    assert!(one.driver.is_finished());
}
