//! What the store is asked and what it answers: doubles in a row, the least byte first.

use super::number::{cast, count};
use super::shape::Shape;

/// Which script is called.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Script {
    /// Grants slots; unrolled for so many limits.
    Reserve(usize),

    /// Does all else.
    Sync,
}

/// One call of a script on the state of one partition.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(super) script: Script,

    /// Numbers, as bytes; then what is said besides.
    pub(super) numbers: Vec<u8>,
    pub(super) member: Vec<u8>,
    pub(super) quota: Vec<u8>,
}

/// What the state was when this was asked, as far as is known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Known {
    /// Of all that seldom changes; 0 or less for none that anything is granted to.
    pub(super) version: f64,
    pub(super) generation: f64,
    pub(super) epoch: f64,

    /// When the state was written that was seen last, on the store's clock.
    pub(super) seen: f64,
}

/// What was learned since, for all to know.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Learned {
    /// By how much the guard changed, and how long it may be.
    pub(super) delta: f64,
    pub(super) most_guard: f64,

    /// By how much clocks may differ.
    pub(super) err: f64,
}

/// One request for a slot.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Wanted {
    pub(super) tokens: bool,
    pub(super) costs: Vec<f64>,
}

/// What is told besides asking for slots.
#[derive(Clone, Debug, Default)]
pub(super) struct News {
    pub(super) guard: f64,
    pub(super) frozen: [f64; 2],
    pub(super) closed: f64,

    /// Since when this instance sent without being granted it; 0 for not at all.
    pub(super) since: f64,

    /// When this is written.
    pub(super) written: f64,
    pub(super) tells: Tells,
    pub(super) expected: f64,
    pub(super) beat: bool,

    /// What part of the quota is wanted.
    pub(super) want: f64,

    /// In milliseconds.
    pub(super) ttl: f64,
    pub(super) corrections: Vec<Correction>,

    /// By limit, what was sent when.
    pub(super) seeds: Vec<Vec<(f64, f64)>>,
}

/// Whether all is told that was sent within the windows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Tells {
    #[default]
    Nothing,

    /// It is, but more is sent meanwhile.
    SoFar,

    /// It is, and nothing is sent that is not granted.
    All,
}

/// A slot that is settled, or given back: what to take off where it was granted, and to add now.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Correction {
    pub(super) at: f64,
    pub(super) less: Vec<f64>,
    pub(super) more: Vec<f64>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Status {
    Fine,

    /// The state is not the one that was known: all that was sent is to be told first.
    Stale,

    /// Others are still to tell what they sent.
    Held,

    /// The quota is another one.
    OtherQuota,
}

/// What the store answered.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(super) status: Status,
    pub(super) now: f64,

    /// When the first that was granted nothing could be sent, if there is one.
    pub(super) next: Option<f64>,

    /// What the state begins with, unless that is known.
    pub(super) head: Option<Head>,

    /// Slots, parts, or another quota.
    pub(super) rest: Vec<u8>,
}

/// What seldom changes of a state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) generation: f64,
    pub(super) hold: f64,
    pub(super) epoch: f64,
    pub(super) frozen: [f64; 2],
    pub(super) closed: f64,
    pub(super) members: f64,
    pub(super) guard: f64,
    pub(super) version: f64,
}

/// How the quota is shared out among those who want it: each gets what it wants up to the level, and something
/// besides if that is less than all. Parts of the quota.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Parts {
    pub(super) level: f64,
    pub(super) besides: f64,
    pub(super) wanted: f64,
}

/// How much of a limit all have used, and when some of that was.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Used {
    pub(super) all: f64,
    pub(super) when: Vec<(f64, f64)>,
}

/// Into how many parts the entries divide a log that tell when its limit was used.
pub(super) const SAMPLES: usize = 32;

/// Asks for slots, of use up to so many microseconds ahead.
pub(super) fn reserve(known: Known, shapes: &[Shape], wanted: &[Wanted], horizon: f64) -> Vec<u8> {
    let version = if known.version > 0.0 {
        known.version
    } else {
        f64::NEG_INFINITY
    };
    let mut numbers = vec![version, known.seen, count(wanted.len() as u64)];
    for shape in shapes {
        // All but the unit, which matters only to a new quota.
        numbers.extend(shape.numbers().iter().take(5));
    }
    for wanted in wanted {
        numbers.push(f64::from(u8::from(wanted.tokens)));
        numbers.extend(&wanted.costs);
    }
    if wanted.is_empty() {
        numbers.extend(std::iter::repeat_n(0.0, 1 + shapes.len()));
    }
    numbers.extend([horizon, known.generation, known.epoch]);
    bytes(&numbers)
}

