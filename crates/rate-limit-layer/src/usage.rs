use serde_json::Value;

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
        let Ok(Value::Object(object)) = serde_json::from_slice(object) else {
            return Self::default();
        };
        let count = |names: &[&str]| {
            let found = names.iter().find_map(|name| object.get(*name)?.as_u64());
            found.filter(|count| *count <= ABSURD)
        };
        let detail = |name: &str| object.get(name)?.get("cached_tokens")?.as_u64();
        let mut input = count(&["prompt_tokens", "input_tokens", "promptTokenCount"]);
        let mut output = count(&["completion_tokens", "output_tokens", "candidatesTokenCount"]);
        match (input, output, count(&["total_tokens", "totalTokenCount"])) {
            (Some(input), None, Some(total)) => output = total.checked_sub(input),
            (None, None, Some(total)) => (input, output) = (Some(total), Some(0)),
            _ => {}
        }
        // Anthropic leaves what is read from or written to its cache out of `input_tokens`.
        let read = count(&["cache_read_input_tokens"]);
        let outside = [read, count(&["cache_creation_input_tokens"])]
            .into_iter()
            .flatten()
            .sum::<u64>();
        let cached = read
            .or_else(|| detail("prompt_tokens_details"))
            .or_else(|| detail("input_tokens_details"));
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
        ] {
            assert!(!Usage::read(object.as_bytes()).is_some(), "{object}");
        }
    }
}
