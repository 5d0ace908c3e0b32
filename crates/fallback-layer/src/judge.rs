use std::time::Duration;

use http::StatusCode;
use throttle_signal::{Kind, Throttle};

use crate::Triggers;
use crate::triggers::Trigger;

/// What a response means for the chain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// It is the answer.
    Answer,
    /// It is a refusal others above can wait out: within this candidate's patience.
    Wait(Kind),
    /// The next candidate, for this reason.
    Next(Why),
}

/// Why a candidate was left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Why {
    Refused(Kind),
    ServerError,
    Error,
    FirstByte,
    Readiness,
    ContextLength,
    ContentRefused,
}

impl Why {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Refused(kind) => kind.as_str(),
            Self::ServerError => "server_error",
            Self::Error => "connection_error",
            Self::FirstByte => "first_byte_timeout",
            Self::Readiness => "not_ready_in_time",
            Self::ContextLength => "context_length",
            Self::ContentRefused => "content_refused",
        }
    }

    /// Whether it may be the candidate that fails rather than the request: then it is remembered, once
    /// another candidate has answered the same request.
    pub(crate) const fn is_suspicious(self) -> bool {
        matches!(self, Self::ServerError | Self::Error | Self::FirstByte)
    }
}

impl Triggers {
    /// Judges a refusal. `given_up` is whether a layer below has waited for it in vain, and `patience`
    /// what is left of the candidate's.
    pub(crate) fn judge(self, throttle: &Throttle, given_up: bool, patience: Duration) -> Verdict {
        let trigger = match throttle.kind() {
            Kind::QuotaExhausted => Trigger::Exhausted,
            Kind::Overloaded => Trigger::Overloaded,
            Kind::Credential => Trigger::Credential,
            _ => Trigger::Wait,
        };
        let passes = !matches!(
            throttle.kind(),
            Kind::QuotaExhausted | Kind::Overloaded | Kind::Credential
        );
        if !self.has(trigger) {
            return Verdict::Answer;
        }
        let known = throttle.wait().known();
        let short = !patience.is_zero() && known.is_some_and(|wait| wait <= patience);
        if passes && throttle.retry() && short && !given_up {
            return Verdict::Wait(throttle.kind());
        }
        Verdict::Next(Why::Refused(throttle.kind()))
    }

    /// Whether the body of a response that is no refusal is worth a look.
    pub(crate) fn looks_into(self, status: StatusCode) -> bool {
        (self.has(Trigger::ContextLength) || self.has(Trigger::ContentRefused))
            && matches!(status.as_u16(), 400 | 413 | 422)
    }

    /// Judges a response that is no refusal, by what was read of its body.
    pub(crate) fn judge_other(self, status: StatusCode, head: &[u8]) -> Verdict {
        if status.is_server_error() && self.has(Trigger::ServerError) {
            return Verdict::Next(Why::ServerError);
        }
        if self.looks_into(status) {
            if self.has(Trigger::ContextLength) && says(head, &TOO_LONG) {
                return Verdict::Next(Why::ContextLength);
            }
            if self.has(Trigger::ContentRefused) && says(head, &CONTENT) {
                return Verdict::Next(Why::ContentRefused);
            }
        }
        Verdict::Answer
    }
}

/// How providers say that a request is longer than the context.
const TOO_LONG: [&str; 7] = [
    "context_length_exceeded", // OpenAI, Azure, DeepSeek and who follows them
    "maximum context length",  // the same, in words; vLLM
    "prompt is too long",      // Anthropic
    "range of input length should be", // Model Studio
    "exceeds the maximum number of tokens", // Gemini
    "exceed_context_size",     // llama.cpp
    "input is too long",       // Bedrock
];

/// How providers say that they do not answer to such content.
const CONTENT: [&str; 5] = [
    "data_inspection_failed",       // Model Studio, OpenAI-compatible
    "datainspectionfailed",         // Model Studio
    "content_filter",               // Azure
    "responsibleaipolicyviolation", // Azure
    "content_policy_violation",     // OpenAI
];

