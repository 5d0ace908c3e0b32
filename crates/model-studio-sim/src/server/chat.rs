use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use serde::Deserialize;

use super::answer::Answer;
use super::body::Body;
use super::call::Call;
use super::envelope::Failure;
use super::prompt::Prompt;
use super::random::mix;
use super::stop::Stop;
use super::tool::ToolCall;
use crate::Ask;

/// `POST …/chat/completions`, as far as it matters here.
#[derive(Deserialize)]
struct ChatRequest<'a> {
    #[serde(borrow)]
    model: Cow<'a, str>,
    messages: Prompt,
    #[serde(default)]
    tools: Prompt,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

pub(super) async fn chat(call: Call, body: Bytes) -> Result<Response<Body>, Stop> {
    let request: ChatRequest<'_> =
        serde_json::from_slice(&body).map_err(|error| Failure::bad_request(&error))?;
    let model = &*request.model;
    let prompt_tokens = request.messages.tokens() + request.tools.bare_tokens();
    let max_tokens = request.max_completion_tokens.or(request.max_tokens);
    let draw = mix(call.world.settings.seed, request.messages.hash());
    let world = Arc::clone(&call.world);
    let text = world.writer.text(request.messages.is_wide(), draw);
    let tool = if request.tools.items() > 0 {
        ToolCall::asked_for(&body, text)
    } else {
        None
    };
    let (wanted, completion_tokens) = match &tool {
        // Short, and never cut.
        Some(tool) => (tool.tokens(), tool.tokens()),
        None => call.completion_tokens(draw, max_tokens),
    };
    let stream = request.stream == Some(true);

    let ask = Ask::new(prompt_tokens, call.max_tokens(max_tokens));
    // A stream takes its time as it goes.
    let before = if stream { 0 } else { completion_tokens };
    let served = call.admit(model, ask, before).await?;
    let answer = Answer {
        model,
        id: served.call.id,
        created: world.created(),
        text,
        tool: tool.as_ref(),
        prompt_tokens,
        completion_tokens,
        cut: completion_tokens < wanted,
    };
    if stream {
        let usage = request
            .stream_options
            .and_then(|options| options.include_usage);
        let events = answer.events(usage == Some(true));
        Ok(served.stream(events))
    } else {
        let body = answer.completion();
        Ok(served.whole(body, completion_tokens))
    }
}
