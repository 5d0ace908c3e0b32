//! Who goes first.

use http::Request;
use rate_limit_layer::{Limiter, Quota};
use test_support::{Upstream, ok, throttled};
use throttle_signal::{Priority, RequestFacts, Tenant};
use tokio::time::Instant;

use crate::support::{Body, ms, pass, request, send, service};

fn named(name: &'static str) -> Request<Body> {
    let mut request = request();
    request.headers_mut().insert("name", name.parse().unwrap());
    request
}

fn names(upstream: &Upstream) -> Vec<String> {
    let requests = upstream.take_requests();
    requests
        .iter()
        .map(|request| request.headers()["name"].to_str().unwrap().to_owned())
        .collect()
}

fn limiter() -> Limiter {
    Limiter::builder()
        .default_quota(Quota::new().requests_per_second(1))
        .guard(ms(0))
        .build()
}

#[tokio::test(start_paused = true)]
async fn first_come_is_first_served() {
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter(), &upstream);
    let mut tasks = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        tasks.push(send(&service, named(name)));
        pass(10).await;
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(names(&upstream), ["a", "b", "c", "d", "e"]);
}

#[tokio::test(start_paused = true)]
async fn one_sent_again_keeps_its_place() {
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter(), &upstream);
    let old = Instant::now();
    pass(5).await;
    let mut tasks = vec![];
    for name in ["a", "b", "c"] {
        tasks.push(send(&service, named(name)));
        pass(10).await;
    }
    let mut again = named("again");
    again.extensions_mut().insert(RequestFacts::new(old));
    tasks.push(send(&service, again));
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    // The clock of the limiter begins with `a`, which was sent at once.
    assert_eq!(names(&upstream), ["a", "again", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn the_urgent_go_first() {
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter(), &upstream);
    let mut tasks = vec![send(&service, named("first"))];
    pass(1).await;
    for (name, priority) in [("low", -1), ("none", 0), ("high", 5), ("higher", 7)] {
        let mut request = named(name);
        request.extensions_mut().insert(Priority(priority));
        tasks.push(send(&service, request));
        pass(1).await;
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(names(&upstream), ["first", "higher", "high", "none", "low"]);
}

#[tokio::test(start_paused = true)]
async fn tenants_take_turns() {
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter(), &upstream);
    let mut tasks = vec![send(&service, named("first"))];
    pass(1).await;
    for tenant in ["big", "big", "big", "big", "small", "small"] {
        let mut request = named(tenant);
        request.extensions_mut().insert(Tenant::from(tenant));
        tasks.push(send(&service, request));
        pass(1).await;
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(
        names(&upstream),
        ["first", "big", "small", "big", "small", "big", "big"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_does_not_hold_up_its_model_for_long() {
    let mut count = 0;
    let upstream = Upstream::answering(move |_| {
        count += 1;
        if count == 1 { throttled() } else { ok() }
    });
    let limiter = Limiter::builder()
        .default_quota(Quota::new().requests_per_second(10))
        .guard(ms(0))
        .build();
    let service = service(&limiter, &upstream);
    send(&service, request()).await.unwrap().unwrap();
    let began = Instant::now();
    send(&service, request()).await.unwrap().unwrap();
    assert!(began.elapsed() <= ms(102), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_weighs_more_goes_more_often() {
    let upstream = Upstream::answering(|_| ok());
    let limiter = Limiter::builder()
        .default_quota(Quota::new().requests_per_second(1))
        .guard(ms(0))
        .tenant_weight("heavy", 3.0)
        .build();
    let service = service(&limiter, &upstream);
    let mut tasks = vec![send(&service, named("first"))];
    pass(1).await;
    for tenant in ["heavy", "light"] {
        for _ in 0..8 {
            let mut request = named(tenant);
            request.extensions_mut().insert(Tenant::from(tenant));
            tasks.push(send(&service, request));
        }
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let heavy = names(&upstream)[1..9]
        .iter()
        .filter(|name| *name == "heavy")
        .count();
    assert_eq!(heavy, 6);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_at_once() {
    let upstream = Upstream::answering(|_| ok());
    let limiter = Limiter::builder()
        .default_quota(Quota::new().requests_per_second(1))
        .max_waiting(2)
        .build();
    let service = service(&limiter, &upstream);
    let admitted: Vec<_> = (0..3).map(|_| send(&service, request())).collect();
    pass(1).await;
    let refused = send(&service, request()).await.unwrap().unwrap();
    assert_eq!(refused.status(), http::StatusCode::TOO_MANY_REQUESTS);
    for task in admitted {
        task.await.unwrap().unwrap();
    }
    assert_eq!(upstream.arrivals().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_bounded_wait_refuses_at_once() {
    let upstream = Upstream::answering(|_| ok());
    let limiter = Limiter::builder()
        .default_quota(Quota::new().requests_per_second(1))
        .max_wait(ms(2500))
        .build();
    let service = service(&limiter, &upstream);
    let tasks: Vec<_> = (0..5).map(|_| send(&service, request())).collect();
    let began = Instant::now();
    let mut refused = 0;
    for task in tasks {
        refused += u8::from(task.await.unwrap().unwrap().status() == 429);
    }
    assert_eq!((refused, upstream.arrivals().len()), (2, 3));
    assert!(began.elapsed() < ms(2500), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_time_an_answer_took_is_no_wait() {
    let upstream = Upstream::answering(|_| ok());
    let limiter = Limiter::builder()
        .default_quota(Quota::new().requests_per_second(1))
        .max_wait(ms(2500))
        .build();
    let service = service(&limiter, &upstream);
    let facts = RequestFacts::new(Instant::now());
    let again = || {
        let mut again = request();
        again.extensions_mut().insert(facts.clone());
        again
    };
    send(&service, again()).await.unwrap().unwrap();
    // It is sent again after an answer that took longer than any request may wait.
    for _ in 0..2 {
        pass(5000).await;
        let answered = send(&service, again()).await.unwrap().unwrap();
        assert_eq!(answered.status(), http::StatusCode::OK);
    }
}
