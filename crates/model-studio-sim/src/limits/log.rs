use std::collections::VecDeque;

use super::window::Unit;

/// What was charged and when, kept for as long as the longest span needs it. Each span has the
/// sum over its own length, so that asking costs nothing and forgetting is amortised.
#[derive(Clone, Debug)]
pub(super) struct Log {
    entries: VecDeque<Entry>,
    /// Sequence number of the entry in front.
    first: u64,
    spans: Vec<Span>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: u64,
    requests: u32,
    tokens: u64,
}

/// The half-open interval (now − length, now].
#[derive(Clone, Debug)]
struct Span {
    unit: Unit,
    length: u64,
    /// Sequence number of the oldest entry inside.
    tail: u64,
    /// Wide enough for whatever is charged, so that what is forgotten can be taken off again.
    used: u128,
    highest: u64,
}

impl Log {
    pub(super) fn new(spans: impl IntoIterator<Item = (Unit, u64)>) -> Self {
        let spans = spans
            .into_iter()
            .map(|(unit, length)| Span {
                unit,
                length,
                tail: 0,
                used: 0,
                highest: 0,
            })
            .collect();
        Self {
            entries: VecDeque::new(),
            first: 0,
            spans,
        }
    }

    /// Lets go of what is older than its span at `now`.
    pub(super) fn forget(&mut self, now: u64) {
        let Self {
            entries,
            first,
            spans,
        } = self;
        let mut oldest = *first + entries.len() as u64;
        for span in &mut *spans {
            while let Some(entry) = get(entries, *first, span.tail) {
                if entry.at.saturating_add(span.length) > now {
                    break;
                }
                span.used -= u128::from(entry.amount(span.unit));
                span.tail += 1;
            }
            oldest = oldest.min(span.tail);
        }
        while *first < oldest && entries.pop_front().is_some() {
            *first += 1;
        }
    }

    /// Writes a charge down and returns its number, by which it can be changed later.
    pub(super) fn push(&mut self, at: u64, requests: u32, tokens: u64) -> u64 {
        let number = self.first + self.entries.len() as u64;
        if self.spans.is_empty() {
            return number;
        }
        let entry = Entry {
            at,
            requests,
            tokens,
        };
        for span in &mut self.spans {
            span.used += u128::from(entry.amount(span.unit));
            span.highest = span.highest.max(span.used());
        }
        self.entries.push_back(entry);
        number
    }

    /// Corrects the tokens of a charge, wherever it still counts.
    pub(super) fn correct(&mut self, number: u64, tokens: u64) {
        let Some(index) = number.checked_sub(self.first) else {
            return;
        };
        let Some(entry) = usize::try_from(index)
            .ok()
            .and_then(|index| self.entries.get_mut(index))
        else {
            return;
        };
        let before = std::mem::replace(&mut entry.tokens, tokens);
        for span in &mut self.spans {
            if span.unit == Unit::Tokens && span.tail <= number {
                span.used = span.used - u128::from(before) + u128::from(tokens);
                span.highest = span.highest.max(span.used());
            }
        }
    }

    /// What span `index` holds. As of the last [`forget`](Self::forget).
    pub(super) fn used(&self, index: usize) -> u64 {
        self.spans.get(index).map_or(0, Span::used)
    }

    /// The most that span `index` has ever held.
    pub(super) fn highest(&self, index: usize) -> u64 {
        self.spans.get(index).map_or(0, |span| span.highest)
    }

    /// What span `index` holds, oldest first: when it was charged, and how much.
    pub(super) fn inside(&self, index: usize) -> impl Iterator<Item = (u64, u64)> + '_ {
        let span = self.spans.get(index);
        let unit = span.map_or(Unit::Requests, |span| span.unit);
        let skip = span.map_or(u64::MAX, |span| span.tail - self.first);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        self.entries
            .iter()
            .skip(skip)
            .map(move |entry| (entry.at, entry.amount(unit)))
    }
}

impl Span {
    fn used(&self) -> u64 {
        u64::try_from(self.used).unwrap_or(u64::MAX)
    }
}

impl Entry {
    fn amount(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Requests => u64::from(self.requests),
            Unit::Tokens => self.tokens,
        }
    }
}

fn get(entries: &VecDeque<Entry>, first: u64, number: u64) -> Option<&Entry> {
    entries.get(usize::try_from(number - first).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_takes_24_bytes() {
        assert_eq!(size_of::<Entry>(), 24);
    }
}
