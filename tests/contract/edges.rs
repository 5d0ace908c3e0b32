//! Configuration at its edges: refused in so many words, or taken as documented; never a panic, and
//! never a request that spins or hangs for it.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fallback_layer::{Candidate, FallbackLayer, Triggers};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use key_rotation_layer::{Account, Conversation, InvalidPool, KeyPool, KeyRotationLayer, Strategy};
use rate_limit_layer::inbound::{InboundLayer, Rate, RequestCost};
use rate_limit_layer::{Limiter, Quota, RateLimitLayer, Unit};
use retry_429_layer::{Backoff, Retry429Layer, TokenBudget};
use test_support::{Upstream, UpstreamError, json, ok, throttled, throttled_for};
use throttle_signal::{Profile, Reader, Tenant};
use tokio::time::{Instant, timeout};
use tower::{Layer, Service, ServiceExt};

use crate::laws::{Chat, SECOND, chat};

const ZERO: Duration = Duration::ZERO;
const EVER: Duration = Duration::MAX;

/// No number, no bound, the wrong sign, and next to nothing.
const ODD: [f32; 6] = [
    f32::NAN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    -1.0,
    0.0,
    f32::MIN_POSITIVE,
];

/// Sends a chat and says how it ended, or that it had not after a day.
async fn end<S, R>(service: S) -> Option<StatusCode>
where
    S: Service<Chat, Response = Response<R>, Error = UpstreamError>,
{
    let answer = timeout(24 * 60 * 60 * SECOND, service.oneshot(chat())).await;
    answer.ok().map(|answer| answer.unwrap().status())
}

