use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;

use super::answer::Answer;
use super::body::Body;
use super::charge::Charge;
use super::envelope::{Dialect, Failure, Id, json};
use super::prompt::Prompt;
use super::random::mix;
use super::world::{KeyPlace, World};
use crate::{Ask, Refusal, RefusalKind, Ticket};

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
    #[serde(default)]
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

/// A request that is known to come from an account.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) place: KeyPlace,
    pub(super) number: u64,
    pub(super) id: Id,
    pub(super) dialect: Dialect,
}

pub(super) async fn chat(
    world: Arc<World>,
    call: Call,
    body: Bytes,
) -> Result<Response<Body>, Failure> {
    let request: ChatRequest<'_> =
        serde_json::from_slice(&body).map_err(|error| Failure::bad_request(&error))?;
    let prompt_tokens = request.messages.tokens() + request.tools.bare_tokens();
    let max_tokens = request.max_completion_tokens.or(request.max_tokens);
    let slot = world
        .slot(call.place, &request.model)
        .ok_or_else(|| Failure::unknown_model(&request.model))?;

    let settings = &world.settings;
    let longest = u64::from(*settings.completion_tokens.end());
    let ask = Ask::new(prompt_tokens, max_tokens.unwrap_or(longest));
    let ticket = admit(&world, call, slot, ask)?;
    let mut charge = Charge::new(Arc::clone(&world), slot, ticket, prompt_tokens);

    let draw = mix(settings.seed, request.messages.hash());
    let wanted = completion_tokens(&world, draw);
    let completion_tokens = wanted.min(ask.max_tokens);
    let latency = settings.latency.draw(mix(settings.seed, call.number));
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }

    let answer = Answer {
        model: &request.model,
        id: call.id,
        created: world.created(),
        text: world.writer.text(request.messages.is_wide(), draw),
        prompt_tokens,
        completion_tokens,
        cut: completion_tokens < wanted,
    };
    if request.stream != Some(true) {
        charge.add(completion_tokens);
        drop(charge);
        return Ok(json(answer.completion(), call.id));
    }

    let usage = request
        .stream_options
        .and_then(|options| options.include_usage);
    let events = answer.events(usage == Some(true));
    let mut response = Response::new(Body::steps(events, charge));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream;charset=UTF-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    call.id.mark(headers);
    Ok(response)
}

/// Asks the partition, once.
pub(super) fn admit(world: &World, call: Call, slot: usize, ask: Ask) -> Result<Ticket, Failure> {
    let settings = &world.settings;
    let Some(mut counted) = world.partition(slot) else {
        return Err(Failure::unknown_path());
    };
    counted.count_key(call.place);
    let account = settings.accounts.get(call.place.account);
    if account.is_some_and(|account| account.overdue) {
        counted.partition.refuse(RefusalKind::Arrears);
        return Err(RefusalKind::Arrears.into());
    }
    if super::random::fraction(mix(mix(settings.seed, call.number), 4)) < settings.refuse_at_random
    {
        counted.partition.refuse(RefusalKind::RequestRate);
        return Err(RefusalKind::RequestRate.into());
    }

    let now = world.now();
    counted
        .partition
        .arrive(now, ask)
        .map_err(|Refusal { kind, .. }| {
            let wait = settings
                .retry_after
                .then(|| counted.partition.wait(now, ask));
            Failure::from(kind).retry_after(wait.flatten())
        })
}

/// How long an answer would like to be.
fn completion_tokens(world: &World, draw: u64) -> u64 {
    let range = &world.settings.completion_tokens;
    let (low, high) = (u64::from(*range.start()), u64::from(*range.end()));
    low + mix(draw, 5) % (high.saturating_sub(low) + 1)
}
