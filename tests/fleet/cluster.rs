use rate_limit_layer::shared::SharedStore;
use test_support::redis::{Cluster, Server};

use crate::instance::{Instance, LIMIT, nothing_is_lost, until};
use crate::upstream::Upstream;

async fn connect(cluster: &Cluster, upstream: &Upstream) -> Instance {
    let connected = SharedStore::builder().connect_cluster(cluster.urls()).await;
    Instance::new(connected.unwrap(), upstream)
}

/// Lets a replica take over where the fleet's keys are.
async fn a_primary_is_lost(lose: impl FnOnce(&mut Cluster, usize)) {
    let Some(mut cluster) = Cluster::start() else {
        return;
    };
    cluster.add_replicas();
    let upstream = Upstream::new();
    let fleet = [
        connect(&cluster, &upstream).await.busy(20),
        connect(&cluster, &upstream).await.busy(20),
    ];
    until("two windows", || upstream.sent() >= 2 * LIMIT).await;

    // All keys of a partition are on one node.
    let held = |node: &Server| node.command("DBSIZE") != "0";
    let holders: Vec<_> = cluster.primaries().iter().map(held).collect();
    assert_eq!(holders.iter().filter(|held| **held).count(), 1);

    let holder = holders.iter().position(|held| *held).unwrap();
    lose(&mut cluster, holder);
    // From now on, slots come from the replica.
    let grants = || fleet.iter().map(|one| one.store.stats().grants);
    let before: Vec<_> = grants().collect();
    until("the store", || {
        grants().zip(&before).all(|(now, before)| now > *before)
    })
    .await;
    let before = upstream.sent();
    until("requests", || upstream.sent() >= before + 2 * LIMIT).await;
    nothing_is_lost(fleet).await;
    upstream.never_exceeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_of_three_is_one_store_and_survives_the_loss_of_a_primary() {
    a_primary_is_lost(Cluster::fail_over).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_falls_silent_is_left_for_its_replica() {
    a_primary_is_lost(Cluster::fail_over_silently).await;
}
