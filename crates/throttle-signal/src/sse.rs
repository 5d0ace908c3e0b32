use std::borrow::Cow;

use memchr::memmem;
use serde::Deserialize;
use serde_json::Deserializer;

use crate::demand::Text;

/// One event of a stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Event<'a> {
    /// Its `event` field; empty if it has none.
    pub(crate) name: &'a [u8],
    /// Its last `data` line. Providers of models send one.
    pub(crate) data: &'a [u8],
}

/// Whether a body looks like a stream of server-sent events.
pub(crate) fn is_stream(body: &[u8]) -> bool {
    [&b"data:"[..], b"event:", b"id:", b"retry:", b": "]
        .iter()
        .any(|start| body.starts_with(start))
}

/// The events of a stream, complete or not, with data only.
pub(crate) fn events(body: &[u8]) -> impl Iterator<Item = Event<'_>> {
    let mut lines = body.split(|byte| *byte == b'\n' || *byte == b'\r');
    let mut name: &[u8] = b"";
    std::iter::from_fn(move || {
        loop {
            let line = lines.next()?;
            if line.is_empty() {
                continue;
            }
            if let Some(data) = line.strip_prefix(b"data:") {
                let event = Event {
                    name: std::mem::take(&mut name),
                    data: data.trim_ascii(),
                };
                return Some(event);
            }
            if let Some(event) = line.strip_prefix(b"event:") {
                name = event.trim_ascii();
            }
        }
    })
}

/// Whether the beginning of a stream tells enough: its first event with content is there, or an
/// error, or its end. Comments, and events that only announce an answer, tell nothing.
pub(crate) fn begun(head: &[u8]) -> bool {
    // The last line may be torn.
    let Some(end) = head
        .iter()
        .rposition(|byte| *byte == b'\n' || *byte == b'\r')
    else {
        return false;
    };
    let whole = head.get(..end).unwrap_or(head);
    events(whole).any(|event| !announces(event))
}

/// Events that come before anything is known: `OpenAI`'s `response.created` and `in_progress`,
/// Anthropic's `message_start`, `content_block_start` and `ping`, and chunks whose choices are empty or
/// name only the role.
fn announces(event: Event<'_>) -> bool {
    const TYPES: [&[u8]; 6] = [
        b"response.created",
        b"response.in_progress",
        b"response.queued",
        b"message_start",
        b"content_block_start",
        b"ping",
    ];
    if !event.name.is_empty() && event.name != b"message" {
        return TYPES.contains(&event.name);
    }
    let data = event.data;
    if let Some(value) = value_of(data, b"\"type\"") {
        if let Some(name) = value.strip_prefix(b"\"") {
            let is = |one: &&[u8]| name.starts_with(one) && name.get(one.len()) == Some(&b'"');
            if TYPES.iter().any(is) {
                return true;
            }
        }
    }
    value_of(data, b"\"choices\"").is_some() && !has_content(data)
}

/// Whether a chunk carries any of what a model says, or an end, or an error.
fn has_content(data: &[u8]) -> bool {
    const KEYS: [&[u8]; 10] = [
        b"\"content\"",
        b"\"text\"",
        b"\"reasoning_content\"",
        b"\"reasoning\"",
        b"\"refusal\"",
        b"\"tool_calls\"",
        b"\"function_call\"",
        b"\"audio\"",
        b"\"finish_reason\"",
        b"\"error\"",
    ];
    KEYS.iter().any(|key| {
        value_of(data, key).is_some_and(|value| {
            ![&b"\"\""[..], b"[]", b"{}", b"null"]
                .iter()
                .any(|empty| value.starts_with(empty))
        })
    })
}

/// What a chunk says of its own failure: Model Studio ends a stream it refuses with a chunk whose
/// `finish_reason` is `error_finish` and whose content is the error.
pub(crate) fn failure(data: &[u8]) -> Option<Cow<'_, str>> {
    if !value_of(data, b"\"finish_reason\"")?.starts_with(b"\"error_finish\"") {
        return None;
    }
    let content = value_of(data, b"\"content\"")?;
    let Text(words) = Text::deserialize(&mut Deserializer::from_slice(content)).ok()?;
    words
}

/// What stands behind the last of a key's places, up to the end of the data. Good enough for small
/// chunks, where no text contains keys in quotes that are not escaped.
fn value_of<'a>(data: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    // The last is found faster from the front, where the search is a vector loop.
    let at = memmem::find_iter(data, key).last()?;
    let after = data.get(at + key.len()..)?.trim_ascii_start();
    Some(after.strip_prefix(b":")?.trim_ascii_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_events_with_and_without_a_space() {
        let body = b": hello\n\nevent: error\r\ndata:{\"a\":1}\r\n\r\ndata: [DONE]\n\n";
        let found: Vec<_> = events(body).collect();
        assert_eq!(found[0].name, b"error");
        assert_eq!(found[0].data, b"{\"a\":1}");
        assert_eq!(found[1].name, b"");
        assert_eq!(found[1].data, b"[DONE]");
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn announcements_and_comments_are_not_the_beginning() {
        for head in [
            "",
            ": keep-alive\n\n",
            "data: {\"type\":\"response.created\"}\n\n",
            "event: message_start\ndata: {}\n\nevent: ping\ndata: {}\n\n",
            "data: {\"choices\":[{\"delta\"",
            "data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\": \"\"},\"finish_reason\":null}]}\n\n",
        ] {
            assert!(!begun(head.as_bytes()), "{head}");
        }
        for head in [
            "data: {\"choices\":[{\"delta\":{\"content\":\"H\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"content\":\"\",\"tool_calls\":[{}]}}]}\n\n",
            "data: {\"error\":{\"code\":429}}\n\n",
            "data: [DONE]\n\n",
            ": x\n\nevent: error\ndata: {\"type\":\"error\"}\n\n",
            "data: {\"type\":\"response.created\"}\n\ndata: {\"type\":\"response.output_text.delta\"}\n",
        ] {
            assert!(begun(head.as_bytes()), "{head}");
        }
    }

    #[test]
    fn only_a_chunk_that_ends_in_error_is_a_failure() {
        let chunk = |end: &str| {
            format!(
                r#"{{"choices":[{{"delta":{{"content":"a \"b\""}},"finish_reason":"{end}"}}]}}"#
            )
        };
        let words = failure(chunk("error_finish").as_bytes()).map(Cow::into_owned);
        assert_eq!(words.as_deref(), Some("a \"b\""));
        assert_eq!(failure(chunk("stop").as_bytes()), None);
        assert_eq!(failure(br#"{"finish_reason":"error_finish"}"#), None);
        assert_eq!(failure(b"[DONE]"), None);
    }
}