fn says(head: &[u8], words: &[&str]) -> bool {
    words.iter().any(|words| {
        let words = words.as_bytes();
        head.windows(words.len())
            .any(|part| part.eq_ignore_ascii_case(words))
    })
}

#[cfg(test)]
mod tests {
    use throttle_signal::Wait;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn judged(throttle: &Throttle, given_up: bool) -> Verdict {
        Triggers::new().judge(throttle, given_up, 2 * SECOND)
    }

    #[test]
    fn goes_on_by_the_table() {
        let rate = Throttle::new(Kind::RequestRate);
        let next = |kind| Verdict::Next(Why::Refused(kind));
        for (throttle, verdict) in [
            (
                rate.clone().with_wait(Wait::Stated(2 * SECOND)),
                Verdict::Wait(Kind::RequestRate),
            ),
            (
                rate.clone().with_wait(Wait::Stated(3 * SECOND)),
                next(Kind::RequestRate),
            ),
            (
                rate.clone().with_wait(Wait::Typical(SECOND)),
                Verdict::Wait(Kind::RequestRate),
            ),
            (rate.clone(), next(Kind::RequestRate)),
            (
                rate.with_wait(Wait::Stated(SECOND)).with_retry(false),
                next(Kind::RequestRate),
            ),
            (
                Throttle::new(Kind::Concurrency).with_wait(Wait::Stated(SECOND)),
                Verdict::Wait(Kind::Concurrency),
            ),
            (
                Throttle::new(Kind::QuotaExhausted),
                next(Kind::QuotaExhausted),
            ),
            (
                Throttle::new(Kind::Overloaded).with_wait(Wait::Stated(SECOND)),
                next(Kind::Overloaded),
            ),
            (Throttle::new(Kind::Credential), next(Kind::Credential)),
        ] {
            assert_eq!(judged(&throttle, false), verdict, "{throttle:?}");
        }
    }

    #[test]
    fn goes_on_when_the_layers_below_have_given_up() {
        let short = Throttle::new(Kind::RequestRate).with_wait(Wait::Stated(SECOND));
        assert_eq!(judged(&short, false), Verdict::Wait(Kind::RequestRate));
        assert_eq!(
            judged(&short, true),
            Verdict::Next(Why::Refused(Kind::RequestRate))
        );
    }

    #[test]
    fn a_switched_off_trigger_leaves_the_answer() {
        let triggers = Triggers::none();
        for kind in [
            Kind::RequestRate,
            Kind::QuotaExhausted,
            Kind::Overloaded,
            Kind::Credential,
            Kind::Concurrency,
        ] {
            assert_eq!(
                triggers.judge(&Throttle::new(kind), false, SECOND),
                Verdict::Answer
            );
        }
        assert_eq!(
            triggers.judge_other(StatusCode::BAD_GATEWAY, b""),
            Verdict::Answer
        );
        assert_eq!(
            triggers.judge_other(StatusCode::BAD_REQUEST, b"context_length_exceeded"),
            Verdict::Answer
        );
    }

    #[test]
    fn reads_why_a_request_was_refused() {
        let triggers = Triggers::new().content_refused(true);
        let judge = |body: &str| triggers.judge_other(StatusCode::BAD_REQUEST, body.as_bytes());
        for body in [
            r#"{"error":{"code":"context_length_exceeded"}}"#,
            "This model's maximum context length is 8192 tokens.",
            "Range of input length should be [1, 30720]",
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        ] {
            assert_eq!(judge(body), Verdict::Next(Why::ContextLength), "{body}");
        }
        assert_eq!(
            judge(r#"{"code":"DataInspectionFailed"}"#),
            Verdict::Next(Why::ContentRefused)
        );
        assert_eq!(judge("messages must not be empty"), Verdict::Answer);
        assert_eq!(
            triggers.judge_other(StatusCode::OK, b"maximum context length"),
            Verdict::Answer
        );
        let careful = Triggers::new().judge_other(StatusCode::BAD_REQUEST, b"content_filter");
        assert_eq!(careful, Verdict::Answer);
    }
}
