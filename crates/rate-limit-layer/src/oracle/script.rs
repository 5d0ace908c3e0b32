//! What happens to the partition and to its oracle: any steps, in any order.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use throttle_signal::Kind;

use super::{GUARD, MS};
use crate::control::Guard;
use crate::plan::{Plan, Settings};
use crate::{Charging, Cost, Quota, Unit};

/// What may happen next. Numbers choose among those that are there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Ask {
        cost: Cost,
        start_by: Option<u64>,
        priority: i32,
        polled: bool,
    },
    Pass(u64),
    Cancel(usize),
    Stall(usize),
    Resume(usize),
    Ready(usize, bool),
    Settle(usize, Cost),
    Refund(usize),
    Refuse(usize, Kind, Option<u64>),
    SetQuota(usize),
    Pause(bool),
    Back(u64),
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let cost = || (0..400_u64, 0..200_u64).prop_map(|(input, output)| Cost::tokens(input, output));
    let kind = prop_oneof![
        Just(Kind::RequestRate),
        Just(Kind::TokenRate),
        Just(Kind::Burst)
    ];
    let ask = (
        cost(),
        proptest::option::of(0..5_000 * MS),
        -1..2,
        prop::bool::weighted(0.9),
    );
    let step = prop_oneof![
        8 => ask.prop_map(|(cost, start_by, priority, polled)| Step::Ask { cost, start_by, priority, polled }),
        6 => (0..900 * MS).prop_map(Step::Pass),
        1 => (0..9_usize).prop_map(Step::Cancel),
        1 => (0..9_usize).prop_map(Step::Stall),
        1 => (0..9_usize).prop_map(Step::Resume),
        2 => (0..9_usize, any::<bool>()).prop_map(|(which, ready)| Step::Ready(which, ready)),
        4 => (0..9_usize, cost()).prop_map(|(which, actual)| Step::Settle(which, actual)),
        1 => (0..9_usize).prop_map(Step::Refund),
        1 => (0..9_usize, kind, proptest::option::of(0..900 * MS)).prop_map(|(which, kind, wait)| Step::Refuse(which, kind, wait)),
        1 => (0..3_usize).prop_map(Step::SetQuota),
        1 => any::<bool>().prop_map(Step::Pause),
        1 => (0..2_000 * MS).prop_map(Step::Back),
    ];
    proptest::collection::vec(step, 1..120)
}

pub(super) fn quotas(bursts: bool) -> [Quota; 3] {
    let base = Quota::new().charging(Charging::MaxThenRefund);
    let base = if bursts { base.allow_bursts() } else { base };
    [
        base.requests_per_second(5)
            .requests_per_minute(40)
            .tokens_per_second(900)
            .tokens_per_minute(9_000),
        base.requests_per_second(2)
            .requests_per_minute(20)
            .tokens_per_minute(3_000)
            .concurrent(3),
        base.requests_per_minute(60)
            .limit(Unit::InputTokens, 600, Duration::from_secs(1)),
    ]
}

pub(super) fn settings() -> Arc<Settings> {
    Arc::new(Settings {
        guard: Guard::Fixed(Duration::from_nanos(GUARD)),
        ..Settings::default()
    })
}

pub(super) fn plan(quota: Quota, settings: &Arc<Settings>) -> Arc<Plan> {
    Arc::new(Plan::new(quota, Arc::clone(settings)))
}
