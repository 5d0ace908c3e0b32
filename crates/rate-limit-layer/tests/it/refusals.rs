//! What the upstream's refusals do.

use http::StatusCode;
use rate_limit_layer::{Limiter, Quota};
use test_support::{Answer, Upstream, ok, throttled, throttled_for};
use throttle_signal::{Classified, Kind, Throttle, Wait};
use tokio::time::Instant;

use crate::support::{Body, chat, ms, pass, request, send, service};

fn refused_with(throttle: Throttle) -> http::Response<Body> {
    let mut response = throttled();
    response.extensions_mut().insert(Classified(Some(throttle)));
    response
}

/// Answers the first so, and all others well.
fn first(answer: impl Fn() -> http::Response<Body> + Send + 'static) -> Upstream {
    let mut count = 0;
    Upstream::answering(move |_| {
        count += 1;
        if count == 1 { answer() } else { ok() }
    })
}

/// When a request that follows a refusal is sent, in milliseconds.
async fn next_after(answer: impl Fn() -> http::Response<Body> + Send + 'static) -> u128 {
    let limiter = Limiter::builder()
        .default_quota(Quota::new().requests_per_second(10))
        .guard(ms(0))
        .build();
    let upstream = first(answer);
    let service = service(&limiter, &upstream);
    send(&service, request()).await.unwrap().unwrap();
    send(&service, request()).await.unwrap().unwrap();
    upstream.arrivals()[1]
}

