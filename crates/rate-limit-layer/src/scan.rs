use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use crate::usage::Usage;

/// Finds the `usage` of an answer as it flows by, a chunk at a time.
///
/// It keeps no more than the object it is looking for, 4 KiB at most, and holds nothing up.
#[derive(Debug)]
pub(crate) struct Scan {
    form: Form,
    json: Json,
    found: Usage,
}

/// The form of an answer.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// One JSON document.
    Document,

    /// Server-sent events: a document in each `data` line. How much of `data:` has been seen.
    Events { prefix: usize },

    /// An event line without data.
    Skipping,
}

/// Where in a JSON document we are.
#[derive(Debug, Default)]
struct Json {
    /// How many arrays and objects are open; and which are objects, a bit each, the inmost lowest.
    depth: u32,
    objects: u64,
    place: Place,

    /// The object being kept, and the depth around it.
    kept: Option<(u32, Vec<u8>)>,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Place {
    /// Before a value, or after one.
    #[default]
    Value,

    /// In an object, before a key.
    BeforeKey,

    /// In a key, of which so much is a key we look for, if it is.
    Key { word: Option<usize>, escaped: bool },

    /// After a key we look for.
    Found,

    /// In a string.
    Text { escaped: bool },
}

const DATA: &[u8] = b"data:";
const LONGEST: usize = 4096;

/// OpenAI and all that follow it, and Gemini.
const WORDS: [&[u8]; 2] = [b"usage", b"usageMetadata"];

impl Scan {
    /// Begins to look through an answer with these headers; `None` if there is nothing to find.
    pub(crate) fn begin(headers: &HeaderMap) -> Option<Self> {
        let encoding = headers
            .get(CONTENT_ENCODING)
            .map_or(&b"identity"[..], |value| value.as_bytes());
        if !encoding.eq_ignore_ascii_case(b"identity") {
            return None;
        }
        let media = headers
            .get(CONTENT_TYPE)?
            .as_bytes()
            .split(|byte| *byte == b';')
            .next()?
            .trim_ascii();
        let form = if media.eq_ignore_ascii_case(b"text/event-stream") {
            Form::Events { prefix: 0 }
        } else if media.to_ascii_lowercase().ends_with(b"json") {
            Form::Document
        } else {
            return None;
        };
        Some(Self {
            form,
            json: Json::default(),
            found: Usage::default(),
        })
    }

    /// Looks through the next chunk.
    pub(crate) fn chunk(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while let Some((byte, after)) = rest.split_first() {
            self.byte(*byte);
            rest = self.json.pass_over(after);
        }
    }

    /// What has been reported so far.
    pub(crate) const fn found(&self) -> Option<&Usage> {
        if self.found.is_some() {
            Some(&self.found)
        } else {
            None
        }
    }

