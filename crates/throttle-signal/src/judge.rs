use std::time::{Duration, SystemTime};

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, StatusCode};

use crate::evidence::Evidence;
use crate::rule::fits;
use crate::stated::Figures;
use crate::when::{LONGEST, When, millis};
use crate::windows::Exhausted;
use crate::{Kind, Profile, Rule, Throttle, Wait};
use crate::{coding, grpc};

const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
const X_MS_RETRY_AFTER_MS: HeaderName = HeaderName::from_static("x-ms-retry-after-ms");
const X_RETRY_AFTER: HeaderName = HeaderName::from_static("x-retry-after");
const X_AMZN_ERRORTYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// One response, to be judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case<'a> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) trailers: Option<&'a HeaderMap>,
    /// As much of the body as was read.
    pub(crate) body: &'a [u8],
    /// The model the request named.
    pub(crate) model: Option<&'a str>,
    /// The time of day, for responses that do not say theirs.
    pub(crate) clock: Option<fn() -> SystemTime>,
}

/// Names what a response is, and whether time will tell if it is worse. `None` for what is no
/// refusal.
pub(crate) fn judge(profile: &Profile, case: Case<'_>) -> Option<(Throttle, bool)> {
    let grpc = grpc::Verdict::read(case.headers, case.trailers);
    let body = coding::opened(case.headers, case.body);
    let mut evidence = Evidence::read(&body);
    let mut status = case.status.as_u16();
    let mut inside = false;
    if let Some(grpc) = &grpc {
        status = grpc.as_http()?;
        grpc.testify(&mut evidence);
    } else if case.status.is_success() {
        if !evidence.error {
            return None;
        }
        inside = true;
        status = evidence
            .codes
            .iter()
            .find_map(|code| status_of(code))
            .unwrap_or(status);
    } else if status < 400 {
        return None;
    }

    if let Some(error) = case
        .headers
        .get(X_AMZN_ERRORTYPE)
        .and_then(|value| value.to_str().ok())
    {
        let name = error.split_once(':').map_or(error, |(name, _)| name);
        evidence.code(name.to_owned().into());
    }

    let now = date(case.headers).or_else(|| case.clock.map(|clock| clock()));
    let matcher = profile.matcher();
    let found = matcher.find(
        evidence.codes.iter().map(AsRef::as_ref),
        evidence.texts.iter().map(AsRef::as_ref),
    );
    let figures = Figures::read(&found, &evidence.texts, now);
    let exhausted = Exhausted::read(case.headers, &evidence, now);
    let stated = stated(&case, grpc.as_ref(), &evidence, &figures, &exhausted, now);

    let hearing = Hearing {
        case: &case,
        status,
        inside,
        stated,
        spoken: !evidence.texts.is_empty(),
    };
    let rules = profile.rules();
    let number = matcher.first(&found, |number| {
        rules.get(number).is_some_and(|rule| hearing.applies(rule))
    })?;
    let rule = rules.get(number)?;
    let (mut kind, scope) = rule.verdict?;
    if rule.unsure {
        kind = exhausted.kind.or(figures.over()).unwrap_or(kind);
    } else if kind.is_rate() {
        kind = figures.over().unwrap_or(kind);
    }

    let mut retry = rule
        .retry
        .filter(|_| !rule.unsure)
        .unwrap_or(kind.passes_with_time());
    let mut because = profile.because(number);
    if kind.is_rate() && (evidence.nothing_allowed || figures.no_allowance()) {
        (kind, retry) = (Kind::QuotaExhausted, false);
        because = format!("{because}, with a limit of nothing").into();
    } else if kind.is_rate() && figures.never_fits() {
        retry = false;
        because = format!("{because}, larger than the limit").into();
    }
    // Somebody below has done the retrying, or knows that none helps.
    let asked_not_to = case
        .headers
        .get(X_SHOULD_RETRY)
        .is_some_and(|value| value == "false");
    if asked_not_to || grpc.is_some_and(|grpc| grpc.refuses_retry()) {
        retry = false;
    }
    let alone = || exhausted.reset_of(kind)?.from(now);
    let wait = match (stated.or_else(alone), rule.typical) {
        (Some(wait), _) => Wait::Stated(wait),
        (None, Some(typical)) => Wait::Typical(typical),
        (None, None) => Wait::Unknown,
    };
    let throttle = Throttle::new(kind)
        .with_scope(scope)
        .with_retry(retry)
        .with_wait(wait)
        .with_said(evidence.message())
        .with_because(because);
    Some((throttle, rule.suspect))
}

