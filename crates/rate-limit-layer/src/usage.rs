use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The usage an answer reports.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Usage {
    pub(crate) input: Option<u64>,
    pub(crate) output: Option<u64>,

    /// The part of the input that came from the upstream's cache.
    pub(crate) cached: Option<u64>,
}

/// A count beyond this is a mistake of the upstream and not a count.
const ABSURD: u64 = 100_000_000;

impl Usage {
    /// Reads a `usage` object: OpenAI's, Anthropic's, Model Studio's or Gemini's.
    pub(crate) fn read(object: &[u8]) -> Self {
        let report: Report = serde_json::from_slice(object).unwrap_or_default();
        let count = |counts: &[Option<u64>]| {
            let found = counts.iter().find_map(|count| *count);
            found.filter(|count| *count <= ABSURD)
        };
        let mut input = count(&report.input);
        let mut output = count(&report.output);
        match (input, output, count(&report.total)) {
            (Some(input), None, Some(total)) => output = total.checked_sub(input),
            (None, None, Some(total)) => (input, output) = (Some(total), Some(0)),
            _ => {}
        }
        // Anthropic leaves what is read from or written to its cache out of `input_tokens`.
        let read = count(&[report.cache_read]);
        let outside = [read, count(&[report.cache_creation])]
            .into_iter()
            .flatten()
            .sum::<u64>();
        let cached = read.or(report.details[0]).or(report.details[1]);
        Self {
            input: input.map(|input| input + outside),
            output,
            cached: cached.filter(|count| *count <= ABSURD),
        }
    }

    /// Takes over what a later report says; what it leaves out stands.
    pub(crate) fn update(&mut self, later: Self) {
        self.input = later.input.or(self.input);
        self.output = later.output.or(self.output);
        self.cached = later.cached.or(self.cached);
    }

    pub(crate) const fn is_some(&self) -> bool {
        self.input.is_some() || self.output.is_some()
    }
}

/// What an object says, by who says it so. It is read as it is, without a tree of it in between: there
/// is one for each answer.
#[derive(Debug, Default)]
struct Report {
    input: [Option<u64>; 3],
    output: [Option<u64>; 3],
    total: [Option<u64>; 2],
    cache_read: Option<u64>,
    cache_creation: Option<u64>,
    details: [Option<u64>; 2],
}

impl<'de> Deserialize<'de> for Report {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ReportVisitor)
    }
}

struct ReportVisitor;

impl<'de> Visitor<'de> for ReportVisitor {
    type Value = Report;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Report, A::Error> {
        let mut report = Report::default();
        while let Some(name) = map.next_key()? {
            let Value { count, cached } = map.next_value()?;
            match name {
                Name::Input(place) => report.input[place] = count,
                Name::Output(place) => report.output[place] = count,
                Name::Total(place) => report.total[place] = count,
                Name::Details(place) => report.details[place] = cached,
                Name::CacheRead => report.cache_read = count,
                Name::CacheCreation => report.cache_creation = count,
                Name::Cached | Name::Other => {}
            }
        }
        Ok(report)
    }
}

/// The name of a member; with its place among those that mean the same, the first of which counts.
enum Name {
    Input(usize),
    Output(usize),
    Total(usize),
    Details(usize),
    CacheRead,
    CacheCreation,
    Cached,
    Other,
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_identifier(NameVisitor)
    }
}

struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Name, E> {
        Ok(match name {
            "prompt_tokens" => Name::Input(0),
            "input_tokens" => Name::Input(1),
            "promptTokenCount" => Name::Input(2),
            "completion_tokens" => Name::Output(0),
            "output_tokens" => Name::Output(1),
            "candidatesTokenCount" => Name::Output(2),
            "total_tokens" => Name::Total(0),
            "totalTokenCount" => Name::Total(1),
            "prompt_tokens_details" => Name::Details(0),
            "input_tokens_details" => Name::Details(1),
            "cache_read_input_tokens" => Name::CacheRead,
            "cache_creation_input_tokens" => Name::CacheCreation,
            "cached_tokens" => Name::Cached,
            _ => Name::Other,
        })
    }
}

/// A whole number from 0, an object with `cached_tokens`, or anything else, which is passed over.
#[derive(Debug, Default)]
struct Value {
    count: Option<u64>,
    cached: Option<u64>,
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_u64<E>(self, count: u64) -> Result<Value, E> {
        Ok(Value {
            count: Some(count),
            cached: None,
        })
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Value, E> {
        Ok(Value::default())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut cached = None;
        while let Some(name) = map.next_key()? {
            if matches!(name, Name::Cached) {
                cached = map.next_value::<Value>()?.count;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Value {
            count: None,
            cached,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(object: &str) -> (Option<u64>, Option<u64>, Option<u64>) {
        let usage = Usage::read(object.as_bytes());
        (usage.input, usage.output, usage.cached)
    }

    #[test]
    fn reads_the_words_of_each_provider() {
        let openai = r#"{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21,"prompt_tokens_details":{"cached_tokens":4}}"#;
        assert_eq!(read(openai), (Some(9), Some(12), Some(4)));
        let anthropic = r#"{"input_tokens":9,"cache_read_input_tokens":100,"cache_creation_input_tokens":10,"output_tokens":3}"#;
        assert_eq!(read(anthropic), (Some(119), Some(3), Some(100)));
        let gemini = r#"{"promptTokenCount":5,"candidatesTokenCount":6,"totalTokenCount":11}"#;
        assert_eq!(read(gemini), (Some(5), Some(6), None));
        assert_eq!(
            read(r#"{"prompt_tokens":9,"total_tokens":21}"#),
            (Some(9), Some(12), None)
        );
    }

    #[test]
    fn other_members_may_be_anything() {
        let object = r#"{"\u0078":[1,{"a":2}],"b":null,"c":"d\n","e":-1,"f":1.5,"g":true,"prompt_tokens_details":{"x\"":{},"cached_tokens":3},"prompt_tokens":7,"input_tokens":8}"#;
        assert_eq!(read(object), (Some(7), None, Some(3)));
    }

    #[test]
    fn passes_over_what_makes_no_sense() {
        for object in [
            "",
            "null",
            "[1]",
            "{",
            r#"{"prompt_tokens":-1}"#,
            r#"{"prompt_tokens":"9"}"#,
            r#"{"completion_tokens":1e300}"#,
            r#"{"total_tokens":99999999999999999999}"#,
            r#"{"prompt_tokens":9999999999999}"#,
            r#"{"prompt_tokens_details":7}"#,
            r#"{"prompt_tokens":1,}"#,
        ] {
            assert!(!Usage::read(object.as_bytes()).is_some(), "{object}");
        }
    }
}
