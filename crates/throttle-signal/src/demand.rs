use std::borrow::Cow;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// What a request asks of a quota, as far as its body tells.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Demand {
    /// Length of the body in bytes.
    pub input_bytes: u64,

    /// How many of its characters are Chinese, Japanese or Korean, which weigh more tokens a byte.
    pub wide_chars: u64,

    /// The most tokens the answer may have, each choice, if the request says so.
    pub max_tokens: Option<u64>,

    /// How many answers are asked for; 1 if the request does not say.
    pub choices: u32,

    /// Whether the answer is to be streamed.
    pub stream: bool,
}

/// The top level of a request in the format of OpenAI, Anthropic or Model Studio.
#[derive(Debug, Default)]
pub(crate) struct TopLevel<'a> {
    pub(crate) model: Option<Cow<'a, str>>,
    pub(crate) demand: Demand,
}

impl<'a> TopLevel<'a> {
    /// Reads a body in one pass. What is not JSON, or not an object, asks for its bytes alone.
    pub(crate) fn read(body: &'a [u8]) -> Self {
        let mut top = match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => serde_json::from_slice(body).unwrap_or_default(),
            _ => Self::default(),
        };
        top.demand.input_bytes = body.len() as u64;
        top.demand.wide_chars = wide_chars(body);
        top.demand.choices = top.demand.choices.max(1);
        top
    }
}

impl<'de> Deserialize<'de> for TopLevel<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TopLevelVisitor)
    }
}

struct TopLevelVisitor;

impl<'de> Visitor<'de> for TopLevelVisitor {
    type Value = TopLevel<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut top = TopLevel::default();
        while let Some(Text(key)) = map.next_key()? {
            match key.as_deref() {
                Some("model") => top.model = map.next_value::<Text<'_>>()?.0,
                Some("max_tokens" | "max_completion_tokens" | "max_output_tokens") => {
                    let Count(count) = map.next_value()?;
                    top.demand.max_tokens = top.demand.max_tokens.max(count);
                }
                Some("n") => {
                    let Count(count) = map.next_value()?;
                    top.demand.choices = count.map_or(1, |n| u32::try_from(n).unwrap_or(u32::MAX));
                }
                Some("stream") => top.demand.stream = map.next_value::<Flag>()?.0,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(top)
    }
}

/// A string, or anything else, which is passed over.
pub(crate) struct Text<'a>(pub(crate) Option<Cow<'a, str>>);

/// A whole number from 0, or anything else, which is passed over.
struct Count(Option<u64>);

/// `true`, or anything else, which counts as `false`.
struct Flag(bool);

macro_rules! lenient {
    ($visitor:ident, $value:ty, $other:expr, { $($method:item)* }) => {
        struct $visitor;

        impl<'de> Visitor<'de> for $visitor {
            type Value = $value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok($other)
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok($other)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok($other)
            }

            $($method)*
        }

        impl<'de> Deserialize<'de> for $value {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any($visitor)
            }
        }
    };
}

lenient!(TextVisitor, Text<'de>, Text(None), {
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Text(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Text(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Text(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Text(None))
    }
});

lenient!(CountVisitor, Count, Count(None), {
    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Count(None))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Count(None))
    }

    fn visit_u64<E>(self, count: u64) -> Result<Self::Value, E> {
        Ok(Count(Some(count)))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Count(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Count(None))
    }
});

lenient!(FlagVisitor, Flag, Flag(false), {
    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Flag(false))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Flag(flag))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Flag(false))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Flag(false))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Flag(false))
    }
});

/// Counts CJK characters: in UTF-8 they begin with the bytes `E3` to `ED` (U+3000 to U+DFFF).
fn wide_chars(body: &[u8]) -> u64 {
    // As a sum over bytes the compiler makes it a vector loop.
    body.iter()
        .map(|byte| u64::from((0xE3..=0xED).contains(byte)))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_top_level_in_one_pass() {
        let body = r#"{"messages":[{"model":"inner","max_tokens":9}],"model":"qwen3-max","max_tokens":64,"n":2,"stream":true}"#;
        let top = TopLevel::read(body.as_bytes());
        assert_eq!(top.model.as_deref(), Some("qwen3-max"));
        assert_eq!(top.demand.max_tokens, Some(64));
        assert_eq!(top.demand.choices, 2);
        assert!(top.demand.stream);
        assert_eq!(top.demand.input_bytes, body.len() as u64);
    }

    #[test]
    fn passes_over_what_makes_no_sense() {
        for body in [
            r#"{"model":7,"max_tokens":-1,"stream":"yes","n":[1]}"#,
            r#"{"model":null,"max_tokens":1e300,"stream":{"a":1}}"#,
            "not json",
            "[1,2]",
            "",
            r#"{"model":"torn"#,
        ] {
            let top = TopLevel::read(body.as_bytes());
            assert_eq!(top.model, None, "{body}");
            assert_eq!(top.demand.max_tokens, None, "{body}");
            assert!(!top.demand.stream, "{body}");
        }
    }

    #[test]
    fn counts_wide_characters() {
        assert_eq!(
            TopLevel::read("你好, こん 한".as_bytes()).demand.wide_chars,
            5
        );
        assert_eq!(TopLevel::read("naïve café".as_bytes()).demand.wide_chars, 0);
    }
}