/// Sends three chats through a limiter with this quota. None may be held for longer than a day.
async fn limited(quota: Quota) -> Vec<Option<StatusCode>> {
    let upstream = Upstream::answering(|_| {
        let usage =
            serde_json::json!({"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20});
        json(200, &serde_json::json!({"choices": [], "usage": usage}))
    });
    let service = crate::pacing(quota).layer(upstream);
    let mut ends = Vec::new();
    for _ in 0..3 {
        ends.push(end(service.clone()).await);
    }
    ends
}

const PASSED: Option<StatusCode> = Some(StatusCode::OK);
const REFUSED: Option<StatusCode> = Some(StatusCode::TOO_MANY_REQUESTS);

#[tokio::test(start_paused = true)]
async fn quotas_without_bounds_pass() {
    for quota in [
        Quota::new(),
        Quota::new().requests_per_second(u64::MAX),
        Quota::new()
            .tokens_per_minute(u64::MAX)
            .requests_per_day(u64::MAX),
        Quota::new().concurrent(u32::MAX),
        Quota::new().limit(Unit::Requests, u64::MAX, ZERO),
        Quota::new().limit(Unit::Tokens, u64::MAX, EVER),
        Quota::new().requests_per_second(1_000).allow_bursts(),
    ] {
        assert_eq!(limited(quota).await, [PASSED; 3], "{quota:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn quotas_of_nothing_and_for_ever_end_in_an_answer() {
    // Nothing counts as one, and so does a concurrency of nothing.
    assert_eq!(
        limited(Quota::new().requests_per_second(0)).await,
        [PASSED; 3]
    );
    assert_eq!(limited(Quota::new().concurrent(0)).await, [PASSED; 3]);
    // What can never fit is refused.
    assert_eq!(
        limited(Quota::new().tokens_per_minute(0)).await,
        [REFUSED; 3]
    );
    // One request in all time; the next would wait for as long, and in a shortest window for no time.
    let once = limited(Quota::new().limit(Unit::Requests, 1, EVER)).await;
    assert_eq!((once[0], once[2]), (PASSED, None));
    let quick = limited(Quota::new().limit(Unit::Requests, 1, ZERO)).await;
    assert_eq!(quick, [PASSED; 3]);
}

#[test]
fn a_quota_of_too_many_windows_says_so() {
    let full = (1..=8).fold(Quota::new(), |quota, second| {
        quota.limit(Unit::Requests, 1, SECOND * second)
    });
    assert_eq!(full.limits().len(), Quota::MAX_LIMITS);
    let one_more = std::panic::catch_unwind(|| full.limit(Unit::Requests, 1, ZERO));
    assert!(
        one_more.is_err(),
        "documented: in a `const` it does not compile"
    );
}

#[tokio::test(start_paused = true)]
async fn weights_that_are_no_weights_neither_free_nor_stop_tokens() {
    for weight in ODD {
        let quota = Quota::new()
            .tokens_per_minute(1 << 40)
            .output_weight(weight)
            .cached_weight(weight);
        assert_eq!(limited(quota).await, [PASSED; 3], "{weight}");
    }
}

#[tokio::test(start_paused = true)]
async fn settings_of_a_limiter_at_their_edges() {
    let quota = Quota::new().requests_per_second(1);
    let sent = |limiter: Limiter| {
        let service = RateLimitLayer::new(limiter).layer(Upstream::answering(|_| ok()));
        async move { [end(service.clone()).await, end(service).await] }
    };
    let limiter = || Limiter::builder().default_quota(quota);
    assert_eq!(sent(limiter().guard(ZERO).build()).await, [PASSED; 2]);
    let guarded = sent(limiter().guard(EVER).build()).await;
    assert_eq!(guarded[0], PASSED, "{guarded:?}");
    assert_eq!(
        sent(limiter().max_waiting(0).build()).await,
        [PASSED, REFUSED]
    );
    assert_eq!(
        sent(limiter().max_wait(ZERO).build()).await,
        [PASSED, REFUSED]
    );
    assert_eq!(sent(limiter().max_wait(EVER).build()).await, [PASSED; 2]);
    let limiter_of = |weight| limiter().tenant_weight("t", weight).build();
    for weight in ODD {
        let limiter = limiter_of(weight);
        let service = RateLimitLayer::new(limiter).layer(Upstream::answering(|_| ok()));
        let start = Instant::now();
        let sent = (0..4).map(|number| {
            let mut chat = chat();
            if number % 2 == 0 {
                chat.extensions_mut().insert(Tenant::from("t"));
            }
            tokio::spawn(service.clone().oneshot(chat))
        });
        for sent in sent.collect::<Vec<_>>() {
            assert_eq!(sent.await.unwrap().unwrap().status(), StatusCode::OK);
        }
        assert!(
            start.elapsed() < 5 * SECOND,
            "{weight}: {:?}",
            start.elapsed()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn inbound_rates_at_their_edges() {
    let full = |cost| {
        let mut request = Request::new(Full::<Bytes>::default());
        request.extensions_mut().insert(RequestCost(cost));
        request
    };
    for rate in [
        Rate::per_second(0),
        Rate::per_minute(u32::MAX),
        Rate::new(0, ZERO),
        Rate::new(u32::MAX, ZERO),
        Rate::new(1, EVER),
        Rate::new(1, EVER).burst(u32::MAX),
        Rate::new(u32::MAX, EVER),
        Rate::per_second(1).burst(0),
        Rate::per_second(1).burst(u32::MAX),
    ] {
        let layer = InboundLayer::new(rate, |_: &Request<Full<Bytes>>| Some(()));
        let service = layer.layer(Upstream::answering(|_| ok()));
        let one = service
            .clone()
            .oneshot(full(NonZeroU32::MIN))
            .await
            .unwrap();
        assert_eq!(one.status(), StatusCode::OK, "{rate:?}");
        let most = service
            .clone()
            .oneshot(full(NonZeroU32::MAX))
            .await
            .unwrap();
        assert!([200, 429].contains(&most.status().as_u16()), "{rate:?}");
    }
}

/// Sends a chat that is always refused, and returns how often and how long.
async fn refused(layer: Retry429Layer, wait: Option<u64>) -> (usize, Duration) {
    let upstream = Upstream::answering(move |_| wait.map_or_else(throttled, throttled_for));
    let start = Instant::now();
    let status = end(layer.layer(upstream.clone())).await;
    assert_ne!(status, PASSED);
    (upstream.arrivals().len(), start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn backoffs_at_their_edges() {
    let with = Retry429Layer::with_policy;
    let policy = Backoff::new;
    assert_eq!(
        refused(with(policy().max_retries(0)), Some(1)).await,
        (1, ZERO)
    );
    assert_eq!(
        refused(with(policy().max_delay(ZERO)), Some(1)).await,
        (1, ZERO)
    );
    assert_eq!(
        refused(with(policy().max_elapsed(ZERO)), Some(1)).await,
        (1, ZERO)
    );
    // Bounds the wrong way round: the smaller holds.
    let inverted = policy().initial_delay(60 * SECOND).max_guess(SECOND);
    let (sends, time) = refused(with(inverted.max_retries(3)), None).await;
    assert_eq!(sends, 4);
    assert!(time <= 4 * SECOND, "{time:?}");
    // Longest delays: not one is begun that passes `max_delay`.
    let endless = policy()
        .initial_delay(EVER)
        .max_guess(EVER)
        .without_jitter();
    assert_eq!(refused(with(endless), None).await, (1, ZERO));
    // No delay and no end of retries: the budget keeps it from spinning, a second at a time.
    let eager = policy()
        .max_retries(u32::MAX)
        .initial_delay(ZERO)
        .max_guess(ZERO);
    let (sends, time) = refused(with(eager.max_elapsed(60 * SECOND)), None).await;
    assert!((2..=70).contains(&sends), "{sends} sends");
    assert!(time <= 61 * SECOND, "{time:?}");
    let (sends, _) = refused(with(eager.max_elapsed(60 * SECOND)), Some(0)).await;
    assert!((2..=70).contains(&sends), "{sends} sends");
}

#[tokio::test(start_paused = true)]
async fn budgets_at_their_edges() {
    for ratio in ODD {
        for floor in ODD {
            let budget = TokenBudget::new(ratio.into(), floor.into());
            let policy = Backoff::new().max_retries(5).max_delay(SECOND);
            let layer = Retry429Layer::with_policy(policy).budget(Arc::new(budget));
            let (sends, _) = refused(layer, Some(1)).await;
            // One without a bound is no bound, and one of nothing allows nothing.
            let most = if f32::max(ratio, floor) == f32::INFINITY {
                6
            } else {
                1
            };
            assert_eq!(sends, most, "{ratio} {floor}");
        }
    }
}

#[test]
fn pools_that_cannot_be_are_refused_by_name() {
    let build = |account: Account| KeyPool::builder().push(account).build().map(drop);
    assert_eq!(
        KeyPool::builder().build().map(drop),
        Err(InvalidPool::NoAccount)
    );
    let none: [&str; 0] = [];
    assert_eq!(
        KeyPool::builder().account("a", none).build().map(drop),
        Err(InvalidPool::NoKey("a".into()))
    );
    assert_eq!(
        build(Account::new("a").key("")),
        Err(InvalidPool::EmptyKey("a".into()))
    );
    assert_eq!(
        build(Account::new("a").key("sk-\n")),
        Err(InvalidPool::UnsendableKey("a".into()))
    );
    let twice = KeyPool::builder().account("a", ["1"]).account("a", ["2"]);
    assert_eq!(
        twice.build().map(drop),
        Err(InvalidPool::Duplicate("a".into()))
    );
}

#[tokio::test(start_paused = true)]
async fn pools_at_their_edges() {
    for strategy in [
        Strategy::weighted(),
        Strategy::sticky(ZERO),
        Strategy::sticky(EVER),
        Strategy::fill_first(),
    ] {
        for probe_every in [ZERO, EVER] {
            let pool = KeyPool::builder()
                .push(Account::new("a").key("sk-a1").weight(0))
                .push(Account::new("b").key("sk-b1").weight(u32::MAX))
                .strategy(strategy.clone())
                .probe_every(probe_every)
                .build()
                .unwrap();
            for count in [0, usize::MAX] {
                let layer =
                    KeyRotationLayer::new(pool.clone()).sticky_by(Conversation::messages(count));
                let service = layer.clone().layer(Upstream::answering(|_| ok()));
                assert_eq!(end(service).await, PASSED);
            }
            // A key that is wrong for ever, tried again at once or never: it does not spin.
            let upstream = Upstream::answering(|_| {
                let error = serde_json::json!({"error": {"code": "invalid_api_key"}});
                json(401, &error)
            });
            let service = KeyRotationLayer::new(pool).layer(upstream.clone());
            for _ in 0..10 {
                assert_eq!(end(service.clone()).await, Some(StatusCode::UNAUTHORIZED));
            }
            assert!(upstream.arrivals().len() <= 20);
        }
    }
}

#[test]
fn a_chain_of_nothing_says_so() {
    assert!(FallbackLayer::try_new([]).is_err());
    assert!(
        Candidate::named("n")
            .default_parameter("p", "not json")
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn chains_at_their_edges() {
    let odd = || {
        [
            Candidate::model("").context(0),
            Candidate::model("same").patience(ZERO).first_byte(ZERO),
            Candidate::model("same").patience(EVER).first_byte(EVER),
            Candidate::named("no\nheader").share(u32::MAX),
            Candidate::model("qwen-plus")
                .share(u32::MAX)
                .context(u64::MAX),
            Candidate::named("never").when(|_| false),
        ]
    };
    for triggers in [Triggers::new(), Triggers::none()] {
        let layer = FallbackLayer::new(odd()).triggers(triggers);
        let service = layer.layer(Upstream::answering(|_| ok()));
        for _ in 0..3 {
            assert_eq!(end(service.clone()).await, PASSED);
        }
        let layer = FallbackLayer::new(odd()).triggers(triggers);
        let upstream = Upstream::answering(|_| throttled_for(60));
        let service = layer.layer(upstream.clone());
        assert_eq!(end(service).await, REFUSED);
        assert!((1..=6).contains(&upstream.arrivals().len()));
    }
    // Nobody is for it: it goes down once, as it came.
    let layer = FallbackLayer::new([Candidate::named("never").when(|_| false)]);
    let upstream = Upstream::answering(|_| ok());
    assert_eq!(end(layer.layer(upstream.clone())).await, PASSED);
    assert_eq!(upstream.arrivals().len(), 1);
}

#[test]
fn a_profile_that_is_not_there_is_none() {
    assert!(Profile::named("").is_none());
    assert!(Profile::named("model-studio").is_some());
    let _ = Reader::new();
}
