use std::collections::VecDeque;
use std::io::Write as _;

use bytes::Bytes;

use super::body::Step;
use super::id::Id;
use super::tool::ToolCall;
use super::writer::Text;

/// Tokens in one event of a stream.
pub(super) const PER_EVENT: u64 = 8;

/// What a chat is answered with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer<'a> {
    pub(super) model: &'a str,
    pub(super) id: Id,
    pub(super) created: u64,
    pub(super) text: Text<'a>,
    /// In place of the text.
    pub(super) tool: Option<&'a ToolCall>,
    pub(super) prompt_tokens: u64,
    pub(super) completion_tokens: u64,
    /// The caller's `max_tokens` cut it short.
    pub(super) cut: bool,
}

impl Answer<'_> {
    /// The whole answer in one JSON object.
    pub(super) fn completion(&self) -> Bytes {
        let text = usize::try_from(self.completion_tokens.saturating_mul(5)).unwrap_or_default();
        let mut out = Vec::with_capacity(512 + text);
        out.extend_from_slice(br#"{"choices":[{"message":{"role":"assistant","content":""#);
        match self.tool {
            None => {
                self.text.write(0, self.completion_tokens, &mut out);
                out.push(b'"');
            }
            Some(tool) => {
                let call = tool.whole(&self.id.to_string());
                // Writing to memory does not fail.
                let _ = write!(out, r#"","tool_calls":[{call}]"#);
            }
        }
        out.extend_from_slice(br#"},"finish_reason":""#);
        out.extend_from_slice(self.reason().as_bytes());
        out.extend_from_slice(
            br#"","index":0,"logprobs":null}],"object":"chat.completion","usage":"#,
        );
        self.usage(&mut out);
        self.tail(&mut out);
        out.into()
    }

    /// The answer event by event, as `stream` asks for.
    pub(super) fn events(&self, include_usage: bool) -> VecDeque<Step> {
        let mut steps = VecDeque::new();
        let mut send = |choices: &dyn Fn(&mut Vec<u8>), usage: bool, tokens| {
            let mut out = Vec::with_capacity(320);
            out.extend_from_slice(br#"data: {"choices":["#);
            choices(&mut out);
            out.extend_from_slice(br#"],"object":"chat.completion.chunk","usage":"#);
            if usage {
                self.usage(&mut out);
            } else {
                out.extend_from_slice(b"null");
            }
            self.tail(&mut out);
            out.extend_from_slice(b"\n\n");
            steps.push_back(Step::Send(out.into(), tokens));
        };
        let delta = |delta: &[u8], reason: &[u8], out: &mut Vec<u8>| {
            out.extend_from_slice(br#"{"delta":{"#);
            out.extend_from_slice(delta);
            out.extend_from_slice(br#"},"finish_reason":"#);
            out.extend_from_slice(reason);
            out.extend_from_slice(br#","index":0,"logprobs":null}"#);
        };

        let mut begin = br#""role":"assistant","content":"""#.to_vec();
        if let Some(tool) = self.tool {
            let call = tool.begun(&self.id.to_string());
            let _ = write!(begin, r#","tool_calls":[{call}]"#);
        }
        send(&|out| delta(&begin, b"null", out), false, 0);
        let halves = [
            self.completion_tokens.div_ceil(2),
            self.completion_tokens / 2,
        ];
        let pieces = self.tool.iter().flat_map(|tool| tool.pieces());
        for (piece, tokens) in pieces.zip(halves) {
            let piece = format!(r#""tool_calls":[{piece}]"#);
            send(&|out| delta(piece.as_bytes(), b"null", out), false, tokens);
        }
        let mut from = if self.tool.is_some() {
            self.completion_tokens
        } else {
            0
        };
        while from < self.completion_tokens {
            let to = self.completion_tokens.min(from + PER_EVENT);
            send(
                &|out| {
                    let mut content = br#""content":""#.to_vec();
                    self.text.write(from, to, &mut content);
                    content.push(b'"');
                    delta(&content, b"null", out);
                },
                false,
                to - from,
            );
            from = to;
        }
        let reason = format!("\"{}\"", self.reason());
        send(
            &|out| delta(br#""content":"""#, reason.as_bytes(), out),
            false,
            0,
        );
        if include_usage {
            send(&|_| {}, true, 0);
        }
        steps.push_back(Step::Send(Bytes::from_static(b"data: [DONE]\n\n"), 0));
        steps
    }

    pub(super) const fn reason(&self) -> &'static str {
        match self.tool {
            Some(_) => "tool_calls",
            None if self.cut => "length",
            None => "stop",
        }
    }

    fn usage(&self, out: &mut Vec<u8>) {
        let (prompt, completion) = (self.prompt_tokens, self.completion_tokens);
        let total = prompt + completion;
        // Writing to memory does not fail.
        let _ = write!(
            out,
            r#"{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{total},"prompt_tokens_details":{{"cached_tokens":0}}}}"#
        );
    }

    fn tail(&self, out: &mut Vec<u8>) {
        let Self {
            created, model, id, ..
        } = self;
        let _ = write!(
            out,
            r#","created":{created},"system_fingerprint":null,"model":"#
        );
        // Whoever configured it may have called it anything.
        let _ = serde_json::to_writer(&mut *out, model);
        let _ = write!(out, r#","id":"chatcmpl-{id}"}}"#);
    }
}
