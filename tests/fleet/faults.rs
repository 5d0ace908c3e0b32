use std::time::Duration;

use test_support::Proxy;
use test_support::redis::Server;

use crate::instance::{Instance, LIMIT, nothing_is_lost, until};
use crate::upstream::Upstream;

/// Three instances at work, one of them with most of it.
async fn fleet(url: &str, upstream: &Upstream) -> [Instance; 3] {
    fleet_of(async || Instance::connect(url, upstream).await, upstream).await
}

async fn fleet_of(join: impl AsyncFn() -> Instance, upstream: &Upstream) -> [Instance; 3] {
    let fleet = [
        join().await.busy(40),
        join().await.busy(10),
        join().await.busy(10),
    ];
    for instance in &fleet {
        instance.answers(10).await;
    }
    // Two windows, so that everyone's share has settled.
    sends(upstream, 2 * LIMIT).await;
    fleet
}

async fn sends(upstream: &Upstream, more: u64) {
    let enough = upstream.sent() + more;
    until("requests", || upstream.sent() >= enough).await;
}

async fn cut_off(fleet: &[Instance]) {
    until("an outage", || fleet.iter().all(Instance::is_cut_off)).await;
}

async fn back(fleet: &[Instance]) {
    until("the store", || !fleet.iter().any(Instance::is_cut_off)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_killed_and_comes_back_empty_costs_nobody_their_share() {
    let Some(mut server) = Server::start("") else {
        return;
    };
    let upstream = Upstream::new();
    let fleet = fleet(&server.url(), &upstream).await;

    server.kill();
    cut_off(&fleet).await;
    sends(&upstream, 2 * LIMIT).await;
    server.restart();
    back(&fleet).await;
    sends(&upstream, 2 * LIMIT).await;
    nothing_is_lost(fleet).await;
    upstream.never_exceeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_emptied_learns_what_was_sent_before_it_grants() {
    let Some(server) = Server::start("") else {
        return;
    };
    let upstream = Upstream::new();
    let fleet = fleet(&server.url(), &upstream).await;
    for _ in 0..2 {
        server.command("FLUSHALL");
        sends(&upstream, 2 * LIMIT).await;
    }
    nothing_is_lost(fleet).await;
    upstream.never_exceeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_forgets_a_part_learns_it_anew() {
    let Some(server) = Server::start("") else {
        return;
    };
    let upstream = Upstream::new();
    let fleet = fleet(&server.url(), &upstream).await;
    // As a server may whose maxmemory-policy is volatile-lru.
    for part in ["fleet", "state"] {
        let key = server.command(&format!("KEYS *:{part}"));
        assert_eq!(server.command(&format!("DEL {key}")), "1");
        sends(&upstream, 2 * LIMIT).await;
        back(&fleet).await;
    }
    nothing_is_lost(fleet).await;
    upstream.never_exceeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_takes_over() {
    let Some(mut primary) = Server::start("") else {
        return;
    };
    let replica = primary.replica();
    // As a virtual address or a name does, it leads to whichever is the primary.
    let proxy = Proxy::start(primary.addr()).await.unwrap();
    let upstream = Upstream::new();
    let fleet = fleet(&format!("redis://{}", proxy.addr()), &upstream).await;

    primary.kill();
    cut_off(&fleet).await;
    replica.promote();
    proxy.lead_to(replica.addr());
    back(&fleet).await;
    sends(&upstream, 2 * LIMIT).await;
    nothing_is_lost(fleet).await;
    upstream.never_exceeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_fifty_milliseconds_away_is_asked_once_for_each_grant_at_most() {
    let Some(server) = Server::start("") else {
        return;
    };
    let proxy = Proxy::start(server.addr()).await.unwrap();
    proxy.set_latency(Duration::from_millis(50));
    let upstream = Upstream::new();
    let url = format!("redis://{}", proxy.addr());
    let join = async || Instance::connect_patiently(&url, &upstream).await;
    let fleet = fleet_of(join, &upstream).await;
    sends(&upstream, 2 * LIMIT).await;
    for instance in &fleet {
        let stats = instance.store.stats();
        assert_eq!(stats.in_outage, 0, "{stats:?}");
        assert!(
            stats.reserve_calls <= stats.grants + stats.grants / 10,
            "{stats:?}"
        );
    }
    nothing_is_lost(fleet).await;
    upstream.never_exceeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_whose_memory_is_full_is_an_outage() {
    let Some(server) = Server::start("maxmemory-policy noeviction") else {
        return;
    };
    let upstream = Upstream::new();
    let fleet = fleet(&server.url(), &upstream).await;

    server.command("CONFIG SET maxmemory 1");
    cut_off(&fleet).await;
    sends(&upstream, LIMIT).await;
    server.command("CONFIG SET maxmemory 0");
    back(&fleet).await;
    sends(&upstream, LIMIT).await;
    nothing_is_lost(fleet).await;
    upstream.never_exceeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_is_cut_in_the_middle_grants_nothing_and_loses_nobody() {
    let Some(server) = Server::start("") else {
        return;
    };
    let proxy = Proxy::start(server.addr()).await.unwrap();
    let upstream = Upstream::new();
    let fleet = fleet(&format!("redis://{}", proxy.addr()), &upstream).await;
    for cut in 1..=5 {
        proxy.cut_next_reply();
        until("a cut", || proxy.cuts() == cut).await;
        sends(&upstream, LIMIT / 2).await;
    }
    back(&fleet).await;
    sends(&upstream, LIMIT).await;
    nothing_is_lost(fleet).await;
    upstream.never_exceeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_falls_silent_is_left_for_another() {
    let Some(server) = Server::start("") else {
        return;
    };
    let proxy = Proxy::start(server.addr()).await.unwrap();
    let upstream = Upstream::new();
    let fleet = fleet(&format!("redis://{}", proxy.addr()), &upstream).await;

    // No connection is broken off; there is nobody at the other end any more.
    let before = proxy.connections();
    proxy.lead_silently_to(server.addr());
    until("a connection each", || proxy.connections() >= before + 3).await;
    back(&fleet).await;
    sends(&upstream, LIMIT).await;
    nothing_is_lost(fleet).await;
    upstream.never_exceeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_turns_everybody_away_for_a_while_is_joined_again() {
    let Some(server) = Server::start("user fleet on >secret ~* +@all") else {
        return;
    };
    let upstream = Upstream::new();
    let url = format!("redis://fleet:secret@{}", server.addr());
    let fleet = fleet(&url, &upstream).await;

    let failed = |fleet: &[Instance]| -> u64 {
        let failed = fleet.iter().map(|one| one.store.stats().failed_calls);
        failed.min().unwrap_or_default()
    };
    let before = failed(&fleet);
    server.command("ACL SETUSER fleet off");
    server.command("CLIENT KILL USER fleet");
    cut_off(&fleet).await;
    until("more attempts", || failed(&fleet) >= before + 5).await;
    server.command("ACL SETUSER fleet on");
    back(&fleet).await;
    sends(&upstream, LIMIT).await;
    nothing_is_lost(fleet).await;
    upstream.never_exceeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_stands_still_for_three_seconds_grants_nothing_twice() {
    let Some(server) = Server::start("") else {
        return;
    };
    let upstream = Upstream::new();
    let fleet = fleet(&server.url(), &upstream).await;

    server.freeze();
    cut_off(&fleet).await;
    // No window of a second is exceeded, so that takes more than three.
    sends(&upstream, 4 * LIMIT).await;
    // It now answers what was asked before, and nobody waits for that any more.
    server.thaw();
    back(&fleet).await;
    sends(&upstream, 2 * LIMIT).await;
    nothing_is_lost(fleet).await;
    upstream.never_exceeded();
}
