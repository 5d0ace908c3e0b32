use std::time::SystemTime;

use crate::Kind;
use crate::matcher::Found;
use crate::when::{When, number, span, timestamp};

/// Words in a message after which, or before which, a time or a number stands.
pub(crate) struct Marker {
    pub(crate) stem: &'static str,
    says: Says,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Says {
    // A span, or a bare number of seconds.
    Wait,
    // A date.
    At,
    // A number of these seconds, before the word.
    Before(u32),
    Limit,
    Requested,
    // What is and what may be, behind the name of the dimension.
    Ratio,
    // What is, and behind the next colon what may be, of this dimension.
    Actual(Kind),
}

const fn marker(stem: &'static str, says: Says) -> Marker {
    Marker { stem, says }
}

/// Found in the same pass as the stems of the rules.
pub(crate) static MARKERS: [Marker; 36] = [
    marker("again in", Says::Wait),
    marker("again after", Says::Wait),
    marker("retry in", Says::Wait),
    marker("retry after", Says::Wait),
    marker("request after", Says::Wait),
    marker("retry-after", Says::Wait),
    marker("retry_after", Says::Wait),
    marker("wait ", Says::Wait),
    marker("reset after", Says::Wait),
    marker("resets in", Says::Wait),
    marker("reset in", Says::Wait),
    marker("resets after", Says::Wait),
    marker("available in", Says::Wait),
    marker("replenished in", Says::Wait),
    marker("expires in", Says::Wait),
    marker("timed out for", Says::Wait),
    marker("expected available in", Says::Wait),
    marker("resets at", Says::At),
    marker("reset at", Says::At),
    marker("resets on", Says::At),
    marker("reset on", Says::At),
    marker("again at", Says::At),
    marker("access on", Says::At),
    marker("available at", Says::At),
    marker("retry at", Says::At),
    marker("将在", Says::At),
    marker("将于", Says::At),
    marker("秒后", Says::Before(1)),
    marker("分钟后", Says::Before(60)),
    marker("小时后", Says::Before(3600)),
    marker("limit", Says::Limit),
    marker("requested", Says::Requested),
    marker("(actual/limit): ", Says::Ratio),
    marker("current rpm: ", Says::Actual(Kind::RequestRate)),
    marker("current tpm: ", Says::Actual(Kind::TokenRate)),
    marker(
        "current max_parallel_requests: ",
        Says::Actual(Kind::Concurrency),
    ),
];

/// What the messages of a body state in figures.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) when: Option<When>,
    limit: Option<f64>,
    requested: Option<f64>,
    over: Option<Kind>,
}

impl Figures {
    /// Reads the figures at the places where markers were found; of several times the first that
    /// can be turned into a wait.
    pub(crate) fn read(found: &Found, texts: &[impl AsRef<str>], now: Option<SystemTime>) -> Self {
        let mut figures = Self::default();
        for (marker, text, end) in &found.markers {
            let (Some(marker), Some(text)) = (MARKERS.get(*marker), texts.get(*text)) else {
                continue;
            };
            let text = text.as_ref();
            let Some((before, after)) = text.split_at_checked(*end) else {
                continue;
            };
            match marker.says {
                Says::Limit if figures.limit.is_none() => figures.limit = figure(after),
                Says::Requested if figures.requested.is_none() => figures.requested = figure(after),
                Says::Ratio => figures.over = figures.over.or(over(before, after)),
                Says::Actual(kind) if figures.over.is_none() => {
                    figures.over = Some(kind).filter(|_| is_over(after));
                }
                Says::Limit | Says::Requested | Says::Actual(_) => {}
                Says::Wait | Says::At | Says::Before(_) if figures.when.is_some() => {}
                Says::Wait => {
                    let date = || dated(after, now);
                    figures.when = wait_after(after).or_else(date);
                }
                Says::At => figures.when = dated(after, now),
                Says::Before(seconds) => {
                    let number = before.strip_suffix(marker.stem).and_then(number_before);
                    figures.when =
                        number.and_then(|number| When::number(number * f64::from(seconds)));
                }
            }
        }
        figures
    }

    /// Whether the request is larger than the whole limit: it never fits, whatever wait is stated.
    pub(crate) fn never_fits(&self) -> bool {
        matches!((self.limit, self.requested), (Some(limit), Some(requested)) if requested > limit)
    }

    /// The dimension whose actual value is above its limit, where a message lists them all.
    pub(crate) fn over(&self) -> Option<Kind> {
        self.over
    }

    /// Whether the limit is nothing at all.
    pub(crate) fn no_allowance(&self) -> bool {
        self.limit == Some(0.0)
    }
}

/// What is over its limit, in a message that lists `Tokens per Minute (actual/limit): 3/2`.
fn over(before: &str, after: &str) -> Option<Kind> {
    let (actual, rest) = number(after)?;
    let (limit, _) = number(rest.strip_prefix('/')?)?;
    if actual <= limit {
        return None;
    }
    let name = before.rsplit(',').next().unwrap_or(before);
    let tokens = name.to_ascii_lowercase().contains("token");
    Some(if tokens {
        Kind::TokenRate
    } else {
        Kind::RequestRate
    })
}

/// Whether the first number is above that behind the next colon: `12, limit: 5`.
fn is_over(after: &str) -> bool {
    let limit = after.split_once(": ").and_then(|(_, limit)| number(limit));
    matches!((number(after), limit), (Some((actual, _)), Some((limit, _))) if actual > limit)
}

fn dated(text: &str, now: Option<SystemTime>) -> Option<When> {
    let when = timestamp(text.trim_start_matches([':', ' '])).map(When::At);
    when.filter(|when| when.from(now).is_some())
}

fn wait_after(text: &str) -> Option<When> {
    let mut text = text.trim_start_matches([' ', ':', '=', '~', '"', '\'', '(']);
    for filler in [
        "about ",
        "approximately ",
        "at least ",
        "another ",
        "for ",
        "up to ",
    ] {
        text = text.strip_prefix(filler).unwrap_or(text);
    }
    if let Some((wait, _)) = span(text) {
        return Some(When::After(wait));
    }
    let (seconds, rest) = number(text)?;
    // A number of something else, such as "limit 5 requests", is no time.
    let ends = rest.is_empty() || rest.starts_with(['.', ',', ';', ')', '\'', '"', '}', '\n', '!']);
    ends.then(|| When::number(seconds)).flatten()
}

fn figure(text: &str) -> Option<f64> {
    number(text.trim_start_matches([' ', ':', '~', '='])).map(|(number, _)| number)
}

fn number_before(text: &str) -> Option<f64> {
    let text = text.trim_end();
    let start = text.rfind(|letter: char| !(letter.is_ascii_digit() || letter == '.'));
    let start = start.map_or(0, |at| {
        at + text[at..].chars().next().map_or(1, char::len_utf8)
    });
    number(text.get(start..)?).map(|(number, _)| number)
}
