use std::sync::LazyLock;

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use memchr::memchr2;
use memchr::memmem::Finder;

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
const WORDS: [&[u8]; 2] = [WORD, b"usageMetadata"];

/// What both begin with.
const WORD: &[u8] = b"usage";
static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(WORD));

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
        } else {
            let (_, ending) = media.split_at(media.len().saturating_sub(4));
            if !ending.eq_ignore_ascii_case(b"json") {
                return None;
            }
            Form::Document
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
        while !rest.is_empty() {
            rest = match &mut self.form {
                Form::Document => {
                    self.json.take(rest, &mut self.found);
                    return;
                }
                Form::Skipping => match line_end(rest) {
                    Some(end) => self.begin_line(rest, end),
                    None => return,
                },
                Form::Events { prefix } => {
                    let missing = DATA.get(*prefix..).unwrap_or_default();
                    let here = missing.len().min(rest.len());
                    let (head, tail) = rest.split_at(here);
                    if missing.starts_with(head) {
                        *prefix += here;
                        if *prefix < DATA.len() {
                            return;
                        }
                        self.data(tail)
                    } else {
                        // What begins like `data:` and does not go on so may end within.
                        self.form = Form::Skipping;
                        rest
                    }
                }
            };
        }
    }

    /// Looks through the data of a line, and returns what follows the line.
    fn data<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        let Some(end) = line_end(rest) else {
            self.json.take(rest, &mut self.found);
            return &[];
        };
        let (line, _) = rest.split_at(end);
        // Most events have none, or none yet, and are not looked through.
        if !self.json.is_fresh() || may_report(line) {
            self.json.take(line, &mut self.found);
        }
        self.begin_line(rest, end)
    }

    /// Begins the line after that which ends at `end`.
    fn begin_line<'a>(&mut self, rest: &'a [u8], end: usize) -> &'a [u8] {
        self.form = Form::Events { prefix: 0 };
        self.json = Json::default();
        rest.get(end + 1..).unwrap_or_default()
    }

    /// What has been reported so far.
    pub(crate) const fn found(&self) -> Option<&Usage> {
        if self.found.is_some() {
            Some(&self.found)
        } else {
            None
        }
    }
}

/// Whether there is an object by one of the names we look for, at whatever depth.
fn may_report(line: &[u8]) -> bool {
    let is_object = |at| {
        let rest = line.get(at + WORD.len()..)?;
        let rest = rest.strip_prefix(b"Metadata").unwrap_or(rest);
        let value = rest.strip_prefix(b"\"")?.trim_ascii_start();
        let value = value.strip_prefix(b":")?.trim_ascii_start();
        value.starts_with(b"{").then_some(())
    };
    FINDER.find_iter(line).any(|at| is_object(at).is_some())
}

/// Where a line of events ends.
fn line_end(text: &[u8]) -> Option<usize> {
    memchr2(b'\n', b'\r', text)
}

impl Json {
    /// Whether nothing has been taken.
    const fn is_fresh(&self) -> bool {
        self.depth == 0 && matches!(self.place, Place::Value)
    }

    /// Takes what comes next, and notes each usage that ends in it.
    fn take(&mut self, text: &[u8], found: &mut Usage) {
        let mut rest = text;
        while !rest.is_empty() {
            let keeps = self.kept.is_some();
            let step = match self.place {
                Place::Text { escaped } => Step::to(self.text(rest, escaped)),
                Place::Key { word, escaped } => Step::to(self.key(rest, word, escaped)),
                Place::Value | Place::BeforeKey | Place::Found => self.outside(rest),
            };
            let (taken, after) = rest.split_at(step.taken.min(rest.len()));
            rest = after;
            if keeps {
                self.keep(taken);
            }
            if step.ends {
                if let Some((_, object)) = self.kept.take() {
                    found.update(Usage::read(&object));
                }
            }
        }
    }

    /// Keeps a part of the object we look for, unless it is too long to be one.
    fn keep(&mut self, part: &[u8]) {
        if let Some((_, kept)) = &mut self.kept {
            if kept.len() + part.len() <= LONGEST {
                kept.extend_from_slice(part);
            } else {
                self.kept = None;
            }
        }
    }

    /// Takes what is left of a string, and returns how much that is.
    fn text(&mut self, rest: &[u8], escaped: bool) -> usize {
        let (place, taken) = pass_over(rest, escaped);
        self.place = match place {
            Passed::Ended => Place::Value,
            Passed::Escapes => Place::Text { escaped: true },
            Passed::GoesOn => Place::Text { escaped: false },
        };
        taken
    }

