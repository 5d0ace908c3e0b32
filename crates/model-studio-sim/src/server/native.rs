use std::borrow::Cow;
use std::collections::VecDeque;

use bytes::Bytes;
use http::{HeaderMap, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, PER_EVENT};
use super::body::{Body, Step};
use super::call::Call;
use super::envelope::Failure;
use super::prompt::Prompt;
use super::random::mix;
use super::stop::Stop;
use crate::Ask;

/// `POST /api/v1/services/aigc/text-generation/generation`.
#[derive(Deserialize)]
struct Generation<'a> {
    #[serde(borrow)]
    model: Cow<'a, str>,
    input: Input,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Deserialize)]
struct Input {
    messages: Option<Prompt>,
    prompt: Option<Prompt>,
}

#[derive(Default, Deserialize)]
struct Parameters {
    max_tokens: Option<u64>,
    result_format: Option<Format>,
    incremental_output: Option<bool>,
    #[serde(default)]
    tools: Prompt,
}

#[derive(Clone, Copy, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Format {
    Message,
    Text,
}

pub(super) async fn generation(
    call: Call,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Response<Body>, Stop> {
    let request: Generation<'_> =
        serde_json::from_slice(&body).map_err(|error| Failure::bad_request(&error))?;
    let model = &*request.model;
    let Parameters {
        max_tokens,
        result_format,
        incremental_output,
        tools,
    } = request.parameters;
    let prompt = request
        .input
        .messages
        .or(request.input.prompt)
        .ok_or_else(|| Failure::bad_request(&"`input` has neither `messages` nor `prompt`"))?;
    let prompt_tokens = prompt.tokens() + tools.bare_tokens();
    let draw = mix(call.world.settings.seed, prompt.hash());
    let (wanted, completion_tokens) = call.completion_tokens(draw, max_tokens);
    let stream = wants_events(headers);

    let ask = Ask::new(prompt_tokens, call.max_tokens(max_tokens));
    let before = if stream { 0 } else { completion_tokens };
    let served = call.admit(model, ask, before).await?;
    let world = &served.call.world;
    let answer = Answer {
        model,
        id: served.call.id,
        created: world.created(),
        tool: None,
        text: world.writer.text(prompt.is_wide(), draw),
        prompt_tokens,
        completion_tokens,
        cut: completion_tokens < wanted,
    };
    // Qwen3 answers as a message, whatever older models did.
    let format = result_format.unwrap_or(Format::Message);
    if stream {
        let events = events(&answer, format, incremental_output == Some(true));
        Ok(served.stream(events))
    } else {
        let body = result(&answer, format, 0, completion_tokens);
        Ok(served.whole(body.to_string().into(), completion_tokens))
    }
}

fn wants_events(headers: &HeaderMap) -> bool {
    let has = |name: &str, what: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.to_ascii_lowercase().contains(what))
    };
    has("x-dashscope-sse", "enable") || has("accept", "text/event-stream")
}

/// Tokens `from` up to `to` of the answer, which is over when they are the last.
fn result(answer: &Answer<'_>, format: Format, from: u64, to: u64) -> Value {
    let mut text = Vec::new();
    answer.text.write(from, to, &mut text);
    let text = String::from_utf8_lossy(&text);
    let reason = if to == answer.completion_tokens {
        answer.reason()
    } else {
        "null"
    };
    let output = match format {
        Format::Message => json!({ "choices": [{
            "finish_reason": reason,
            "message": { "role": "assistant", "content": text },
        }] }),
        Format::Text => json!({ "finish_reason": reason, "text": text }),
    };
    json!({
        "output": output,
        "usage": {
            "input_tokens": answer.prompt_tokens,
            "output_tokens": to,
            "total_tokens": answer.prompt_tokens + to,
        },
        "request_id": answer.id.to_string(),
    })
}

/// Every event has what is new, or all so far.
fn events(answer: &Answer<'_>, format: Format, incremental: bool) -> VecDeque<Step> {
    let total = answer.completion_tokens;
    (0..total.div_ceil(PER_EVENT).max(1))
        .map(|index| {
            let from = index * PER_EVENT;
            let to = total.min(from + PER_EVENT);
            let shown = if incremental { from } else { 0 };
            let result = result(answer, format, shown, to);
            let number = index + 1;
            let event = format!("id:{number}\nevent:result\n:HTTP_STATUS/200\ndata:{result}\n\n");
            Step::Send(event.into(), to - from)
        })
        .collect()
}
