use std::time::Duration;

use http::HeaderMap;

use crate::Unit;
use crate::limit::LONGEST;

/// What an upstream says is left of one of its limits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Left {
    pub(crate) unit: Unit,
    pub(crate) remaining: Option<u64>,
    pub(crate) limit: Option<u64>,

    /// The length of its window, if it is told.
    pub(crate) window: Option<Duration>,

    /// In what time it is full again.
    pub(crate) reset: Option<Duration>,
}

/// What is read so far, by the unit and, in the IETF's fields, the name of the policy.
type Found<'a> = Vec<(&'a str, Left)>;

/// Reads `x-ratelimit-*` (OpenAI and many others), `anthropic-ratelimit-*` and the fields of the
/// IETF draft (`draft-ietf-httpapi-ratelimit-headers`), in the forms of its older versions as well.
pub(crate) fn left(headers: &HeaderMap) -> Vec<Left> {
    let mut found = Found::new();
    for (name, value) in headers {
        let Some((before, after)) = split(name.as_str()) else {
            continue;
        };
        let Ok(value) = value.to_str() else { continue };
        match (before, after) {
            ("", "" | "-policy") => value.split(',').for_each(|item| draft(item, &mut found)),
            (_, after) => field(after, value.trim(), &mut found),
        }
    }
    found.into_iter().map(|(_, left)| left).collect()
}

/// What stands before and after `ratelimit` in a name. Most names do not have it.
fn split(name: &str) -> Option<(&str, &str)> {
    const WORD: &str = "ratelimit";
    let mut places = name.as_bytes().windows(WORD.len());
    let at = places.position(|part| part == WORD.as_bytes())?;
    Some((name.get(..at)?, name.get(at + WORD.len()..)?))
}

/// `-remaining-requests`, `-requests-remaining` or `-remaining`, and the like.
fn field<'a>(words: &str, value: &'a str, found: &mut Found<'a>) {
    let words = words.trim_start_matches('-');
    let has = |word| words.split('-').any(|part| part == word);
    let unit = match () {
        () if has("input") => Unit::InputTokens,
        () if has("output") => Unit::OutputTokens,
        () if has("tokens") => Unit::Tokens,
        () if has("requests") || !words.contains('-') => Unit::Requests,
        () => return,
    };
    let left = entry("", unit, found);
    if has("remaining") {
        left.remaining = value.parse().ok();
    } else if has("limit") {
        left.limit = value
            .split([',', ';'])
            .next()
            .and_then(|most| most.trim().parse().ok());
    } else if has("reset") {
        left.reset = duration(value);
    }
}

