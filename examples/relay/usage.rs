use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::Deserialize;

/// How much of the end of an answer is kept to find its usage in. A `usage` with all its details is
/// about 600 bytes, and what follows it is short.
const TAIL: usize = 2048;

/// What an answer reports it under.
const KEY: &[u8] = b"\"usage\"";
static KEY_FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(KEY));

/// The tokens of a request, as the upstream reports them.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
pub(crate) struct Usage {
    #[serde(alias = "input_tokens", alias = "prompt_tokens", default)]
    pub(crate) input: u64,
    #[serde(alias = "output_tokens", alias = "completion_tokens", default)]
    pub(crate) output: u64,
}

/// The end of an answer.
#[derive(Debug, Default)]
pub(crate) struct Tail(Vec<u8>);

impl Tail {
    /// Takes the next piece of the answer.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        let piece = &piece[piece.len().saturating_sub(TAIL)..];
        if self.0.len() + piece.len() > 2 * TAIL {
            let keep = TAIL.saturating_sub(piece.len()).min(self.0.len());
            self.0.drain(..self.0.len() - keep);
        }
        self.0.extend_from_slice(piece);
    }

    /// The last usage that the answer reported, if there was one.
    pub(crate) fn usage(&self) -> Option<Usage> {
        // From the front, where the search is a vector loop. Few of those found are objects.
        let places = KEY_FINDER.find_iter(&self.0);
        let values: Vec<_> = places
            .filter_map(|at| {
                let after = self.0[at + KEY.len()..].trim_ascii_start();
                let value = after.strip_prefix(b":")?.trim_ascii_start();
                value.starts_with(b"{").then_some(value)
            })
            .collect();
        values.into_iter().rev().find_map(|value| {
            let mut values = serde_json::Deserializer::from_slice(value).into_iter::<Usage>();
            values.next()?.ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage_in(pieces: &[&str]) -> Option<Usage> {
        let mut tail = Tail::default();
        for piece in pieces {
            tail.push(piece.as_bytes());
        }
        tail.usage()
    }

    #[test]
    fn is_found_where_the_apis_have_it() {
        let plain = r#"{"choices":[{"message":{"content":"\"usage\": none"}}],"usage":{"prompt_tokens":7,"completion_tokens":9,"total_tokens":16,"prompt_tokens_details":{"cached_tokens":0}},"created":1}"#;
        assert_eq!(
            usage_in(&[plain]),
            Some(Usage {
                input: 7,
                output: 9
            })
        );
        let (one, other) = plain.split_at(90);
        assert_eq!(
            usage_in(&[one, other]),
            Some(Usage {
                input: 7,
                output: 9
            })
        );
        let stream = [
            "data: {\"choices\":[],\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}\n\n",
            "data: [DONE]\n\n",
        ];
        assert_eq!(
            usage_in(&stream),
            Some(Usage {
                input: 1,
                output: 2
            })
        );
        let embedding = r#"{"data":[],"usage":{"prompt_tokens":5,"total_tokens":5}}"#;
        assert_eq!(
            usage_in(&[embedding]),
            Some(Usage {
                input: 5,
                output: 0
            })
        );
    }

    #[test]
    fn is_missing_where_there_is_none() {
        assert_eq!(usage_in(&[]), None);
        assert_eq!(usage_in(&["data: {\"usage\":null}\n\n"]), None);
        assert_eq!(usage_in(&["{\"usage\":"]), None);
    }

    #[test]
    fn the_tail_is_bounded() {
        let mut tail = Tail::default();
        for _ in 0..100 {
            tail.push(&[b'x'; 700]);
            tail.push(&[b'y'; 9000]);
        }
        assert!(tail.0.len() <= 2 * TAIL);
        tail.push(b"{\"usage\":{\"prompt_tokens\":3}}");
        assert_eq!(
            tail.usage(),
            Some(Usage {
                input: 3,
                output: 0
            })
        );
    }
}
