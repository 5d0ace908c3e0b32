use rate_limit_layer::shared::LocalStore;
use test_support::redis::Server;
use tokio::time::{Duration, sleep};

use crate::instance::{GUARD, Instance, LIMIT, MODEL, WINDOW, quota, until};
use crate::process::Process;
use crate::upstream::Upstream;

const SECOND: Duration = Duration::from_secs(1);

/// Lets so much time pass, and returns what was answered in it.
async fn answered_in(time: Duration, instance: &Instance) -> u64 {
    let before = instance.answered();
    sleep(time).await;
    instance.answered() - before
}

#[tokio::test(start_paused = true)]
async fn who_asks_alone_gets_all_and_who_joins_has_its_share_within_a_second() {
    let (store, upstream) = (LocalStore::new(), Upstream::new());
    let first = Instance::join(&store, &upstream).busy(60);
    sleep(5 * WINDOW).await;
    let alone = answered_in(5 * (WINDOW + GUARD), &first).await;
    assert!(alone >= 5 * LIMIT - LIMIT / 10, "{alone}");

    let second = Instance::join(&store, &upstream).busy(60);
    sleep(SECOND).await;
    // The same demand, so half of all.
    let span = 10 * (WINDOW + GUARD);
    let before = (first.answered(), second.answered());
    sleep(span).await;
    let got = (first.answered() - before.0, second.answered() - before.1);
    let half = 10 * LIMIT / 2;
    for answered in [got.0, got.1] {
        assert!(
            answered.abs_diff(half) <= half / 5,
            "{got:?}, half is {half}"
        );
    }
    assert!(upstream.highest() <= LIMIT, "{}", upstream.highest());
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_instance_held_costs_at_most_a_window() {
    let (store, upstream) = (LocalStore::new(), Upstream::new());
    let dying = Instance::join(&store, &upstream).busy(60);
    let other = Instance::join(&store, &upstream).busy(60);
    sleep(5 * WINDOW).await;

    let before = upstream.sent();
    dying.die().await;
    // Were nothing lost at all, this would be all that is allowed in four windows.
    let span = 4 * (WINDOW + GUARD);
    sleep(span).await;
    let sent = upstream.sent() - before;
    assert!(sent >= 3 * LIMIT, "{sent} of {}", 4 * LIMIT);
    // And from then on the other has all.
    let answered = answered_in(span, &other).await;
    assert!(answered >= 4 * LIMIT - LIMIT / 10, "{answered}");
    assert!(upstream.highest() <= LIMIT, "{}", upstream.highest());
}

#[tokio::test(start_paused = true)]
async fn shares_follow_within_a_second_when_one_dies() {
    let (store, upstream) = (LocalStore::new(), Upstream::new());
    let dying = Instance::join(&store, &upstream).busy(60);
    let other = Instance::join(&store, &upstream).busy(60);
    sleep(5 * WINDOW).await;
    dying.die().await;
    sleep(SECOND).await;
    let span = 3 * (WINDOW + GUARD);
    let answered = answered_in(span, &other).await;
    assert!(answered >= 3 * LIMIT * 4 / 5, "{answered} of {}", 3 * LIMIT);
}

#[tokio::test(start_paused = true)]
async fn a_quota_set_on_one_instance_is_the_fleets() {
    let (store, upstream) = (LocalStore::new(), Upstream::new());
    let first = Instance::join(&store, &upstream).busy(1);
    let _second = Instance::join(&store, &upstream).busy(60);
    sleep(5 * WINDOW).await;

    first.limiter.set_quota(MODEL, quota(LIMIT / 3));
    // What was sent before is a debt by the new one.
    sleep(4 * WINDOW).await;
    let before = upstream.sent();
    sleep(6 * (WINDOW + GUARD)).await;
    let (sent, fewer) = (upstream.sent() - before, 6 * LIMIT / 3);
    assert!(sent.abs_diff(fewer) <= LIMIT / 3, "{sent} of {fewer}");
}

async fn sends(upstream: &Upstream, more: u64) {
    let enough = upstream.sent() + more;
    until("requests", || upstream.sent() >= enough).await;
}

/// Whether so many of all may be the share of one of two. In virtual time that is half, to within a tenth; on a real
/// machine whoever it holds up has less, and before a share followed it was none or all.
const fn is_a_share(of_one: u64, all: u64) -> bool {
    of_one >= all / 5 && of_one <= all * 4 / 5
}

/// How much the fleet may send in a second.
const A_SECOND: u64 = LIMIT * 1_000 / 1_200;

/// What each of two answers while the fleet sends so much more.
async fn answered_while(
    upstream: &Upstream,
    sends: u64,
    one: &Instance,
    other: &Instance,
) -> [u64; 2] {
    let before = [one.answered(), other.answered()];
    self::sends(upstream, sends).await;
    [one.answered() - before[0], other.answered() - before[1]]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_a_real_store_has_its_share_within_a_second() {
    let Some(server) = Server::start("") else {
        return;
    };
    let upstream = Upstream::new();
    let first = Instance::connect(&server.url(), &upstream).await.busy(60);
    first.answers(2 * LIMIT).await;
    let second = Instance::connect(&server.url(), &upstream).await.busy(60);
    // A second is as long as the fleet takes to send what it may in one.
    answered_while(&upstream, A_SECOND, &first, &second).await;
    let got = answered_while(&upstream, 6 * LIMIT, &first, &second).await;
    println!("{got:?}");
    for answered in got {
        assert!(is_a_share(answered, 6 * LIMIT), "{got:?}");
    }
    assert!(upstream.highest() <= LIMIT, "{}", upstream.highest());
}

/// How many slots the store has granted, by what it keeps.
pub(crate) fn granted(server: &Server) -> u64 {
    let keys = server.command("KEYS *:state");
    // The number of the next entry in the log of the first limit, which has one for each slot; where many are given
    // back, as on a slow machine, some have one together.
    let entries = "return string.format('%d', struct.unpack('<d', redis.call('GETRANGE', KEYS[1], 176, 183)))";
    let entries = server.command(&format!("EVAL \"{entries}\" 1 {keys}"));
    entries.parse().unwrap()
}

/// What one of two is granted at once, at most: what fits in half of a quarter of a second, two, and what the call
/// before left.
const HELD: u64 = A_SECOND / 8 + 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_dead_held_of_a_real_store_costs_less_than_a_window() {
    let Some(server) = Server::start("") else {
        return;
    };
    let upstream = Upstream::new();
    let other = Instance::connect_patiently(&server.url(), &upstream).await;
    let store = other.store.clone();
    let other = other.busy(60);
    let mut theirs = 0;
    for _ in 0..4 {
        let dying = Instance::connect_patiently(&server.url(), &upstream).await;
        let store = dying.store.clone();
        let dying = dying.busy(60);
        dying.answers(LIMIT / 2).await;
        theirs += dying.die().await + store.stats().returned;
    }
    // The other goes on.
    other.answers(LIMIT).await;
    assert_eq!(other.finish().await, 0);

    // What the store granted is the other's, or was sent, or given back; the rest is what the dead took with them.
    let (all, others) = (granted(&server), store.stats().grants);
    let lost = all.saturating_sub(others + theirs);
    println!("{lost} of {all} lost");
    assert!(lost <= 4 * HELD, "{lost} of {all}: {others}, {theirs}");
    assert!(upstream.highest() <= LIMIT, "{}", upstream.highest());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_joins_has_its_share_within_a_second_and_killed_costs_less_than_a_window() {
    let Some(server) = Server::start("") else {
        return;
    };
    let upstream = Upstream::new();
    let first = Instance::connect_patiently(&server.url(), &upstream)
        .await
        .busy(60);
    first.answers(LIMIT).await;
    let store = first.store.clone();

    let joins = Process::start(&server.url(), &upstream);
    until("the other", || joins.sent() > 0).await;
    sends(&upstream, A_SECOND).await;
    let before = joins.sent();
    sends(&upstream, 3 * LIMIT).await;
    let got = joins.sent() - before;
    assert!(is_a_share(got, 3 * LIMIT), "{got} of {}", 3 * LIMIT);

    let sent = joins.kill().await;
    first.answers(LIMIT).await;
    assert_eq!(first.finish().await, 0);
    let all = granted(&server);
    let lost = all.saturating_sub(store.stats().grants + sent);
    println!("{got} of {}, {lost} of {all} lost", 3 * LIMIT);
    // With what it gave back while it lived.
    assert!(lost <= LIMIT, "{lost} of {all}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_of_a_real_store_come_and_go() {
    let Some(server) = Server::start("") else {
        return;
    };
    let upstream = Upstream::new();
    let first = Instance::connect(&server.url(), &upstream).await.busy(40);
    first.answers(LIMIT).await;
    let second = Instance::connect(&server.url(), &upstream).await.busy(40);
    second.answers(LIMIT).await;
    assert!(second.store.stats().instances >= 2);

    // The other is not held up by what was promised to the dead.
    second.die().await;
    first.answers(2 * LIMIT).await;

    first.limiter.set_quota(MODEL, quota(LIMIT / 2));
    let third = Instance::connect(&server.url(), &upstream).await.busy(10);
    third.answers(10).await;
    until("the new quota", || {
        let snapshot = third.limiter.snapshot();
        snapshot[0].limits[0].limit.most() == LIMIT / 2
    })
    .await;
    assert_eq!(first.finish().await, 0);
    assert_eq!(third.finish().await, 0);
    assert!(upstream.highest() <= LIMIT, "{}", upstream.highest());
}
