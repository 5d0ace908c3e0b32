//! The part of the limits that is this instance's own while the store is out of reach.

use super::{Core, bounds};

/// This instance's own part of the limits.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) share: f32,

    /// When it began, and what was sent until then, by limit: the part counts it otherwise.
    since: u64,
    before: Vec<Vec<(u64, u64)>>,
}

impl Core {
    /// The part of the limits that is this instance's.
    pub(super) fn part(&self) -> f32 {
        let part = self.learned.as_ref().and_then(|it| it.part.as_ref());
        part.map_or(1.0, |part| part.share)
    }

    /// Has this instance pace by its own log and by such a part of the limits, from `begins` on, when all have `used` so
    /// much of each.
    ///
    /// It begins without a burst, and with what it sent before counted as its part of what all sent: its part comes free
    /// as that leaves the windows. One who sent more than its part would otherwise send nothing for long, and one who
    /// sent less could send at once what for others is still in the windows. In the shortest window it was sent when
    /// this one sent, which shows where all had to wait; in longer ones evenly.
    pub(crate) fn begin_part(&mut self, now: u64, begins: u64, share: f32, used: &[f64]) {
        let now = self.clock(now);
        if let Some(part) = self.learned().part.as_mut() {
            part.share = share;
            self.rebound();
            return;
        }
        let before = self.sent(now);
        self.learned().part = Some(Part {
            share,
            since: now,
            before: before.clone(),
        });
        self.rebound();
        let bounds = bounds(&self.plan, self.learned.as_deref()).iter();
        let windows = self.windows.iter_mut().zip(bounds).zip(before).enumerate();
        let shortest = self.plan.shortest();
        let limits = self.plan.limits();
        for (index, ((window, bound), mut before)) in windows {
            let counted = used.get(index).map(|used| used * f64::from(share));
            let is_longer = limits.get(index).is_some_and(|it| it.nanos() > shortest);
            if counted.is_some() && is_longer {
                before = evenly(now, bound.span);
            }
            window.restart(&before, counted, now, begins, bound);
        }
    }

    /// Goes by all of the limits again, and what was sent counts as what it was.
    pub(crate) fn end_part(&mut self, now: u64) {
        self.clock(now);
        let Some(part) = self.learned.as_mut().and_then(|it| it.part.take()) else {
            return;
        };
        for (window, before) in self.windows.iter_mut().zip(part.before) {
            window.recall(before, part.since);
        }
        self.rebound();
    }

    /// The share of the limits that is this instance's own, if it goes by one.
    pub(super) fn own_share(&self) -> Option<f32> {
        let part = self.learned.as_ref()?.part.as_ref()?;
        Some(part.share)
    }

    /// When the part began that this instance goes by; 0 if it goes by none.
    pub(super) fn part_since(&self) -> u64 {
        let part = self.learned.as_ref().and_then(|it| it.part.as_ref());
        part.map_or(0, |part| part.since)
    }

    /// What was sent within a window before the part began, and when.
    pub(super) fn before(&self, index: usize, now: u64) -> impl Iterator<Item = (u64, u64)> {
        let learned = self.learned.as_deref();
        let span = bounds(&self.plan, learned)
            .get(index)
            .map_or(0, |bound| bound.span);
        let part = learned.and_then(|it| it.part.as_ref());
        let before = part.and_then(|part| part.before.get(index));
        let before = before.map(Vec::as_slice).unwrap_or_default().iter();
        before
            .copied()
            .filter(move |(at, _)| at.saturating_add(span) > now)
    }
}

/// Something all through the time before `now`.
fn evenly(now: u64, span: u64) -> Vec<(u64, u64)> {
    const PIECES: u64 = 64;
    let each = span / PIECES;
    let at = |ago| now.saturating_sub(each.saturating_mul(ago));
    (0..PIECES).rev().map(|ago| (at(ago), 1)).collect()
}
