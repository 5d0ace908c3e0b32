//! The handle: looking at a limiter and changing it.

use rate_limit_layer::{Limiter, Quota};
use test_support::{Answer, Upstream, ok, throttled_for};
use throttle_signal::{AccountId, Headroom, RequestFacts};
use tokio::time::Instant;

use crate::support::{chat, ms, pass, request, send, service};

const TEN: Quota = Quota::new().requests_per_second(10);

#[tokio::test(start_paused = true)]
async fn an_increase_takes_effect_at_once() {
    let limiter = Limiter::builder()
        .model("m", Quota::new().requests_per_minute(1))
        .guard(ms(0))
        .build();
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter, &upstream);
    let tasks: Vec<_> = (0..3).map(|_| send(&service, chat("m", 9))).collect();
    pass(100).await;
    assert_eq!(upstream.arrivals().len(), 1);
    limiter.set_quota("m", Quota::new().requests_per_minute(600));
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert!(
        *upstream.arrivals().last().unwrap() <= 60_200,
        "{:?}",
        upstream.arrivals()
    );
}

#[tokio::test(start_paused = true)]
async fn an_increase_makes_no_burst() {
    let limiter = Limiter::builder()
        .model("m", Quota::new().requests_per_minute(6))
        .guard(ms(0))
        .build();
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter, &upstream);
    let tasks: Vec<_> = (0..12).map(|_| send(&service, chat("m", 9))).collect();
    pass(5_000).await;
    limiter.set_quota("m", Quota::new().requests_per_minute(600));
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let arrivals = upstream.arrivals();
    let gaps: Vec<_> = arrivals.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(gaps.iter().all(|gap| *gap >= 99), "{arrivals:?}");
    assert!(*arrivals.last().unwrap() <= 6_200, "{arrivals:?}");
}

#[tokio::test(start_paused = true)]
async fn a_cut_becomes_debt() {
    let quota = Quota::new().requests_per_minute(100).allow_bursts();
    let limiter = Limiter::builder().model("m", quota).guard(ms(0)).build();
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter, &upstream);
    for _ in 0..100 {
        send(&service, chat("m", 9)).await.unwrap().unwrap();
    }
    limiter.set_quota("m", Quota::new().requests_per_minute(10).allow_bursts());
    assert_eq!(limiter.snapshot()[0].limits[0].used, 100);
    send(&service, chat("m", 9)).await.unwrap().unwrap();
    assert_eq!(upstream.arrivals()[100], 60_000);
}

#[tokio::test(start_paused = true)]
async fn a_model_can_be_given_a_quota_while_it_is_used() {
    let limiter = Limiter::builder().guard(ms(0)).build();
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter, &upstream);
    send(&service, chat("m", 9)).await.unwrap().unwrap();
    limiter.set_quota("m", TEN);
    for _ in 0..11 {
        send(&service, chat("m", 9)).await.unwrap().unwrap();
    }
    assert!(*upstream.arrivals().last().unwrap() >= 998);
}

#[tokio::test(start_paused = true)]
async fn nothing_goes_while_it_is_paused() {
    let limiter = Limiter::new(TEN);
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter, &upstream);
    send(&service, request()).await.unwrap().unwrap();
    limiter.pause();
    let (known, unknown) = (send(&service, request()), send(&service, chat("new", 9)));
    pass(60_000).await;
    assert_eq!(upstream.arrivals().len(), 1);
    limiter.resume();
    known.await.unwrap().unwrap();
    unknown.await.unwrap().unwrap();
    assert_eq!(upstream.arrivals(), [0, 60_000, 60_000]);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_shows_how_it_stands() {
    let limiter = Limiter::builder().model("m", TEN.concurrent(9)).build();
    let upstream = Upstream::answering(|_| Answer::from(throttled_for(30)).after(ms(10)));
    let service = service(&limiter, &upstream);
    let tasks: Vec<_> = (0..3).map(|_| send(&service, chat("m", 9))).collect();
    pass(1).await;
    let snapshot = limiter.snapshot().remove(0);
    assert_eq!(snapshot.model.as_deref(), Some("m"));
    assert_eq!((snapshot.waiting, snapshot.in_flight), (2, 1));
    assert_eq!(
        (snapshot.limits[0].used, snapshot.limits[0].limit.most()),
        (1, 10)
    );
    assert_eq!((snapshot.guard, snapshot.frozen_until), (ms(50), None));
    pass(20).await;
    let snapshot = limiter.snapshot().remove(0);
    assert!(
        snapshot
            .frozen_until
            .is_some_and(|at| at > Instant::now() + ms(29_000))
    );
    assert!(snapshot.earliest >= snapshot.frozen_until);
    for task in tasks {
        task.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn it_tells_when_an_account_has_room() {
    let limiter = Limiter::builder().default_quota(TEN).guard(ms(0)).build();
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter, &upstream);
    let (one, two) = (AccountId::from("one"), AccountId::from("two"));
    for _ in 0..3 {
        let mut request = request();
        request.extensions_mut().insert(one.clone());
        tokio::spawn(tower::ServiceExt::oneshot(service.clone(), request));
    }
    pass(1).await;
    let now = Instant::now();
    let facts = RequestFacts::new(now);
    let wait = limiter.earliest(&one, &facts, now).unwrap() - now;
    assert!((290..=300).contains(&wait.as_millis()), "{wait:?}");
    assert_eq!(limiter.earliest(&two, &facts, now), Some(now));
}

#[tokio::test(start_paused = true)]
async fn requests_at_once_are_bounded_until_their_bodies_end() {
    let limiter = Limiter::new(Quota::new().concurrent(2));
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter, &upstream);
    let one = send(&service, request()).await.unwrap().unwrap();
    let two = send(&service, request()).await.unwrap().unwrap();
    let three = send(&service, request());
    pass(60_000).await;
    assert_eq!(upstream.arrivals().len(), 2);
    drop(one);
    three.await.unwrap().unwrap();
    assert_eq!(upstream.arrivals(), [0, 0, 60_000]);
    drop(two);
}

