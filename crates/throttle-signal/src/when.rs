use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest wait there is: ten years. A larger number is cut to it, so that adding it to the
/// time of day never overflows.
pub(crate) const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// A time to come back, as it was put.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum When {
    After(Duration),
    At(SystemTime),
}

impl When {
    /// The wait from `now`. A moment that is past says nothing about how long to wait.
    pub(crate) fn from(self, now: Option<SystemTime>) -> Option<Duration> {
        match self {
            Self::After(wait) => Some(wait.min(LONGEST)),
            Self::At(at) => {
                let wait = at.duration_since(now?).ok()?;
                (!wait.is_zero()).then_some(wait.min(LONGEST))
            }
        }
    }

    /// Reads a header value or a body field in any of the forms met: seconds, with or without a
    /// fraction; seconds or milliseconds since 1970; an HTTP date; RFC 3339; a Go duration.
    ///
    /// Negative numbers and what is none of these are `None`, never zero.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let value = value.trim();
        match value.as_bytes().first()? {
            b'0'..=b'9' => {
                if value
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || byte == b'.')
                {
                    return Self::number(value.parse().ok()?);
                }
                if let Some((wait, "")) = span(value) {
                    return Some(Self::After(wait));
                }
                timestamp(value).map(Self::At)
            }
            b'A'..=b'Z' => httpdate::parse_http_date(value).ok().map(Self::At),
            _ => None,
        }
    }

    /// Reads a number: a wait in seconds up to thirty years, then seconds since 1970, then
    /// milliseconds since 1970, and beyond all dates a very long wait.
    pub(crate) fn number(number: f64) -> Option<Self> {
        if !number.is_finite() || number < 0.0 {
            return None;
        }
        let duration = |seconds| Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST);
        Some(if (1e9..1e11).contains(&number) {
            Self::At(UNIX_EPOCH + duration(number))
        } else if (1e12..1e14).contains(&number) {
            Self::At(UNIX_EPOCH + duration(number / 1000.0))
        } else {
            Self::After(duration(number))
        })
    }
}

/// Milliseconds, whole or not, as `retry-after-ms` has them.
pub(crate) fn millis(value: &str) -> Option<Duration> {
    let value = value.trim();
    if !value.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let millis: f64 = value.parse().ok()?;
    if !millis.is_finite() {
        return Some(LONGEST);
    }
    Some(Duration::try_from_secs_f64(millis / 1000.0).map_or(LONGEST, |wait| wait.min(LONGEST)))
}

/// Reads numbers with units at the beginning of `text`, and returns what follows them: `9m38.016s`,
/// `2m 13s`, `58 hours`, `1 minute and 5 seconds`, `02:14:00`.
pub(crate) fn span(text: &str) -> Option<(Duration, &str)> {
    if let Some(clock) = clock(text) {
        return Some(clock);
    }
    let mut total = None;
    let mut rest = text;
    while let Some((number, after)) = number(rest) {
        let after = after.trim_start_matches([' ', '-']);
        let letters = after
            .find(|letter: char| !(letter.is_ascii_alphabetic() || letter == 'µ'))
            .unwrap_or(after.len());
        let (word, after) = after.split_at(letters);
        let Some(seconds) = unit(word) else { break };
        let part = Duration::try_from_secs_f64(number * seconds).unwrap_or(LONGEST);
        total = Some(total.unwrap_or(Duration::ZERO).saturating_add(part));
        rest = after;
        let next = rest.trim_start_matches([' ', ',']);
        let next = next.strip_prefix("and ").unwrap_or(next);
        if next.starts_with(|first: char| first.is_ascii_digit()) {
            rest = next;
        }
    }
    total.map(|total| (total.min(LONGEST), rest))
}

/// A number without sign, and what follows it. Commas between digits are passed over.
pub(crate) fn number(text: &str) -> Option<(f64, &str)> {
    let bytes = text.as_bytes();
    if !bytes.first()?.is_ascii_digit() {
        return None;
    }
    let mut end = 1;
    while let Some(byte) = bytes.get(end) {
        let digit_follows = bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
        if !(byte.is_ascii_digit() || (matches!(byte, b'.' | b',') && digit_follows)) {
            break;
        }
        end += 1;
    }
    let (digits, rest) = text.split_at(end);
    let number = if digits.contains(',') {
        digits.replace(',', "").parse()
    } else {
        digits.parse()
    };
    Some((number.ok()?, rest))
}