    /// Takes what comes next of a key, and returns how much that is.
    fn key(&mut self, rest: &[u8], word: Option<usize>, escaped: bool) -> usize {
        let Some(word) = word else {
            let (place, taken) = pass_over(rest, escaped);
            self.place = match place {
                Passed::Ended => Place::Value,
                Passed::Escapes => Place::key(None, true),
                Passed::GoesOn => Place::key(None, false),
            };
            return taken;
        };
        let byte = rest.first();
        self.place = if byte == Some(&b'"') && WORDS.iter().any(|known| known.len() == word) {
            Place::Found
        } else if WORDS.iter().any(|known| known.get(word) == byte) {
            // The one word begins with the other, so the length alone tells which it may be.
            Place::key(Some(word + 1), false)
        } else {
            // It is another: the byte is looked at again as part of that.
            self.place = Place::key(None, false);
            return 0;
        };
        1
    }

    /// Takes what comes next outside strings, up to where a string or a usage begins or ends.
    fn outside(&mut self, rest: &[u8]) -> Step {
        let mut place = self.place;
        for (at, byte) in rest.iter().enumerate() {
            match byte {
                b'"' => {
                    self.place = if place == Place::BeforeKey {
                        // Deeper keys are not the upstream's word on the whole answer.
                        let looks = self.depth <= 2 && self.kept.is_none();
                        Place::key(looks.then_some(0), false)
                    } else {
                        Place::Text { escaped: false }
                    };
                    return Step::to(at + 1);
                }
                b'{' => {
                    if place == Place::Found {
                        self.kept = Some((self.depth, vec![b'{']));
                        self.open(true);
                        self.place = Place::BeforeKey;
                        return Step::to(at + 1);
                    }
                    self.open(true);
                    place = Place::BeforeKey;
                }
                b'[' => {
                    self.open(false);
                    place = Place::Value;
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.objects >>= 1;
                    place = Place::Value;
                    let kept = self.kept.as_ref();
                    if kept.is_some_and(|(around, _)| *around == self.depth) {
                        self.place = place;
                        return Step {
                            taken: at + 1,
                            ends: true,
                        };
                    }
                }
                b',' if self.objects & 1 == 1 => place = Place::BeforeKey,
                b':' | b' ' | b'\t' | b'\n' | b'\r' => {}
                _ => place = Place::Value,
            }
        }
        self.place = place;
        Step::to(rest.len())
    }

    fn open(&mut self, object: bool) {
        self.depth = self.depth.saturating_add(1);
        self.objects = self.objects << 1 | u64::from(object);
    }
}

impl Place {
    const fn key(word: Option<usize>, escaped: bool) -> Self {
        Self::Key { word, escaped }
    }
}

/// How far one step went, and whether the object being kept ends there.
struct Step {
    taken: usize,
    ends: bool,
}

impl Step {
    const fn to(taken: usize) -> Self {
        Self { taken, ends: false }
    }
}

/// What passing over a string came to.
enum Passed {
    /// Its end.
    Ended,
    /// The end of what is here, after a backslash.
    Escapes,
    /// The end of what is here.
    GoesOn,
}

/// Passes over a string, where most bytes of an answer are, and says how many bytes it passed.
fn pass_over(text: &[u8], escaped: bool) -> (Passed, usize) {
    let mut at = usize::from(escaped);
    while let Some(rest) = text.get(at..) {
        let Some(next) = memchr2(b'"', b'\\', rest) else {
            break;
        };
        at += next + 1;
        if rest.get(next) == Some(&b'"') {
            return (Passed::Ended, at);
        }
        if at == text.len() {
            return (Passed::Escapes, at);
        }
        at += 1;
    }
    (Passed::GoesOn, text.len())
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
    fn a_stream_may_be_cut_anywhere() {
        let stream = b"event: x\r\nid: {\"usage\":{\"prompt_tokens\":1}}\r\ndata: {\"usage\":null}\n\ndata: {\"c\":\"\\\"usage\\\":{\",\"usage\" : {\"prompt_tokens\":5,\"completion_tokens\":9}}\n\ndata: {\"usage\":null}\n\n";
        for at in 0..stream.len() {
            let (head, tail) = stream.split_at(at);
            let found = scan("text/event-stream", &[head, tail]);
            assert_eq!(found, (Some(5), Some(9)), "{at}");
        }
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
        let mut found = Usage::default();
        let long = format!(r#"{{"usage":{{"x":"{}"}}}}"#, "y".repeat(100_000));
        for piece in long.as_bytes().chunks(7) {
            json.take(piece, &mut found);
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
