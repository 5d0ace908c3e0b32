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

/// How much of a limit all have used, and when: some of it, the oldest first, with as much between each two.
#[derive(Clone, Debug, Default)]
pub(crate) struct Used {
    pub(crate) all: f64,
    pub(crate) when: Vec<(u64, u64)>,
}

impl Used {
    /// When it was, as far as is known at `now`: in so many pieces between each two. What has left the window since was
    /// sent again as it left; so it is where there is more demand than quota, and where there is less it errs towards
    /// waiting.
    fn until(&self, now: u64, span: u64, pieces: u64) -> Vec<(u64, u64)> {
        let again = |at: u64| at.saturating_add(now.saturating_sub(at) / span.max(1) * span);
        let between = |(before, (at, cost)): (&(u64, u64), &(u64, u64))| {
            let (at, cost, each) = (*at, *cost, at.saturating_sub(before.0) / pieces);
            (0..pieces).map(move |ago| (again(at - each * ago), cost))
        };
        let pairs = self.when.iter().zip(self.when.iter().skip(1));
        let pairs = pairs.filter(|(_, (_, cost))| *cost > 0);
        let mut when: Vec<_> = pairs.flat_map(between).collect();
        when.sort_unstable();
        when
    }
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
    /// It begins without a burst, and with its part of what all sent taken for what it sent itself: its part comes free
    /// as that leaves the windows. One who sent more than its part would otherwise send nothing for long, and one who
    /// sent less could send at once what for others is still in the windows.
    pub(crate) fn begin_part(&mut self, now: u64, begins: u64, share: f32, used: &[Used]) {
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
        // In the shortest window all wait for what leaves it: nothing may do so too early. In a longer one what is between
        // two is much, and nobody waits for all of it.
        let shortest = self.plan.shortest();
        let limits = self.plan.limits();
        for (index, ((window, bound), before)) in windows {
            let is_longer = limits.get(index).is_some_and(|it| it.nanos() > shortest);
            let pieces = if is_longer { 8 } else { 1 };
            match used.get(index) {
                Some(used) => {
                    // Until then others send what they were granted.
                    let sent = used.until(begins, bound.span, pieces);
                    let counted = used.all * f64::from(share);
                    window.restart(&sent, Some(counted), now, begins, bound);
                }
                None => window.restart(&before, None, now, begins, bound),
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_left_the_window_was_sent_again_as_it_left() {
        let used = Used {
            all: 4.0,
            when: vec![(100, 1), (200, 1), (300, 2)],
        };
        assert_eq!(used.until(350, 1000, 1), [(200, 1), (300, 2)]);
        assert_eq!(
            used.until(350, 1000, 2),
            [(150, 1), (200, 1), (250, 2), (300, 2)]
        );
        assert_eq!(used.until(1250, 1000, 1), [(300, 2), (1200, 1)]);
        assert_eq!(used.until(3250, 1000, 1), [(2300, 2), (3200, 1)]);
    }

    #[test]
    fn what_nobody_used_is_nothing() {
        assert_eq!(Used::default().until(5, 1, 8), []);
        let one = Used {
            all: 0.0,
            when: vec![(0, 0); 3],
        };
        assert_eq!(one.until(5, 1, 1), []);
    }
}