/// The seconds in a unit.
fn unit(word: &str) -> Option<f64> {
    const UNITS: &[(f64, &[&str])] = &[
        (1e-9, &["ns"]),
        (1e-6, &["us", "µs"]),
        (
            1e-3,
            &["ms", "msec", "msecs", "millisecond", "milliseconds"],
        ),
        (1.0, &["s", "sec", "secs", "second", "seconds"]),
        (60.0, &["m", "min", "mins", "minute", "minutes"]),
        (3600.0, &["h", "hr", "hrs", "hour", "hours"]),
        (86_400.0, &["d", "day", "days"]),
        (604_800.0, &["w", "week", "weeks"]),
    ];
    UNITS
        .iter()
        .find(|(_, words)| words.iter().any(|one| one.eq_ignore_ascii_case(word)))
        .map(|(seconds, _)| *seconds)
}

/// `HH:MM:SS`, with days before a dot as .NET puts them: `22.14:18:12`.
fn clock(text: &str) -> Option<(Duration, &str)> {
    let days = text.split_once('.').and_then(|(days, rest)| {
        let short = days.len() <= 8 && days.bytes().all(|byte| byte.is_ascii_digit());
        let days: u64 = days.parse().ok().filter(|_| short)?;
        let (part, rest) = of_day(rest)?;
        Some((part + Duration::from_secs(days * 86_400), rest))
    });
    days.or_else(|| of_day(text))
}

fn of_day(text: &str) -> Option<(Duration, &str)> {
    let bytes = text.as_bytes().get(..8)?;
    let two = |at: usize| -> Option<u64> {
        let (tens, ones) = (*bytes.get(at)?, *bytes.get(at + 1)?);
        (tens.is_ascii_digit() && ones.is_ascii_digit())
            .then(|| u64::from(tens - b'0') * 10 + u64::from(ones - b'0'))
    };
    if bytes.get(2) != Some(&b':') || bytes.get(5) != Some(&b':') {
        return None;
    }
    let seconds = two(0)? * 3600 + two(3)? * 60 + two(6)?;
    Some((Duration::from_secs(seconds), text.get(8..)?))
}

/// A date and time with its offset, at the beginning of `text`: RFC 3339, and what people make of
/// it (`2026-03-02 00:00:00 +0800 CST`, `2026-02-01 at 00:00 UTC`). Without an offset it is `None`:
/// whose local time it is cannot be known.
pub(crate) fn timestamp(text: &str) -> Option<SystemTime> {
    let (year, rest) = digits(text, 4)?;
    let (month, rest) = digits(rest.strip_prefix('-')?, 2)?;
    let (day, rest) = digits(rest.strip_prefix('-')?, 2)?;
    let rest = rest
        .strip_prefix(" at ")
        .or_else(|| rest.strip_prefix(['T', 't', ' ']))?;
    let (hour, rest) = digits(rest, 2)?;
    let (minute, rest) = digits(rest.strip_prefix(':')?, 2)?;
    let (second, rest) = match rest.strip_prefix(':') {
        Some(rest) => digits(rest, 2)?,
        None => (0, rest),
    };
    let rest = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|digit: char| digit.is_ascii_digit()),
        None => rest,
    };
    let offset = offset(rest.trim_start_matches(' '))?;
    if !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 24
        || minute > 59
        || second > 60
    {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    Some(UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).ok()?))
}

/// The seconds an offset is ahead of UTC.
fn offset(text: &str) -> Option<i64> {
    let sign = match text.as_bytes().first()? {
        b'Z' | b'z' => return Some(0),
        b'+' => 1,
        b'-' => -1,
        _ => {
            let rest = text
                .strip_prefix("UTC")
                .or_else(|| text.strip_prefix("GMT"))?;
            return Some(if rest.starts_with(['+', '-']) {
                offset(rest)?
            } else {
                0
            });
        }
    };
    let text = text.get(1..)?;
    // `UTC+8` has one digit.
    let (hours, rest) = digits(text, 2).or_else(|| digits(text, 1))?;
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    let (minutes, _) = digits(rest, 2).unwrap_or((0, rest));
    Some(sign * (hours * 3600 + minutes * 60))
}

fn digits(text: &str, count: usize) -> Option<(i64, &str)> {
    let (digits, rest) = text.split_at_checked(count)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, rest))
}

