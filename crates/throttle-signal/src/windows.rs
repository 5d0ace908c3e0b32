use std::time::SystemTime;

use http::HeaderMap;

use crate::Kind;
use crate::evidence::Evidence;
use crate::when::When;

/// What the rate limit headers of a refusal say of one window.
#[derive(Clone, Copy, Debug, Default)]
struct Window<'a> {
    /// The header's name without the property: what the window is called.
    id: u64,
    unit: Unit,
    /// A window of a day or longer is used up rather than full.
    long: bool,
    remaining: Option<&'a str>,
    reset: Option<&'a str>,
    rejected: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Unit {
    Requests,
    Tokens,
    Concurrent,
    #[default]
    Unknown,
}

/// The windows that are exhausted, by the headers of a refusal.
///
/// A dimension counts only when its own `remaining` is 0 or it is marked rejected: a reset is also
/// sent for windows with room, and is then no wait. Where nothing is said of what remains, the reset of
/// the dimension that was refused is one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Exhausted {
    pub(crate) when: Option<When>,
    pub(crate) kind: Option<Kind>,
    /// Resets of requests and of tokens by headers that do not say what remains.
    alone: [Option<When>; 2],
}

impl Exhausted {
    /// The reset of the dimension that was refused, where no header says how much of it remains.
    pub(crate) fn reset_of(&self, kind: Kind) -> Option<When> {
        let [requests, tokens] = self.alone;
        match kind {
            Kind::RequestRate => requests,
            Kind::TokenRate => tokens,
            _ => None,
        }
    }

    pub(crate) fn read(
        headers: &HeaderMap,
        evidence: &Evidence<'_>,
        now: Option<SystemTime>,
    ) -> Self {
        let mut windows: Vec<Window<'_>> = Vec::new();
        let mut kind = None;
        for (name, value) in headers {
            if let Ok(value) = value.to_str() {
                note(&mut windows, name.as_str(), value);
                // LiteLLM names the dimension.
                if name == "rate_limit_type" {
                    kind = dimension(value);
                }
            }
        }
        for (name, value) in &evidence.headers {
            note(&mut windows, &name.to_ascii_lowercase(), value);
        }
        structured(headers, &mut windows);

        let mut exhausted = Self {
            kind,
            ..Self::default()
        };
        let mut longest = None;
        for window in windows.iter().filter(|window| window.is_exhausted()) {
            exhausted.kind = exhausted.kind.or(window.kind());
            let when = window.reset.and_then(When::parse);
            let wait = when.and_then(|when| when.from(now));
            if wait > longest {
                longest = wait;
                exhausted.when = when;
                exhausted.kind = window.kind().or(exhausted.kind);
            }
        }
        for window in windows.iter().filter(|window| window.remaining.is_none()) {
            let [requests, tokens] = &mut exhausted.alone;
            let alone = match window.kind() {
                Some(Kind::RequestRate) => requests,
                Some(Kind::TokenRate) => tokens,
                _ => continue,
            };
            *alone = alone.or(window.reset.and_then(When::parse));
        }
        exhausted
    }
}

impl Window<'_> {
    fn is_exhausted(&self) -> bool {
        let none_left = |left: &str| left.trim().parse::<f64>().is_ok_and(|left| left <= 0.0);
        self.rejected || self.remaining.is_some_and(none_left)
    }

    fn kind(&self) -> Option<Kind> {
        match self.unit {
            _ if self.long => Some(Kind::QuotaExhausted),
            Unit::Requests => Some(Kind::RequestRate),
            Unit::Tokens => Some(Kind::TokenRate),
            Unit::Concurrent => Some(Kind::Concurrency),
            Unit::Unknown => None,
        }
    }
}

fn dimension(name: &str) -> Option<Kind> {
    match name {
        "tokens" => Some(Kind::TokenRate),
        "requests" => Some(Kind::RequestRate),
        "concurrent_requests" | "max_parallel_requests" => Some(Kind::Concurrency),
        _ => None,
    }
}

/// Takes up one header if it is about a rate limit.
fn note<'a>(windows: &mut Vec<Window<'a>>, name: &str, value: &'a str) {
    if !name.contains("limit") && !name.contains("quota") {
        return;
    }
    let mut window = Window::default();
    let mut property = "";
    for word in name.split('-') {
        match word {
            "remaining" | "reset" | "status" => property = word,
            "limit" | "used" | "type" | "resource" | "policy" | "timeremaining" | "x" | "rate"
            | "ratelimit" => {}
            _ => {
                match word {
                    "requests" | "request" | "req" | "rpm" => window.unit = Unit::Requests,
                    // The size of a request is its tokens.
                    "tokens" | "token" | "tpm" | "ratelimitbysize" => window.unit = Unit::Tokens,
                    "concurrent" | "concurrency" => window.unit = Unit::Concurrent,
                    "day" | "daily" | "24h" | "24hour" | "week" | "weekly" | "month"
                    | "monthly" | "5h" | "7d" => window.long = true,
                    _ => {}
                }
                window.id = word
                    .bytes()
                    .fold(window.id ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
                        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
                    });
            }
        }
    }
    let known = windows.iter().position(|one| one.id == window.id);
    let at = known.unwrap_or(windows.len());
    if known.is_none() {
        windows.push(window);
    }
    let Some(window) = windows.get_mut(at) else {
        return;
    };
    match property {
        "remaining" => window.remaining = Some(value),
        "reset" => window.reset = Some(value),
        "status" => window.rejected = value == "rejected",
        _ => {}
    }
}

/// Takes up the fields of the IETF's draft: `RateLimit: "name";r=0;t=10` with `RateLimit-Policy:
/// "name";q=5;w=60;qu="requests"`, and the older `limit=5, remaining=0, reset=34`.
fn structured<'a>(headers: &'a HeaderMap, windows: &mut Vec<Window<'a>>) {
    let policies: Vec<&str> = items(headers, "ratelimit-policy").collect();
    for item in items(headers, "ratelimit") {
        let name = item.split(';').next().unwrap_or_default().trim();
        let mut window = Window {
            id: windows.len() as u64,
            remaining: parameter(item, "r"),
            reset: parameter(item, "t"),
            ..Window::default()
        };
        let policy = policies
            .iter()
            .find(|policy| policy.split(';').next().unwrap_or_default().trim() == name);
        if let Some(policy) = policy {
            window.unit = match parameter(policy, "qu") {
                Some(unit) if unit.contains("concurrent") => Unit::Concurrent,
                Some(unit) if unit.contains("token") => Unit::Tokens,
                Some(_) => Unit::Unknown,
                None => Unit::Requests,
            };
            let seconds = parameter(policy, "w").and_then(|window| window.parse::<u64>().ok());
            window.long = seconds.is_some_and(|seconds| seconds >= 86_400);
        }
        match name.split_once('=') {
            Some(("remaining", left)) => windows.push(Window {
                remaining: Some(left),
                ..window
            }),
            Some(("reset", seconds)) => {
                if let Some(window) = windows.last_mut() {
                    window.reset = Some(seconds);
                }
            }
            Some(_) => {}
            None => windows.push(window),
        }
    }
}

fn items<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
}

fn parameter<'a>(item: &'a str, name: &str) -> Option<&'a str> {
    item.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.trim().split_once('=')?;
        (key == name).then(|| value.trim_matches('"'))
    })
}