    fn byte(&mut self, byte: u8) {
        let line_ends = matches!(byte, b'\n' | b'\r');
        match &mut self.form {
            Form::Events { .. } | Form::Skipping if line_ends => {
                self.form = Form::Events { prefix: 0 };
                self.json = Json::default();
                return;
            }
            Form::Skipping => return,
            Form::Events { prefix } if *prefix < DATA.len() => {
                if DATA.get(*prefix) == Some(&byte) {
                    *prefix += 1;
                } else {
                    self.form = Form::Skipping;
                }
                return;
            }
            Form::Events { .. } | Form::Document => {}
        }
        if let Some(object) = self.json.byte(byte) {
            self.found.update(Usage::read(&object));
        }
    }
}

impl Json {
    /// Passes over what is of no interest in a text, where most bytes of an answer are.
    fn pass_over<'a>(&self, rest: &'a [u8]) -> &'a [u8] {
        let in_text = matches!(
            self.place,
            Place::Text { escaped: false }
                | Place::Key {
                    word: None,
                    escaped: false
                }
        );
        if !in_text || self.kept.is_some() {
            return rest;
        }
        let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | b'\n' | b'\r');
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        rest.get(length..).unwrap_or_default()
    }

    /// Takes the next byte; returns the object we look for when this byte ends it.
    fn byte(&mut self, byte: u8) -> Option<Vec<u8>> {
        if let Some((_, kept)) = &mut self.kept {
            if kept.len() < LONGEST {
                kept.push(byte);
            } else {
                self.kept = None;
            }
        }
        match self.place {
            Place::Text { escaped: true } => self.place = Place::Text { escaped: false },
            Place::Text { .. } => match byte {
                b'\\' => self.place = Place::Text { escaped: true },
                b'"' => self.place = Place::Value,
                _ => {}
            },
            Place::Key { word, escaped } => self.key(byte, word, escaped),
            Place::Value | Place::BeforeKey | Place::Found => return self.outside(byte),
        }
        None
    }

    fn key(&mut self, byte: u8, word: Option<usize>, escaped: bool) {
        self.place = match (byte, word) {
            _ if escaped => Place::Key {
                word: None,
                escaped: false,
            },
            (b'\\', _) => Place::Key {
                word: None,
                escaped: true,
            },
            (b'"', Some(len)) if WORDS.iter().any(|known| known.len() == len) => Place::Found,
            (b'"', _) => Place::Value,
            (_, Some(len)) => {
                // The one word begins with the other, so the length alone tells which it may be.
                let goes_on = WORDS.iter().any(|known| known.get(len) == Some(&byte));
                Place::Key {
                    word: goes_on.then_some(len + 1),
                    escaped: false,
                }
            }
            (_, None) => Place::Key {
                word: None,
                escaped: false,
            },
        };
    }

    /// Takes a byte outside strings.
    fn outside(&mut self, byte: u8) -> Option<Vec<u8>> {
        match byte {
            b'"' => {
                self.place = if self.place == Place::BeforeKey {
                    // Deeper keys are not the upstream's word on the whole answer.
                    let word = (self.depth <= 2 && self.kept.is_none()).then_some(0);
                    Place::Key {
                        word,
                        escaped: false,
                    }
                } else {
                    Place::Text { escaped: false }
                };
            }
            b'{' => {
                if self.place == Place::Found {
                    self.kept = Some((self.depth, vec![byte]));
                }
                self.open(true);
            }
            b'[' => self.open(false),
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.objects >>= 1;
                self.place = Place::Value;
                if self
                    .kept
                    .as_ref()
                    .is_some_and(|(around, _)| *around == self.depth)
                {
                    return self.kept.take().map(|(_, kept)| kept);
                }
            }
            b',' => {
                self.place = if self.objects & 1 == 1 {
                    Place::BeforeKey
                } else {
                    Place::Value
                };
            }
            b':' | b' ' | b'\t' | b'\n' | b'\r' => {}
            _ => self.place = Place::Value,
        }
        None
    }

    fn open(&mut self, object: bool) {
        self.depth = self.depth.saturating_add(1);
        self.objects = self.objects << 1 | u64::from(object);
        self.place = if object {
            Place::BeforeKey
        } else {
            Place::Value
        };
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn scan(media: &'static str, chunks: &[&[u8]]) -> (Option<u64>, Option<u64>) {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(media))]);
        let mut scan = Scan::begin(&headers).unwrap();
        for chunk in chunks {
            scan.chunk(chunk);
        }
        (scan.found.input, scan.found.output)
    }

    const DOCUMENT: &str = r#"{"id":"a\"{","choices":[{"message":{"content":"\"usage\":{\"prompt_tokens\":1}"},"usage":{"prompt_tokens":2}}],
        "usage": {"prompt_tokens": 30, "completion_tokens": 7, "d": {"x": [1]}}, "after": {"b": 1}}"#;

    #[test]
    fn finds_usage_in_a_document() {
        assert_eq!(
            scan("application/json; charset=utf-8", &[DOCUMENT.as_bytes()]),
            (Some(30), Some(7))
        );
    }

    #[test]
    fn a_cut_anywhere_makes_no_difference() {
        for at in 0..DOCUMENT.len() {
            let (head, tail) = DOCUMENT.as_bytes().split_at(at);
            assert_eq!(
                scan("application/json", &[head, tail]),
                (Some(30), Some(7)),
                "{at}"
            );
        }
    }

    #[test]
    fn finds_the_last_usage_of_a_stream() {
        let stream = b"event: x\ndata: {\"choices\":[],\"usage\":null}\n\ndata: {\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1}}\r\n\r\ndata:{\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":9}}\n\ndata: [DONE]\n\n";
        assert_eq!(scan("text/event-stream", &[stream]), (Some(5), Some(9)));
    }

    #[test]
    fn takes_the_two_reports_of_anthropic_together() {
        let stream = b"data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":15}}\n\n";
        assert_eq!(scan("text/event-stream", &[stream]), (Some(25), Some(15)));
    }

    #[test]
    fn does_not_look_where_nothing_can_be_found() {
        let html = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("text/html"))]);
        assert!(Scan::begin(&html).is_none());
        assert!(Scan::begin(&HeaderMap::new()).is_none());
        let mut zipped =
            HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        zipped.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(Scan::begin(&zipped).is_none());
    }

    #[test]
    fn keeps_no_more_than_its_bound() {
        let mut json = Json::default();
        let long = format!(r#"{{"usage":{{"x":"{}"}}}}"#, "y".repeat(100_000));
        for byte in long.bytes() {
            assert!(json.byte(byte).is_none());
            assert!(
                json.kept
                    .as_ref()
                    .is_none_or(|(_, kept)| kept.len() <= LONGEST)
            );
        }
    }

    proptest! {
        #[test]
        fn anything_may_come(stream: bool, chunks: Vec<Vec<u8>>) {
            let chunks: Vec<_> = chunks.iter().map(Vec::as_slice).collect();
            scan(if stream { "text/event-stream" } else { "application/json" }, &chunks);
        }
    }
}
