//! Quotas of single accounts.

use rate_limit_layer::{Limiter, LimiterBuilder, Quota};
use test_support::{Upstream, ok};
use throttle_signal::AccountId;

use crate::support::{Body, chat, ms, send, service};

const fn per_second(most: u64) -> Quota {
    Quota::new().requests_per_second(most).allow_bursts()
}

fn of_account(account: &str, model: &str) -> http::Request<Body> {
    let mut request = chat(model, 9);
    request.extensions_mut().insert(AccountId::from(account));
    request
}

/// How many requests of an account and model go at once.
async fn at_once(limiter: &Limiter, account: &str, model: &str) -> usize {
    let upstream = Upstream::answering(|_| ok());
    let service = service(limiter, &upstream);
    let tasks: Vec<_> = (0..20)
        .map(|_| send(&service, of_account(account, model)))
        .collect();
    crate::support::pass(1).await;
    for task in tasks {
        task.abort();
    }
    upstream.arrivals().len()
}

fn builder() -> LimiterBuilder {
    Limiter::builder()
        .account_model("paid", "m", per_second(7))
        .model("m", per_second(3))
        .default_quota(per_second(1))
        .guard(ms(0))
}

#[tokio::test(start_paused = true)]
async fn an_accounts_own_quota_goes_before_the_models_and_that_before_the_default() {
    let limiter = builder().build();
    assert_eq!(at_once(&limiter, "paid", "m").await, 7);
    assert_eq!(at_once(&limiter, "free", "m").await, 3);
    assert_eq!(at_once(&limiter, "paid", "other").await, 1);
}

#[tokio::test(start_paused = true)]
async fn an_account_can_have_a_quota_of_a_model_that_has_none() {
    let limiter = Limiter::builder()
        .account_model("paid", "m", per_second(7))
        .default_quota(per_second(1))
        .guard(ms(0))
        .build();
    assert_eq!(at_once(&limiter, "paid", "m").await, 7);
    assert_eq!(at_once(&limiter, "free", "m").await, 1);
}

#[tokio::test(start_paused = true)]
async fn changing_a_models_quota_leaves_alone_who_has_one_of_its_own() {
    let limiter = builder().build();
    for account in ["paid", "free"] {
        at_once(&limiter, account, "m").await;
    }
    limiter.set_quota("m", per_second(5));
    let limit = |account: &str| {
        let all = limiter.snapshot();
        let of = all.iter().find(|one| {
            one.account
                .as_ref()
                .is_some_and(|it| it.as_str() == account)
        });
        of.unwrap().limits[0].limit.most()
    };
    assert_eq!((limit("paid"), limit("free")), (7, 5));
    limiter.set_account_quota("free", "m", per_second(6));
    limiter.set_account_quota("new", "m", per_second(9));
    assert_eq!((limit("paid"), limit("free")), (7, 6));
    assert_eq!(at_once(&limiter, "new", "m").await, 9);
}

#[tokio::test(start_paused = true)]
async fn an_increase_for_one_account_wakes_only_those_who_wait_there() {
    let limiter = Limiter::builder()
        .model("m", Quota::new().requests_per_minute(1))
        .guard(ms(0))
        .build();
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter, &upstream);
    let tasks: Vec<_> = (0..3)
        .flat_map(|_| ["one", "two"].map(|account| send(&service, of_account(account, "m"))))
        .collect();
    crate::support::pass(100).await;
    assert_eq!(upstream.arrivals(), [0, 0]);
    limiter.set_account_quota("one", "m", Quota::new().requests_per_minute(600));
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let early = |at: &&u128| **at < 61_000;
    assert_eq!(upstream.arrivals().iter().filter(early).count(), 5);
}
