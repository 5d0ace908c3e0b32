use std::time::Duration;

use http::HeaderMap;

use crate::Unit;

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

/// Reads `x-ratelimit-*` (OpenAI and many others), `anthropic-ratelimit-*` and the fields of the
/// IETF draft (`draft-ietf-httpapi-ratelimit-headers`), in its older form as well.
pub(crate) fn left(headers: &HeaderMap) -> Vec<Left> {
    let mut found = Vec::new();
    for (name, value) in headers {
        let name = name.as_str();
        let Some((before, after)) = name.split_once("ratelimit") else {
            continue;
        };
        let Ok(value) = value.to_str() else { continue };
        match (before, after) {
            ("", "") => value.split(',').for_each(|item| draft(item, &mut found)),
            ("", "-policy") => value.split(',').for_each(|item| policy(item, &mut found)),
            (_, after) => field(after, value.trim(), &mut found),
        }
    }
    found
}

/// `-remaining-requests`, `-requests-remaining` or `-remaining`, and the like.
fn field(words: &str, value: &str, found: &mut Vec<Left>) {
    let words = words.trim_start_matches('-');
    let has = |word| words.split('-').any(|part| part == word);
    let unit = match () {
        () if has("input") => Unit::InputTokens,
        () if has("output") => Unit::OutputTokens,
        () if has("tokens") => Unit::Tokens,
        () if has("requests") || !words.contains('-') => Unit::Requests,
        () => return,
    };
    let left = entry(unit, None, found);
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

/// `"name";r=50;t=30`.
fn draft(item: &str, found: &mut Vec<Left>) {
    let left = entry(Unit::Requests, None, found);
    left.remaining = parameter(item, "r").or(left.remaining);
    left.reset = parameter(item, "t").map(Duration::from_secs).or(left.reset);
}

/// `"name";q=100;w=60`.
fn policy(item: &str, found: &mut Vec<Left>) {
    let left = entry(Unit::Requests, None, found);
    left.limit = parameter(item, "q").or(left.limit);
    left.window = parameter(item, "w")
        .filter(|w| *w > 0)
        .map(Duration::from_secs)
        .or(left.window);
}

fn parameter(item: &str, name: &str) -> Option<u64> {
    let mut pairs = item
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    value.trim().parse().ok()
}

fn entry(unit: Unit, window: Option<Duration>, found: &mut Vec<Left>) -> &mut Left {
    let at = found
        .iter()
        .position(|left| left.unit == unit)
        .unwrap_or(found.len());
    if at == found.len() {
        found.push(Left {
            unit,
            remaining: None,
            limit: None,
            window,
            reset: None,
        });
    }
    &mut found[at]
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
    let most = 32.0 * 86_400.0;
    if value.is_empty() || sum > most {
        None
    } else {
        Duration::try_from_secs_f64(sum).ok()
    }
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
        fn anything_may_be_sent(name in "(x-|anthropic-)?ratelimit(-[a-z]{1,9}){0,3}", value in "[ -~]{0,40}") {
            let name = HeaderName::try_from(name).unwrap();
            left(&HeaderMap::from_iter([(name, HeaderValue::try_from(value).unwrap())]));
        }
    }
}
