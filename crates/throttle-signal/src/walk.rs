use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::demand::Text;
use crate::evidence::Evidence;
use crate::when::When;

/// What a key of a body says about its value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Key {
    /// A code, type, reason or the like.
    Code,
    /// Something for people.
    Text,
    /// An error, in whatever form, or the list of them. Its presence makes an answer a refusal.
    Error,
    /// A time, the first to be believed first.
    Wait(u8),
    /// Milliseconds, as before.
    Millis(u8),
    /// What a quota allows.
    Allowance,
    /// Response headers of an upstream further up.
    Headers,
    /// A business code that is an error unless it is zero.
    Business,
    /// What is over the rest of an answer, with a code that is an error unless it is zero.
    Head,
    /// What the model said, or the caller.
    Content,
    /// Anything else.
    Other,
}

impl Key {
    pub(crate) fn of(key: &str) -> Self {
        match key {
            "code" | "Code" | "type" | "Type" | "__type" | "status" | "reason" | "Reason"
            | "error_type" | "errorType" | "http_code" | "quotaId" | "quota_id" | "name"
            | "limit_type" | "limitType" | "errorcode" | "error_name" | "sub_code" | "subcode"
            | "policyName" | "category" | "tag" | ".tag" => Self::Code,
            "error_code" | "errorCode" | "status_code" | "err_code" | "errcode" | "ret" => {
                Self::Business
            }
            "message" | "Message" | "msg" | "error_msg" | "errmsg" | "err_msg"
            | "error_message" | "errorMessage" | "status_msg" | "status_message"
            | "status_text" | "detail" | "title" | "error_description" | "description" | "raw"
            | "cause" | "details" | "Detail" | "text" | "value" | "info" | "faultstring"
            | "errorMessages" | "errorSummary" | "error_summary" => Self::Text,
            "error" | "Error" | "errors" | "exception" => Self::Error,
            "retryDelay" | "retry_delay" => Self::Wait(0),
            "retry_after_ms" | "retryAfterMs" => Self::Millis(1),
            "retry_after"
            | "retry-after"
            | "retryAfter"
            | "retry_after_seconds"
            | "retryAfterSeconds"
            | "retry_after_secs"
            | "retry_in"
            | "wait_seconds" => Self::Wait(1),
            "resets_at" | "reset_at" | "resetAt" | "resetsAt" => Self::Wait(2),
            "resets_in_seconds"
            | "reset_in_seconds"
            | "reset_after"
            | "reset_after_seconds"
            | "reset_seconds"
            | "reset_time"
            | "estimated_time"
            | "quotaResetDelay"
            | "cooldown"
            | "time_remaining" => Self::Wait(3),
            // Of whole seconds, beside an exact delay.
            "quotaResetTimeStamp" => Self::Wait(4),
            "quota_limit_value" | "quotaLimitValue" | "quotaValue" | "quota_value" => {
                Self::Allowance
            }
            "headers" => Self::Headers,
            "header" => Self::Head,
            "choices" | "candidates" | "output" | "data" | "content" | "delta" | "messages"
            | "usage" | "links" | "tools" | "input" | "prompt" | "instructions" | "parts" => {
                Self::Content
            }
            key if key.ends_with("Exception") => Self::Error,
            // Keys of strangers, however they are spelled: `ErrorCode`, `resultMsg`.
            key if ends_with(key, "code") => Self::Code,
            key if ends_with(key, "msg") || ends_with(key, "message") => Self::Text,
            _ => Self::Other,
        }
    }
}

fn ends_with(key: &str, end: &str) -> bool {
    let start = key.len().checked_sub(end.len());
    let tail = start.and_then(|start| key.as_bytes().get(start..));
    tail.is_some_and(|tail| tail.eq_ignore_ascii_case(end.as_bytes()))
}

/// Goes through a JSON value and gathers what speaks of a refusal. Depth is bounded by `serde_json`.
pub(crate) struct Walk<'e, 'a> {
    pub(crate) evidence: &'e mut Evidence<'a>,
    pub(crate) key: Key,
    pub(crate) top: bool,
}

impl Walk<'_, '_> {
    fn number(self, number: f64, text: impl FnOnce() -> String) {
        match self.key {
            Key::Wait(rank) => self.evidence.wait(rank, When::number(number)),
            Key::Millis(rank) => self.evidence.wait(
                rank,
                When::number(number / 1000.0).filter(|_| number < 1e12),
            ),
            Key::Business if number != 0.0 => {
                self.evidence.error = true;
                self.evidence.code(Cow::Owned(text()));
            }
            Key::Code => self.evidence.code(Cow::Owned(text())),
            Key::Allowance => self.evidence.nothing_allowed |= number == 0.0,
            _ => {}
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.key == Key::Content {
            return deserializer.deserialize_ignored_any(IgnoredAny).map(drop);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<(), E> {
        self.evidence.string(self.key, Cow::Borrowed(text));
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if !matches!(self.key, Key::Other | Key::Content) {
            self.evidence.string(self.key, Cow::Owned(text.to_owned()));
        }
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        #[allow(
            clippy::cast_precision_loss,
            reason = "a time that large is cut anyway"
        )]
        self.number(number as f64, || number.to_string());
        Ok(())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        #[allow(
            clippy::cast_precision_loss,
            reason = "a time that large is cut anyway"
        )]
        self.number(number as f64, || number.to_string());
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.number(number, || number.to_string());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        loop {
            let item = Walk {
                evidence: self.evidence,
                key: self.key,
                top: self.top,
            };
            if seq.next_element_seed(item)?.is_none() {
                return Ok(());
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if self.key == Key::Error {
            self.evidence.error = true;
        }
        while let Some(Text(name)) = map.next_key()? {
            let name = name.unwrap_or_default();
            if self.key == Key::Headers {
                if let Text(Some(value)) = map.next_value()? {
                    self.evidence.headers.push((name, value));
                }
                continue;
            }
            let key = match Key::of(&name) {
                Key::Code if self.key == Key::Head => Key::Business,
                key => key,
            };
            let codes = self.evidence.codes.len();
            let value = Walk {
                evidence: self.evidence,
                key,
                top: false,
            };
            map.next_value_seed(value)?;
            if self.top && key == Key::Code {
                self.evidence.top_level(&name, codes);
            }
            if key == Key::Error && name.ends_with("Exception") {
                self.evidence.code(name);
            }
        }
        Ok(())
    }
}