#[tokio::test(start_paused = true)]
async fn what_is_idle_is_forgotten() {
    let limiter = Limiter::new(TEN);
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter, &upstream);
    for model in 0..100 {
        send(&service, chat(&model.to_string(), 9))
            .await
            .unwrap()
            .unwrap();
    }
    limiter.sweep();
    assert_eq!(limiter.snapshot().len(), 100);
    pass(2_000).await;
    limiter.sweep();
    assert_eq!(limiter.snapshot().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_idle_is_forgotten_as_others_come() {
    let limiter = Limiter::new(TEN);
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter, &upstream);
    for model in 0..100 {
        send(&service, chat(&model.to_string(), 9))
            .await
            .unwrap()
            .unwrap();
    }
    for _ in 0..20 {
        pass(10_000).await;
        send(&service, chat("one", 9)).await.unwrap().unwrap();
    }
    assert_eq!(limiter.snapshot().len(), 1);
}

/// An upstream that says this of its limits with every answer.
fn stating(fields: &'static [(&'static str, &'static str)]) -> Upstream {
    Upstream::answering(move |_| {
        let mut response = ok();
        for (name, value) in fields {
            response.headers_mut().insert(*name, value.parse().unwrap());
        }
        response
    })
}

#[tokio::test(start_paused = true)]
async fn what_the_upstream_says_is_left_lowers_what_there_is() {
    let quota = Quota::new().requests_per_minute(100).allow_bursts();
    let limiter = Limiter::builder().default_quota(quota).guard(ms(0)).build();
    let upstream = stating(&[
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-reset-requests", "20s"),
    ]);
    let service = service(&limiter, &upstream);
    send(&service, request()).await.unwrap().unwrap();
    assert_eq!(limiter.snapshot()[0].limits[0].used, 100);
    send(&service, request()).await.unwrap().unwrap();
    assert_eq!(upstream.arrivals(), [0, 20_000]);
}

#[tokio::test(start_paused = true)]
async fn what_the_upstream_says_is_left_never_raises_it() {
    let quota = Quota::new().requests_per_minute(3).allow_bursts();
    let limiter = Limiter::builder().default_quota(quota).guard(ms(0)).build();
    let upstream = stating(&[("ratelimit", "\"default\";r=1000;t=1")]);
    let service = service(&limiter, &upstream);
    for _ in 0..4 {
        send(&service, request()).await.unwrap().unwrap();
    }
    assert_eq!(upstream.arrivals(), [0, 0, 0, 60_000]);
}

#[tokio::test(start_paused = true)]
async fn limits_the_upstream_states_are_adopted_if_asked_for() {
    for adopt in [false, true] {
        let limiter = Limiter::builder()
            .default_quota(Quota::new().requests_per_minute(60))
            .adopt_limits(adopt)
            .build();
        let upstream = stating(&[
            ("x-ratelimit-limit-requests", "600"),
            ("x-ratelimit-limit-tokens", "9000"),
        ]);
        send(&service(&limiter, &upstream), request())
            .await
            .unwrap()
            .unwrap();
        let limits: Vec<_> = limiter.snapshot()[0]
            .limits
            .iter()
            .map(|limit| limit.limit.most())
            .collect();
        assert_eq!(limits, if adopt { vec![600, 9000] } else { vec![60] });
    }
}
