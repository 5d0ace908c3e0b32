use std::num::NonZeroU32;
use std::time::Duration;

use super::number::{cast, count};
use crate::{Charging, Quota, Unit};

/// A limit in the numbers the scripts reckon with: whole, in doubles, times in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shape {
    pub(super) most: f64,
    pub(super) burst: f64,
    pub(super) window: f64,

    /// Entries of a log that begin in the same `grain` are one; 0 keeps each.
    pub(super) grain: f64,

    /// For how many entries its log has room.
    pub(super) room: f64,
    pub(super) unit: f64,
}

/// How many numbers a shape is.
pub(super) const NUMBERS: usize = 6;

/// The most entries of a log, and how many more it has room for, as what was given back is one too. More are merged.
const ENTRIES: f64 = 1024.0;
const MORE: f64 = 16.0;

/// What a share of the limit, 1 for all of it, comes to.
pub(super) fn shapes(quota: &Quota, scale: f64) -> Vec<Shape> {
    let shape = |limit: &crate::Limit| {
        let full = count(limit.most()).min(MOST);
        let most = (full * scale).floor().max(1.0);
        let window = (count(limit.nanos()) / 1000.0).ceil();
        let exact = !limit.unit().is_tokens() && full <= ENTRIES;
        Shape {
            most,
            burst: (most * f64::from(quota.burst())).floor().max(1.0),
            window,
            grain: if exact {
                0.0
            } else {
                (window * 1.5 / ENTRIES).ceil()
            },
            // Of each unit there is at least one in an entry.
            room: if exact { full } else { ENTRIES } + MORE,
            unit: f64::from(limit.unit() as u8),
        }
    };
    quota.limits().iter().map(shape).collect()
}

impl Shape {
    pub(super) const fn numbers(&self) -> [f64; NUMBERS] {
        [
            self.most,
            self.burst,
            self.window,
            self.grain,
            self.room,
            self.unit,
        ]
    }

    pub(super) fn read(numbers: &[f64]) -> Option<Self> {
        let &[most, burst, window, grain, room, unit] = numbers else {
            return None;
        };
        Some(Self {
            most,
            burst,
            window,
            grain,
            room,
            unit,
        })
    }
}

/// The largest limit, and cost, that the scripts reckon with exactly.
pub(super) const MOST: f64 = 1e9;

/// The quota as it is kept beside the state: its shapes first, which the script reads, then the rest.
pub(super) fn written(quota: &Quota) -> Vec<u8> {
    let shapes = shapes(quota, 1.0);
    let mut numbers = vec![count_of(shapes.len())];
    numbers.extend(shapes.iter().flat_map(Shape::numbers));
    let limits = quota.limits().iter();
    numbers.extend(limits.flat_map(|limit| [count(limit.most()), count(limit.nanos())]));
    numbers.extend([
        f64::from(match quota.charged() {
            Charging::MaxUpFront => 1_u8,
            Charging::MaxThenRefund => 2,
            Charging::PostPaid => 3,
        }),
        f64::from(quota.burst()),
        f64::from(quota.weights().0),
        f64::from(quota.weights().1),
        f64::from(quota.max_concurrent().map_or(0, NonZeroU32::get)),
    ]);
    super::wire::bytes(&numbers)
}

/// The quota that was [written](written), or `None` if that is none.
pub(super) fn quota(written: &[u8]) -> Option<Quota> {
    let numbers = super::wire::numbers(written);
    let len = cast(*numbers.first()?);
    let len = usize::try_from(len)
        .ok()
        .filter(|len| *len <= Quota::MAX_LIMITS)?;
    let rest = numbers.get(1 + len * NUMBERS..)?;
    let (limits, rest) = rest.split_at_checked(2 * len)?;
    let &[charging, burst, output, cached, concurrent] = rest else {
        return None;
    };
    let mut quota = Quota::new()
        .charging(match cast(charging) {
            1 => Charging::MaxUpFront,
            2 => Charging::MaxThenRefund,
            _ => Charging::PostPaid,
        })
        .output_weight(super::number::single(output))
        .cached_weight(super::number::single(cached));
    if burst >= 1.0 {
        quota = quota.allow_bursts();
    }
    if concurrent >= 1.0 {
        quota = quota.concurrent(u32::try_from(cast(concurrent)).unwrap_or(u32::MAX));
    }
    for (shape, limit) in numbers.get(1..)?.chunks(NUMBERS).zip(limits.chunks(2)) {
        let unit = match cast(Shape::read(shape)?.unit) {
            0 => Unit::Requests,
            1 => Unit::Tokens,
            2 => Unit::InputTokens,
            _ => Unit::OutputTokens,
        };
        let &[most, window] = limit else { return None };
        quota = quota.limit(unit, cast(most), Duration::from_nanos(cast(window)));
    }
    Some(quota)
}

/// The version of a quota: what was set later is greater, and no two different quotas have the same.
pub(super) fn epoch(version: u32, written: &[u8]) -> f64 {
    // FNV-1a, of which 20 bits do.
    let hash = written.iter().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    f64::from(version) * 1_048_576.0 + f64::from(hash >> 12)
}

/// The version in an epoch.
pub(super) fn version(epoch: f64) -> u32 {
    u32::try_from(cast(epoch / 1_048_576.0)).unwrap_or(u32::MAX)
}

fn count_of(len: usize) -> f64 {
    count(len as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_read_as_it_was_written() {
        let quotas = [
            Quota::new(),
            Quota::new().requests_per_second(10).requests_per_day(7),
            Quota::new()
                .requests_per_minute(600)
                .tokens_per_minute(1_000_000)
                .input_tokens_per_minute(3)
                .output_tokens_per_minute(4)
                .charging(Charging::MaxThenRefund)
                .output_weight(5.0)
                .cached_weight(0.0)
                .allow_bursts()
                .concurrent(9),
        ];
        for expected in quotas {
            assert_eq!(quota(&written(&expected)), Some(expected));
        }
        assert_eq!(quota(b"nonsense"), None);
    }

    #[test]
    fn a_later_quota_has_a_greater_epoch() {
        let (one, other) = (written(&Quota::new()), written(&Quota::new().concurrent(1)));
        assert!(epoch(1, &one) != epoch(1, &other));
        assert!(epoch(2, &one) > epoch(1, &other) && epoch(2, &other) > epoch(1, &one));
        assert_eq!(version(epoch(7, &one)), 7);
    }
}
