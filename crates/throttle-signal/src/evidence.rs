use std::borrow::Cow;

use memchr::memmem;

use serde::de::DeserializeSeed;
use serde_json::Deserializer;

use crate::sse;
use crate::walk::{Key, Walk};
use crate::when::{When, millis};

/// How much of a body that has no structure is looked at. Whoever means it says it at the top.
const TEXT: usize = 16 * 1024;

/// A message no longer than this counts as a code, too.
const SHORT: usize = 96;

/// Bounds on what is kept of one body, so that a hostile one costs no more than a long one.
const CODES: usize = 48;
const TEXTS: usize = 24;

/// What a body says of a refusal, in whatever shape it is.
#[derive(Debug, Default)]
pub(crate) struct Evidence<'a> {
    /// Machine fields, and short messages.
    pub(crate) codes: Vec<Cow<'a, str>>,
    /// Messages.
    pub(crate) texts: Vec<Cow<'a, str>>,
    /// Times, the one to be believed first has the lowest rank.
    pub(crate) waits: Vec<(u8, When)>,
    /// Headers of a response further up that a gateway put into the body.
    pub(crate) headers: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Whether the body is an error, whatever the status says.
    pub(crate) error: bool,
    /// Whether a quota it names allows nothing at all.
    pub(crate) nothing_allowed: bool,
}

impl<'a> Evidence<'a> {
    pub(crate) fn read(body: &'a [u8]) -> Self {
        let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
        let body = body.trim_ascii();
        let mut evidence = Self::default();
        match body.first() {
            None => {}
            Some(b'{' | b'[') => {
                let whole = evidence.json(body);
                let empty = evidence.codes.is_empty() && evidence.texts.is_empty();
                if !whole || (empty && !evidence.error) {
                    evidence.plain(body);
                }
            }
            Some(_) if sse::is_stream(body) => evidence.stream(body),
            Some(_) => evidence.plain(body),
        }
        evidence.unfold(3);
        evidence
    }

    /// Whatever comes before a syntax error counts: bodies are cut, and bodies are sloppy. Returns
    /// whether there was none.
    fn json(&mut self, body: &'a [u8]) -> bool {
        let walk = Walk {
            evidence: self,
            key: Key::Other,
            top: true,
        };
        walk.deserialize(&mut Deserializer::from_slice(body))
            .is_ok()
    }

    /// The first event that is an error. What came before it was content.
    fn stream(&mut self, body: &'a [u8]) {
        for event in sse::events(body) {
            let mut found = Self::default();
            let _ = found.json(event.data);
            if let Some(words) = sse::failure(event.data) {
                found.error = true;
                found.text(words);
            }
            if found.error || event.name == b"error" {
                *self = found;
                self.error = true;
                // A comment of Model Studio's says the status the answer would have had.
                let status = memmem::find(body, b":HTTP_STATUS/")
                    .and_then(|at| body.get(at + 13..at + 16))
                    .and_then(|status| std::str::from_utf8(status).ok());
                if let Some(status) = status {
                    self.code(Cow::Borrowed(status));
                }
                return;
            }
        }
    }

    fn plain(&mut self, body: &'a [u8]) {
        let head = body.get(..TEXT).unwrap_or(body);
        let text = String::from_utf8_lossy(head);
        // Cloudflare's answer, also when a proxy in between made it a success.
        self.error |= text.len() <= SHORT && text.starts_with("error code: ");
        if let Some(code) = text
            .split_once("<Code>")
            .and_then(|(_, rest)| rest.split('<').next())
            .filter(|code| code.len() <= SHORT)
        {
            self.code(Cow::Owned(code.to_owned()));
        }
        self.text(text);
    }

    pub(crate) fn code(&mut self, code: Cow<'a, str>) {
        if self.codes.len() < CODES && !code.is_empty() {
            // Without the name space: `com.example#ThrottlingException`.
            if let Some((_, name)) = code.rsplit_once('#') {
                self.codes.push(Cow::Owned(name.to_owned()));
            }
            // Some write `rate-limit-exceeded`.
            if code.contains('-') && !code.contains([' ', '_', '.', ':']) {
                self.codes.push(Cow::Owned(code.replace('-', "_")));
            }
            self.codes.push(code);
        }
    }

    pub(crate) fn text(&mut self, text: Cow<'a, str>) {
        // As Model Studio begins some: `<400> InternalError.Algo`.
        if let Some(status) = text.strip_prefix('<').and_then(|text| text.get(..4)) {
            if let Some(status) = status.strip_suffix('>') {
                self.code(Cow::Owned(status.to_owned()));
            }
        }
        if text.len() <= SHORT {
            self.code(text.clone());
        }
        if self.texts.len() < TEXTS && !text.is_empty() {
            self.texts.push(text);
        }
    }

    /// Takes a code. Some put a sentence in its place, which is then heard as one, too, but says less
    /// than any message.
    fn reason(&mut self, code: Cow<'a, str>) {
        if code.contains(' ') && self.texts.len() < TEXTS {
            self.texts.insert(0, code.clone());
        }
        self.code(code);
    }

