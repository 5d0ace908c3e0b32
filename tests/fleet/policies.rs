use std::num::NonZeroU32;
use std::time::Duration;

use rate_limit_layer::shared::{LocalStore, Outage, SharedStore};
use tokio::time::sleep;

use crate::instance::{GUARD, Instance, LIMIT, WINDOW};
use crate::upstream::Upstream;

/// What two instances, one with three times the callers of the other, send in an outage of so many
/// windows.
async fn sent_in_outage(outage: Outage, windows: u32) -> (u64, Upstream) {
    let (store, upstream) = (LocalStore::new(), Upstream::new());
    let join = |callers| {
        let builder = SharedStore::builder().outage(outage);
        Instance::join_as(builder, &store, &upstream).busy(callers)
    };
    let fleet = [join(90), join(30)];
    sleep(5 * WINDOW).await;
    store.set_reachable(false);
    sleep(Duration::from_secs(1)).await;
    assert!(fleet.iter().all(Instance::is_cut_off));

    let before = upstream.sent();
    sleep(windows * (WINDOW + GUARD)).await;
    let sent = upstream.sent() - before;
    store.wipe();
    store.set_reachable(true);
    sleep(2 * WINDOW).await;
    assert!(!fleet.iter().any(Instance::is_cut_off));
    for instance in fleet {
        assert_eq!(instance.finish().await, 0, "{outage:?}");
    }
    (sent, upstream)
}

#[tokio::test(start_paused = true)]
async fn by_its_last_share_the_fleet_goes_on_as_before() {
    let (sent, upstream) = sent_in_outage(Outage::LastShare, 5).await;
    assert!(sent >= 5 * LIMIT * 85 / 100, "{sent} of {}", 5 * LIMIT);
    let refused = upstream.refused();
    assert!(refused * 100 <= upstream.sent(), "{refused} refused");
}

#[tokio::test(start_paused = true)]
async fn by_a_fixed_share_nobody_has_more() {
    let (sent, upstream) = sent_in_outage(Outage::Share(NonZeroU32::new(4).unwrap()), 5).await;
    // Two of four.
    assert!(sent <= 5 * LIMIT / 2 + 4, "{sent}");
    assert!(sent >= 5 * LIMIT * 2 / 5, "{sent}");
    assert_eq!(upstream.refused(), 0);
}

#[tokio::test(start_paused = true)]
async fn closed_sends_nothing() {
    let (sent, _) = sent_in_outage(Outage::Closed, 5).await;
    assert_eq!(sent, 0);
}

#[tokio::test(start_paused = true)]
async fn open_sends_what_each_may_send_alone() {
    let (_, upstream) = sent_in_outage(Outage::Open, 1).await;
    // More than the limit at first; then the refusals teach each to send less.
    let highest = upstream.highest();
    assert!(highest > LIMIT, "{highest}");
    assert!(upstream.refused() > 0);
}