/// An item of `RateLimit` or `RateLimit-Policy`: `"name";r=50;t=30` and `"name";q=100;w=60`; in
/// older drafts `100;w=60`, or each of `limit=100`, `remaining=50` and `reset=30`.
fn draft<'a>(item: &'a str, found: &mut Found<'a>) {
    let item = item.trim();
    let (name, parameters) = match item.split_once(';') {
        Some((name, parameters)) if !name.contains('=') => (name.trim(), parameters),
        _ => ("", item),
    };
    let pairs = || {
        let pairs = parameters
            .split(';')
            .filter_map(|pair| pair.split_once('='));
        pairs.map(|(key, value)| (key.trim(), value.trim()))
    };
    let unit = match pairs().find(|(key, _)| *key == "qu") {
        None | Some((_, r#""requests""#)) => Unit::Requests,
        Some((_, r#""tokens""#)) => Unit::Tokens,
        Some(_) => return,
    };
    let most = name.parse().ok();
    let left = entry(if most.is_some() { "" } else { name }, unit, found);
    left.limit = most.or(left.limit);
    for (key, value) in pairs() {
        let value = value.parse().ok();
        match key {
            "r" | "remaining" => left.remaining = value,
            "q" | "limit" => left.limit = value,
            "t" | "reset" => left.reset = value.map(Duration::from_secs),
            "w" => left.window = value.and_then(window),
            _ => {}
        }
    }
}

/// A window that a quota may have.
fn window(seconds: u64) -> Option<Duration> {
    let window = Duration::from_secs(seconds);
    (seconds > 0 && window <= LONGEST).then_some(window)
}

fn entry<'a, 'f>(name: &'a str, unit: Unit, found: &'f mut Found<'a>) -> &'f mut Left {
    let at = found
        .iter()
        .position(|(named, left)| (*named, left.unit) == (name, unit))
        .unwrap_or(found.len());
    if at == found.len() {
        let left = Left {
            unit,
            remaining: None,
            limit: None,
            window: None,
            reset: None,
        };
        found.push((name, left));
    }
    &mut found[at].1
}

/// `1.5`, `20ms`, `1s` or `6m0s`. A time of day or an absurd wait is none.
fn duration(value: &str) -> Option<Duration> {
    let mut sum = 0.0;
    let mut rest = value;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let number: f64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let letters = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        sum += number
            * match rest.get(..letters)? {
                "ms" => 0.001,
                "" | "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86_400.0,
                _ => return None,
            };
        rest = rest.get(letters..)?;
    }
    let sum = Duration::try_from_secs_f64(sum).ok();
    sum.filter(|sum| !value.is_empty() && *sum <= LONGEST)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    fn read(fields: &[(&'static str, &str)]) -> Vec<Left> {
        left(
            &fields
                .iter()
                .map(|(name, value)| {
                    (
                        HeaderName::from_static(name),
                        HeaderValue::from_str(value).unwrap(),
                    )
                })
                .collect(),
        )
    }

    const NONE: Left = Left {
        unit: Unit::Requests,
        remaining: None,
        limit: None,
        window: None,
        reset: None,
    };

    #[test]
    fn reads_what_openai_says() {
        let left = read(&[
            ("x-ratelimit-limit-requests", "600"),
            ("x-ratelimit-remaining-requests", "599"),
            ("x-ratelimit-reset-requests", "1m0.5s"),
            ("x-ratelimit-remaining-tokens", "149984"),
        ]);
        let requests = Left {
            remaining: Some(599),
            limit: Some(600),
            reset: Some(Duration::from_millis(60_500)),
            ..NONE
        };
        let tokens = Left {
            unit: Unit::Tokens,
            remaining: Some(149_984),
            ..NONE
        };
        assert!(
            left.len() == 2 && left.contains(&requests) && left.contains(&tokens),
            "{left:?}"
        );
    }

    #[test]
    fn reads_what_anthropic_says() {
        let left = read(&[
            ("anthropic-ratelimit-input-tokens-remaining", "1000"),
            (
                "anthropic-ratelimit-input-tokens-reset",
                "2024-01-01T00:00:00Z",
            ),
        ]);
        assert_eq!(
            left,
            [Left {
                unit: Unit::InputTokens,
                remaining: Some(1000),
                ..NONE
            }]
        );
    }

    #[test]
    fn reads_the_draft() {
        let left = read(&[
            ("ratelimit-policy", "\"burst\";q=100;w=60"),
            ("ratelimit", "\"burst\";r=50;t=30"),
        ]);
        let expected = Left {
            remaining: Some(50),
            limit: Some(100),
            window: Some(Duration::from_secs(60)),
            reset: Some(Duration::from_secs(30)),
            ..NONE
        };
        assert_eq!(left, [expected]);
    }

    #[test]
    fn reads_each_policy_of_the_draft_by_its_name() {
        let left = read(&[
            ("ratelimit", r#""burst";r=0;t=1, "daily";r=400;t=3600"#),
            (
                "ratelimit-policy",
                r#""burst";q=10;w=1,"daily";q=500;w=86400, "size";q=9;qu="content-bytes""#,
            ),
        ]);
        let [burst, daily] = left.as_slice() else {
            panic!("{left:?}");
        };
        let seconds = |left: &Left| left.window.map(|window| window.as_secs());
        assert_eq!(
            (burst.remaining, burst.limit, seconds(burst)),
            (Some(0), Some(10), Some(1))
        );
        assert_eq!(
            (daily.remaining, daily.limit, seconds(daily)),
            (Some(400), Some(500), Some(86_400))
        );
    }

    #[test]
    fn reads_the_older_drafts() {
        let expected = Left {
            remaining: Some(50),
            limit: Some(100),
            window: Some(Duration::from_secs(60)),
            reset: Some(Duration::from_secs(30)),
            ..NONE
        };
        for fields in [
            &[
                ("ratelimit", "limit=100, remaining=50, reset=30"),
                ("ratelimit-policy", "100;w=60"),
            ][..],
            &[
                ("ratelimit-limit", "100"),
                ("ratelimit-policy", "100;w=60;comment=\"a\""),
                ("ratelimit-remaining", "50"),
                ("ratelimit-reset", "30"),
            ],
        ] {
            assert_eq!(read(fields), [expected], "{fields:?}");
        }
    }

    #[test]
    fn a_window_nobody_has_is_none() {
        for value in ["\"a\";q=1;w=0", "\"a\";q=1;w=99999999999"] {
            let left = read(&[("ratelimit-policy", value)]);
            assert_eq!((left[0].limit, left[0].window), (Some(1), None), "{value}");
        }
    }

    #[test]
    fn reads_durations() {
        for (text, ms) in [
            ("1", 1000),
            ("0.25", 250),
            ("20ms", 20),
            ("6m0s", 360_000),
            ("1h2m3s", 3_723_000),
        ] {
            assert_eq!(duration(text), Some(Duration::from_millis(ms)), "{text}");
        }
        for text in [
            "",
            "soon",
            "1700000000",
            "-1",
            "1y",
            "..",
            "Wed, 21 Oct 2015 07:28:00 GMT",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn anything_may_be_sent(name in "(x-|anthropic-)?ratelimit(-[a-z]{1,9}){0,3}", value in r#"[ -~]{0,40}|"a";r=[0-9]{0,25};t=[0-9]{0,25}, b;q=[0-9]{1,25};w=[0-9]{1,25}"#) {
            let name = HeaderName::try_from(name).unwrap();
            left(&HeaderMap::from_iter([(name, HeaderValue::try_from(value).unwrap())]));
        }
    }
}