/// What is known when the rules are asked.
struct Hearing<'a> {
    case: &'a Case<'a>,
    status: u16,
    // The error came inside a success.
    inside: bool,
    stated: Option<Duration>,
    // The body says anything.
    spoken: bool,
}

impl Hearing<'_> {
    /// Whether the conditions that are not on the body hold.
    fn applies(&self, rule: &Rule) -> bool {
        let Self { case, .. } = self;
        let status = rule.status.is_empty()
            || rule.status.contains(&self.status)
            || (self.inside && self.status < 400 && rule.looks_inside());
        let header = || {
            rule.header.is_none_or(|(name, prefix)| {
                case.headers
                    .get(name)
                    .is_some_and(|value| value.as_bytes().starts_with(prefix.as_bytes()))
            })
        };
        let model = || {
            rule.model.is_empty()
                || case
                    .model
                    .is_some_and(|model| rule.model.iter().any(|pattern| fits(pattern, model)))
        };
        let stated = |holds: &dyn Fn(Duration) -> bool| self.stated.is_some_and(holds);
        let wait = rule
            .wait_under
            .is_none_or(|most| stated(&|wait| wait < most))
            && rule
                .wait_from
                .is_none_or(|least| stated(&|wait| wait >= least));
        status && wait && (!rule.spoken || self.spoken) && header() && model()
    }
}

/// The wait a response states, from the source to be believed first.
fn stated(
    case: &Case<'_>,
    grpc: Option<&grpc::Verdict>,
    evidence: &Evidence<'_>,
    figures: &Figures,
    exhausted: &Exhausted,
    now: Option<SystemTime>,
) -> Option<Duration> {
    let body = || {
        let mut waits = evidence.waits.clone();
        waits.sort_by_key(|(rank, _)| *rank);
        waits.into_iter().find_map(|(_, when)| when.from(now))
    };
    grpc.and_then(grpc::Verdict::pushback)
        .or_else(|| {
            longest(
                case.headers,
                RETRY_AFTER_MS,
                |value| millis(value).map(When::After),
                now,
            )
        })
        .or_else(|| {
            longest(
                case.headers,
                X_MS_RETRY_AFTER_MS,
                |value| millis(value).map(When::After),
                now,
            )
        })
        .or_else(|| longest(case.headers, RETRY_AFTER, When::parse, now))
        .or_else(|| longest(case.headers, X_RETRY_AFTER, When::parse, now))
        .or_else(body)
        .or_else(|| figures.when?.from(now))
        .or_else(|| exhausted.when?.from(now))
        .map(|wait| wait.min(LONGEST))
}

/// The longest of the waits in all headers of this name: a floor is kept by keeping the highest.
/// Values that cannot be read are passed over.
fn longest(
    headers: &HeaderMap,
    name: HeaderName,
    parse: impl Fn(&str) -> Option<When>,
    now: Option<SystemTime>,
) -> Option<Duration> {
    let mut longest = None;
    for value in headers.get_all(name) {
        let Ok(value) = value.to_str() else { continue };
        let mut note = |when: Option<When>| {
            longest = longest.max(when.and_then(|when| when.from(now)));
        };
        match parse(value) {
            Some(when) => note(Some(when)),
            // Two headers that a proxy made one.
            None => value.split(',').for_each(|part| note(parse(part))),
        }
    }
    longest
}

fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()
}

/// The status an error inside a success names.
fn status_of(code: &str) -> Option<u16> {
    if code.len() != 3 {
        return None;
    }
    code.parse()
        .ok()
        .filter(|status| (400..600).contains(status))
}