/// Days since 1970 of a date in the Gregorian calendar (H. Hinnant, "`days_from_civil`").
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secs(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn reads_every_form_of_a_wait() {
        for (value, seconds) in [
            ("16", 16.0),
            (" 7 ", 7.0),
            ("0", 0.0),
            ("1.5", 1.5),
            ("6m0s", 360.0),
            ("120ms", 0.12),
            ("2m59.56s", 179.56),
            ("11.382867097854614", 11.382_867_098),
            ("1h0m0s", 3600.0),
        ] {
            assert_eq!(
                When::parse(value),
                Some(When::After(secs(seconds))),
                "{value}"
            );
        }
    }

    #[test]
    fn reads_every_form_of_a_moment() {
        let at = |seconds| Some(When::At(UNIX_EPOCH + Duration::from_secs(seconds)));
        assert_eq!(When::parse("1655120964"), at(1_655_120_964));
        assert_eq!(When::parse("1790640000000"), at(1_790_640_000));
        assert_eq!(When::parse("2025-06-02T15:15:48Z"), at(1_748_877_348));
        assert_eq!(
            When::parse("2025-06-02T17:15:48.123+02:00"),
            at(1_748_877_348)
        );
        assert_eq!(
            When::parse("Mon, 28 Sep 2026 20:00:00 GMT"),
            at(1_790_625_600)
        );
    }

    #[test]
    fn makes_nothing_of_nonsense() {
        for value in [
            "",
            "-5",
            "soon",
            "+5",
            "5 apples",
            "1e400x",
            "99-99-99T",
            "2026-13-01T00:00:00Z",
            "é",
        ] {
            assert_eq!(When::parse(value), None, "{value}");
        }
    }

    #[test]
    fn an_overlong_number_is_a_very_long_wait() {
        let wait = When::parse("99999999999999999999999999").and_then(|when| when.from(None));
        assert_eq!(wait, Some(LONGEST));
    }

    #[test]
    fn a_moment_past_is_no_wait() {
        let now = UNIX_EPOCH + Duration::from_secs(100);
        assert_eq!(When::At(UNIX_EPOCH).from(Some(now)), None);
        assert_eq!(When::At(now).from(Some(now)), None);
        assert_eq!(When::At(now).from(None), None);
        assert_eq!(When::At(now + secs(3.0)).from(Some(now)), Some(secs(3.0)));
    }

    #[test]
    fn reads_what_people_write() {
        for (text, seconds, rest) in [
            ("9m38.016s. Visit", 578.016, ". Visit"),
            ("58 hours. Please", 208_800.0, ". Please"),
            ("2m 13s)", 133.0, ")"),
            ("1 minute and 5 seconds", 65.0, ""),
            ("02:14:00.", 8040.0, "."),
            ("3.02:14:00.", 267_240.0, "."),
            ("1,200 seconds", 1200.0, ""),
            ("644ms.", 0.644, "."),
        ] {
            assert_eq!(span(text), Some((secs(seconds), rest)), "{text}");
        }
        assert_eq!(span("5"), None);
        assert_eq!(span("5 requests"), None);
    }

    #[test]
    fn reads_dates_as_people_write_them() {
        let at = |seconds| Some(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(
            timestamp("2026-03-02 00:00:00 +0800 CST."),
            at(1_772_380_800)
        );
        assert_eq!(timestamp("2026-02-01 at 00:00 UTC."), at(1_769_904_000));
        assert_eq!(
            timestamp("2026-02-01 08:00:00 UTC+8 重置"),
            at(1_769_904_000)
        );
        assert_eq!(
            timestamp("2026-01-31 19:00:00 GMT-05:00"),
            at(1_769_904_000)
        );
        assert_eq!(timestamp("2026-01-01 18:00:00"), None);
    }

    proptest! {
        #[test]
        fn survives_every_text(text in "\\PC{0,40}") {
            let _ = When::parse(&text);
            let _ = span(&text);
            let _ = timestamp(&text);
            let _ = millis(&text);
        }

        #[test]
        fn survives_almost_times(text in "[0-9:.,TZ+ -]{0,32}") {
            let _ = When::parse(&text);
            let _ = span(&text);
            let _ = timestamp(&text);
        }

        #[test]
        fn agrees_with_the_http_date_of_the_same_moment(seconds in 0_u64..4_000_000_000) {
            let at = UNIX_EPOCH + Duration::from_secs(seconds);
            prop_assert_eq!(When::parse(&httpdate::fmt_http_date(at)), Some(When::At(at)));
        }
    }
}