#[tokio::test(start_paused = true)]
async fn a_stated_wait_holds_all_back_for_as_long() {
    let stated =
        || refused_with(Throttle::new(Kind::RequestRate).with_wait(Wait::Stated(ms(7_500))));
    assert_eq!(next_after(stated).await, 7_500);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_without_a_reason_holds_back_briefly() {
    assert_eq!(next_after(throttled).await, 100);
    let typical =
        || refused_with(Throttle::new(Kind::RequestRate).with_wait(Wait::Typical(ms(60_000))));
    assert_eq!(next_after(typical).await, 100);
}

#[tokio::test(start_paused = true)]
async fn one_after_another_it_holds_back_longer() {
    let limiter = Limiter::builder()
        .default_quota(Quota::new().requests_per_second(10))
        .guard(ms(0))
        .build();
    let upstream = Upstream::answering(|_| {
        refused_with(Throttle::new(Kind::RequestRate).with_wait(Wait::Typical(ms(1000))))
    });
    let service = service(&limiter, &upstream);
    for _ in 0..7 {
        send(&service, request()).await.unwrap().unwrap();
    }
    assert_eq!(upstream.arrivals(), [0, 100, 500, 1500, 2500, 3500, 4500]);
}

#[tokio::test(start_paused = true)]
async fn those_refused_together_are_one_refusal() {
    let mut count = 0;
    let upstream = Upstream::answering(move |_| {
        count += 1;
        Answer::from(if count <= 5 { throttled() } else { ok() }).after(ms(2000))
    });
    let limiter = Limiter::builder()
        .default_quota(Quota::new().requests_per_second(10))
        .guard(ms(0))
        .build();
    let service = service(&limiter, &upstream);
    let tasks: Vec<_> = (0..5).map(|_| send(&service, request())).collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let began = Instant::now();
    send(&service, request()).await.unwrap().unwrap();
    assert!(began.elapsed() <= ms(2100), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn growth_refused_holds_back_for_the_typical_wait_and_slows_down() {
    let burst = || refused_with(Throttle::new(Kind::Burst).with_wait(Wait::Typical(ms(5000))));
    let upstream = first(burst);
    let limiter = Limiter::builder()
        .default_quota(Quota::new().requests_per_second(10))
        .guard(ms(0))
        .build();
    let service = service(&limiter, &upstream);
    send(&service, request()).await.unwrap().unwrap();
    let tasks: Vec<_> = (0..20).map(|_| send(&service, request())).collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let arrivals = upstream.arrivals();
    assert_eq!(arrivals[1], 5000);
    assert!(arrivals[2] - arrivals[1] >= 390, "{arrivals:?}");
    assert!(
        arrivals[20] - arrivals[19] < arrivals[2] - arrivals[1],
        "{arrivals:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_refusal_of_growth_taught_outlives_a_pause() {
    let burst = || refused_with(Throttle::new(Kind::Burst).with_wait(Wait::Typical(ms(5000))));
    let upstream = first(burst);
    let limiter = Limiter::builder()
        .default_quota(Quota::new().requests_per_second(10))
        .guard(ms(0))
        .build();
    let service = service(&limiter, &upstream);
    send(&service, request()).await.unwrap().unwrap();
    for pause in [180_000, 1_800_000] {
        // Others come meanwhile, and what is idle is forgotten.
        pass(pause).await;
        limiter.sweep();
        let tasks: Vec<_> = (0..3).map(|_| send(&service, request())).collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        let arrivals = upstream.arrivals();
        let last = arrivals.len() - 1;
        assert!(arrivals[last] - arrivals[last - 1] >= 300, "{arrivals:?}");
    }
    pass(4_000_000).await;
    limiter.sweep();
    assert_eq!(limiter.snapshot().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn too_many_tokens_hold_back_only_what_has_tokens() {
    let limiter = Limiter::builder()
        .default_quota(
            Quota::new()
                .requests_per_second(10)
                .tokens_per_minute(1_000_000),
        )
        .guard(ms(0))
        .build();
    let upstream =
        first(|| refused_with(Throttle::new(Kind::TokenRate).with_wait(Wait::Stated(ms(9000)))));
    let service = service(&limiter, &upstream);
    send(&service, request()).await.unwrap().unwrap();
    let without = send(&service, request());
    without.await.unwrap().unwrap();
    assert_eq!(upstream.arrivals()[1], 98);
    let limiter = Limiter::builder()
        .default_quota(Quota::new().tokens_per_minute(1_000_000))
        .build();
    let upstream =
        first(|| refused_with(Throttle::new(Kind::TokenRate).with_wait(Wait::Stated(ms(9000)))));
    let service = crate::support::service(&limiter, &upstream);
    send(&service, chat("m", 10)).await.unwrap().unwrap();
    send(&service, chat("m", 10)).await.unwrap().unwrap();
    assert_eq!(upstream.arrivals()[1], 9000);
}

#[tokio::test(start_paused = true)]
async fn it_is_marked_as_paced() {
    let limiter = Limiter::new(Quota::new().requests_per_second(10));
    for (kind, paced) in [
        (Kind::RequestRate, true),
        (Kind::TokenRate, true),
        (Kind::Burst, true),
        (Kind::QuotaExhausted, false),
        (Kind::Overloaded, false),
        (Kind::Credential, false),
    ] {
        let upstream = first(move || refused_with(Throttle::new(kind)));
        let response = send(&service(&limiter, &upstream), request())
            .await
            .unwrap()
            .unwrap();
        let throttle = Classified::throttle(response.extensions()).unwrap();
        assert_eq!(throttle.paced(), paced, "{kind}");
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    }
}

#[tokio::test(start_paused = true)]
async fn an_exhausted_quota_closes_until_its_reset() {
    let exhausted =
        || refused_with(Throttle::new(Kind::QuotaExhausted).with_wait(Wait::Stated(ms(60_000))));
    let upstream = first(exhausted);
    let service = service(
        &Limiter::new(Quota::new().requests_per_second(10)),
        &upstream,
    );
    send(&service, request()).await.unwrap().unwrap();
    let response = send(&service, request()).await.unwrap().unwrap();
    let throttle = Classified::throttle(response.extensions()).unwrap();
    assert_eq!(
        (throttle.kind(), throttle.retry()),
        (Kind::QuotaExhausted, false)
    );
    assert_eq!(throttle.wait(), Wait::Stated(ms(60_000)));
    pass(60_001).await;
    send(&service, request()).await.unwrap().unwrap();
    assert_eq!(upstream.arrivals().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_short_hint_does_not_shorten_a_long_one() {
    let mut count = 0;
    let upstream = Upstream::answering(move |_| {
        count += 1;
        match count {
            1 => Answer::from(throttled_for(20)),
            2 => Answer::from(throttled()).after(ms(100)),
            _ => Answer::from(ok()),
        }
    });
    let limiter = Limiter::builder()
        .default_quota(Quota::new().requests_per_minute(600))
        .guard(ms(0))
        .build();
    let service = service(&limiter, &upstream);
    let both = [send(&service, request()), send(&service, request())];
    for task in both {
        task.await.unwrap().unwrap();
    }
    send(&service, request()).await.unwrap().unwrap();
    assert!(upstream.arrivals()[2] >= 1000, "{:?}", upstream.arrivals());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_at_random_is_served_in_bounded_time() {
    let mut seed = 5_u64;
    let upstream = Upstream::answering(move |_| {
        seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        Answer::from(if (mixed >> 40) % 5 == 0 {
            throttled()
        } else {
            ok()
        })
        .after(ms(50))
    });
    let limiter = Limiter::new(
        Quota::new()
            .requests_per_second(10)
            .requests_per_minute(600),
    );
    let service = service(&limiter, &upstream);
    let began = Instant::now();
    let tasks: Vec<_> = (0..500)
        .map(|_| {
            let service = service.clone();
            tokio::spawn(async move {
                let arrived = throttle_signal::RequestFacts::new(Instant::now());
                loop {
                    let mut request = request();
                    request.extensions_mut().insert(arrived.clone());
                    let response = send(&service, request).await.unwrap().unwrap();
                    if response.status() == StatusCode::OK {
                        return;
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    // 625 sends take 62 s at the full rate.
    assert!(began.elapsed() < ms(180_000), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn too_many_at_once_lowers_how_many_go_at_once() {
    let mut count = 0;
    let upstream = Upstream::answering(move |_| {
        count += 1;
        if count == 4 {
            Answer::from(refused_with(Throttle::new(Kind::Concurrency)))
        } else {
            Answer::from(ok()).after(ms(1000))
        }
    });
    let service = service(&Limiter::builder().build(), &upstream);
    let tasks: Vec<_> = (0..8).map(|_| send(&service, request())).collect();
    pass(1).await;
    assert_eq!(upstream.in_flight(), 3);
    for task in tasks {
        drop(task.await.unwrap().unwrap());
    }
    assert_eq!(upstream.arrivals().len(), 8);
}
