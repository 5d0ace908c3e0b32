use rate_limit_layer::shared::SharedStore;
use test_support::redis::Cluster;

use crate::instance::{Instance, LIMIT, until};
use crate::upstream::Upstream;

async fn connect(cluster: &Cluster, upstream: &Upstream) -> Instance {
    let connected = SharedStore::builder().connect_cluster(cluster.urls()).await;
    Instance::new(connected.unwrap(), upstream)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_of_three_is_one_store_and_survives_the_loss_of_a_primary() {
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
    assert!(upstream.highest() <= LIMIT, "{}", upstream.highest());

    // All keys of a partition are on one node.
    let held = |node: &test_support::redis::Server| node.command("DBSIZE") != "0";
    let holders: Vec<_> = cluster.primaries().iter().map(held).collect();
    assert_eq!(holders.iter().filter(|held| **held).count(), 1);

    let holder = holders.iter().position(|held| *held).unwrap();
    cluster.fail_over(holder);
    let before = upstream.sent();
    until("the store", || !fleet.iter().any(Instance::is_cut_off)).await;
    until("requests", || upstream.sent() >= before + 2 * LIMIT).await;
    for instance in fleet {
        assert_eq!(instance.finish().await, 0);
    }
    let (sent, refused) = (upstream.sent(), upstream.refused());
    assert!(refused * 50 <= sent, "{refused} of {sent} refused"); // 2 %
}