    pub(crate) fn wait(&mut self, rank: u8, when: Option<When>) {
        if let Some(when) = when {
            self.waits.push((rank, when));
        }
    }

    /// The message a person would be shown: the innermost that is no JSON and no page.
    pub(crate) fn message(&self) -> Option<&str> {
        let texts = self.texts.iter().rev().map(AsRef::as_ref);
        let mut words = texts.filter(|text: &&str| !text.trim_start().starts_with(['{', '[', '<']));
        words.next()
    }

    /// Takes a string that stands under such a key.
    pub(crate) fn string(&mut self, key: Key, text: Cow<'a, str>) {
        match key {
            Key::Code if text.len() <= SHORT => self.reason(text),
            Key::Code | Key::Text => self.text(text),
            Key::Error => {
                self.error |= !text.is_empty();
                self.text(text);
            }
            Key::Business => {
                if !text.is_empty() && text != "0" {
                    self.error = true;
                    self.code(text);
                }
            }
            Key::Wait(rank) => self.wait(rank, When::parse(&text)),
            Key::Millis(rank) => self.wait(rank, millis(&text).map(When::After)),
            Key::Allowance => self.nothing_allowed |= text.trim() == "0",
            Key::Headers | Key::Head | Key::Content | Key::Other => {}
        }
    }

    /// Judges a code at the top level, where an answer that is an error has one and a success has
    /// none, or one that says so. `since` is how many codes there were before it.
    pub(crate) fn top_level(&mut self, name: &str, since: usize) {
        let Some(code) = self.codes.get(since) else {
            return;
        };
        self.error |= match name {
            "code" | "Code" => !["0", "200", "success", "ok"]
                .iter()
                .any(|fine| code.eq_ignore_ascii_case(fine)),
            "type" => code == "error",
            "__type" => true,
            _ => false,
        };
    }

    /// Opens what gateways wrap: JSON as a string or inside a sentence, a Python dict, a number in
    /// brackets.
    fn unfold(&mut self, depth: u8) {
        let mut inside = Evidence::default();
        for text in &self.texts {
            if !text.bytes().any(|byte| matches!(byte, b'{' | b'[' | b'(')) {
                continue;
            }
            bracketed(text, &mut inside);
            quoted(text, &mut inside);
            let starts = ["{\"", "{\n", "{\r", "{ "];
            let Some(at) = starts.iter().filter_map(|start| text.find(start)).min() else {
                continue;
            };
            if depth == 0 {
                continue;
            }
            let mut inner = Evidence::default();
            let _ = inner.json(text.get(at..).unwrap_or_default().as_bytes());
            inner.unfold(depth - 1);
            inside.merge(inner.into_owned());
        }
        if !inside.is_empty() {
            self.merge(inside);
        }
    }

    fn is_empty(&self) -> bool {
        self.codes.is_empty()
            && self.texts.is_empty()
            && self.waits.is_empty()
            && self.headers.is_empty()
            && !self.error
            && !self.nothing_allowed
    }

    fn merge(&mut self, other: Evidence<'a>) {
        self.codes.extend(other.codes);
        self.codes.truncate(CODES);
        self.texts.extend(other.texts);
        self.texts.truncate(TEXTS);
        self.waits.extend(other.waits);
        self.headers.extend(other.headers);
        self.error |= other.error;
        self.nothing_allowed |= other.nothing_allowed;
    }

    fn into_owned<'b>(self) -> Evidence<'b> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Evidence {
            codes: self.codes.into_iter().map(own).collect(),
            texts: self.texts.into_iter().map(own).collect(),
            waits: self.waits,
            headers: self
                .headers
                .into_iter()
                .map(|(name, value)| (own(name), own(value)))
                .collect(),
            error: self.error,
            nothing_allowed: self.nothing_allowed,
        }
    }
}

/// Takes the numbers of `[1305][busy]` and `insufficient balance (1008)` for codes.
fn bracketed(text: &str, into: &mut Evidence<'_>) {
    if let Some((code, _)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        if !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_digit()) {
            into.code(Cow::Owned(code.to_owned()));
        }
    }
    if let Some((code, _)) = text
        .rsplit_once('(')
        .and_then(|(_, rest)| rest.split_once(')'))
    {
        if code.len() == 4 && code.bytes().all(|byte| byte.is_ascii_digit()) {
            into.code(Cow::Owned(code.to_owned()));
        }
    }
}

/// Takes the codes out of a Python dict: `{'error': {'code': 'x', 'type': 'y'}}`.
fn quoted(text: &str, into: &mut Evidence<'_>) {
    if !text.contains("{'") {
        return;
    }
    for key in ["'code': ", "'type': ", "'status': ", "'reason': "] {
        let mut rest = text;
        while let Some((_, after)) = rest.split_once(key) {
            let after = after.trim_start_matches('\'');
            let end = after.find(['\'', ',', '}']).unwrap_or(after.len());
            let (value, after) = after.split_at(end);
            if value.len() <= SHORT && value != "None" {
                into.code(Cow::Owned(value.to_owned()));
            }
            rest = after;
        }
    }
}
