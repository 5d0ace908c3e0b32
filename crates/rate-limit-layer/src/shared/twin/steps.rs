//! What may happen to a store, in any order.

use proptest::prelude::*;

use crate::shared::wire::Known;
use crate::{Quota, Unit};

#[derive(Clone, Debug)]
/// What may happen next.
pub(super) enum Step {
    Pass(u64),

    /// The clock is set back.
    Back(u64),
    Reserve {
        who: usize,
        costs: Vec<(u64, u64)>,
        horizon: u32,
        scale: f64,
    },
    Sync {
        who: usize,
        out: Option<u64>,
        freeze: Option<(usize, u64)>,
        settle: Vec<(usize, u64)>,
        seeds: Vec<u64>,
        beat: bool,
        tells: usize,
        learned: (i32, u32, f64),
    },
    SetQuota(usize, usize),

    /// Forgets how many calls there were, as a replica that was behind.
    Ahead(usize),
    Wipe,
}

pub(super) fn steps(quotas: bool) -> impl Strategy<Value = Vec<Step>> {
    let who = || 0..3_usize;
    let reserve = (
        who(),
        prop::collection::vec((0..300_u64, 0..200_u64), 0..8),
        20_000..300_000_u32,
        prop_oneof![4 => Just(1.0), 1 => 0.05..1.0],
    );
    let sync = (
        who(),
        prop::option::weighted(0.2, 0..5_000_000_u64),
        prop::option::weighted(0.1, (0..3_usize, 0..3_000_000_u64)),
        prop::collection::vec((0..40_usize, 0..400_u64), 0..6),
        prop::collection::vec(0..20_000_000_u64, 0..12),
        any::<bool>(),
        0..3_usize,
        (-2000..20_000_i32, 0..3000_u32, 0.0..1.5),
    );
    let rare = u32::from(quotas);
    let step = prop_oneof![
        6 => (0..600_000_u64).prop_map(Step::Pass),
        1 => (0..12_000_000_u64).prop_map(Step::Pass),
        10 => reserve.prop_map(|(who, costs, horizon, scale)| Step::Reserve { who, costs, horizon, scale }),
        5 => sync.prop_map(|(who, out, freeze, settle, seeds, beat, tells, learned)| Step::Sync { who, out, freeze, settle, seeds, beat, tells, learned }),
        1 => (0..5_000_000_u64).prop_map(Step::Back),
        rare => (who(), 0..4_usize).prop_map(|(who, which)| Step::SetQuota(who, which)),
        rare => who().prop_map(Step::Ahead),
        rare => Just(Step::Wipe),
    ];
    prop::collection::vec(step, 1..150)
}

pub(super) fn quotas() -> [Quota; 4] {
    let second = std::time::Duration::from_secs(1);
    [
        Quota::new()
            .requests_per_second(5)
            .limit(Unit::Requests, 40, 10 * second),
        Quota::new()
            .requests_per_second(10)
            .tokens_per_second(2000)
            .limit(Unit::Tokens, 9000, 10 * second),
        Quota::new().limit(Unit::Requests, 5000, second).limit(
            Unit::InputTokens,
            30_000,
            3 * second,
        ),
        Quota::new().requests_per_second(30).allow_bursts(),
    ]
}

/// One who takes part.
#[derive(Clone, Debug, Default)]
pub(super) struct Member {
    pub(super) known: Known,
    pub(super) version: u32,
    pub(super) quota: usize,
    pub(super) granted: Vec<(f64, Vec<f64>)>,
}

/// How often what may happen is tried.
pub(super) fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