pub(super) fn sync(known: Known, learned: Learned, shapes: &[Shape], news: &News) -> Vec<u8> {
    let mut numbers = vec![
        known.generation,
        known.epoch,
        known.seen,
        news.guard,
        learned.delta,
        learned.most_guard,
        learned.err,
        news.frozen[0],
        news.frozen[1],
        news.closed,
        news.since,
        news.written,
        f64::from(news.tells as u8),
        news.expected,
        f64::from(u8::from(news.beat)),
        news.want,
        news.ttl,
        count(shapes.len() as u64),
        count(news.corrections.len() as u64),
    ];
    numbers.extend(shapes.iter().flat_map(Shape::numbers));
    for correction in &news.corrections {
        numbers.push(correction.at);
        numbers.extend(&correction.less);
        numbers.extend(&correction.more);
    }
    for limit in 0..shapes.len() {
        let seeds = news.seeds.get(limit).map(Vec::as_slice).unwrap_or_default();
        numbers.push(count(seeds.len() as u64));
        numbers.extend(seeds.iter().flat_map(|(at, cost)| [*at, *cost]));
    }
    bytes(&numbers)
}

impl Reply {
    /// Reads an answer; `None` if it is none.
    pub(super) fn read(answer: &[u8]) -> Option<Self> {
        let (start, rest) = answer.split_at_checked(16)?;
        let &[status, now] = numbers(start).as_slice() else {
            return None;
        };
        let status = match cast(status) {
            0 => {
                return Some(Self {
                    status: Status::Fine,
                    now,
                    next: None,
                    head: None,
                    rest: rest.to_vec(),
                });
            }
            1 => Status::Stale,
            2 => Status::Held,
            3 => Status::OtherQuota,
            4 => Status::Fine,
            _ => return None,
        };
        let (head, rest) = answer.split_at_checked(8 * HEAD)?;
        let &[
            _,
            _,
            next,
            generation,
            hold,
            epoch,
            frozen,
            frozen_tokens,
            closed,
            members,
            guard,
            ..,
            version,
        ] = numbers(head).as_slice()
        else {
            return None;
        };
        Some(Self {
            status,
            now,
            next: (next > 0.0).then_some(next),
            head: Some(Head {
                generation,
                hold,
                epoch,
                frozen: [frozen, frozen_tokens],
                closed,
                members,
                guard,
                version,
            }),
            rest: rest.to_vec(),
        })
    }

    /// The slots granted, in microseconds on the clock of the store.
    pub(super) fn slots(&self) -> Vec<f64> {
        numbers(&self.rest)
    }

    /// How the quota is shared out, and how much is used of each limit, if that was told.
    pub(super) fn parts(&self) -> Option<(Parts, Vec<Used>)> {
        let numbers = numbers(&self.rest);
        let (&[level, besides, wanted], used) = numbers.split_first_chunk()?;
        let parts = Parts {
            level,
            besides,
            wanted,
        };
        let used = used.chunks_exact(1 + 2 * (SAMPLES + 1));
        let used = used.filter_map(|one| {
            let (&all, when) = one.split_first()?;
            let pair = |pair: &[f64]| Some((*pair.first()?, *pair.last()?));
            let when = when.chunks_exact(2).filter_map(pair).collect();
            Some(Used { all, when })
        });
        Some((parts, used.collect()))
    }
}

/// Three numbers of the call, and the thirteen that a state begins with.
pub(super) const HEAD: usize = 16;

pub(super) fn bytes(numbers: &[f64]) -> Vec<u8> {
    numbers.iter().flat_map(|one| one.to_le_bytes()).collect()
}

pub(super) fn numbers(bytes: &[u8]) -> Vec<f64> {
    let eight = |chunk: &[u8]| chunk.try_into().map(f64::from_le_bytes).unwrap_or_default();
    bytes.chunks(8).map(eight).collect()
}
