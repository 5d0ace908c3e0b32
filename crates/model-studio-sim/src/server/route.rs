use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Request, Response};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::json;

use super::body::Body;
use super::call::Call;
use super::chat::chat;
use super::embeddings::embeddings;
use super::envelope::{Dialect, Failure, json};
use super::id::Id;
use super::native::generation;
use super::stop::{Stop, reset};
use super::wire::Fuse;
use super::world::World;
use crate::RefusalKind;

/// Longer bodies are refused: 32 MiB.
const MAX_BODY: usize = 32 << 20;

const NATIVE: &str = "/api/v1/services/";

pub(super) async fn serve(
    world: Arc<World>,
    fuse: Fuse,
    request: Request<Incoming>,
) -> io::Result<Response<Body>> {
    let id = Id::new(world.settings.seed, world.number());
    let dialect = if request.uri().path().starts_with(NATIVE) {
        Dialect::Native
    } else {
        Dialect::Compatible
    };
    match route(world, fuse.clone(), request, id, dialect).await {
        Ok(response) => Ok(response),
        Err(Stop::Failure(failure)) => Ok(failure.response(dialect, id)),
        Err(Stop::Reset) => {
            fuse.blow();
            Err(reset())
        }
    }
}

async fn route(
    world: Arc<World>,
    fuse: Fuse,
    request: Request<Incoming>,
    id: Id,
    dialect: Dialect,
) -> Result<Response<Body>, Stop> {
    let (head, body) = request.into_parts();
    // To its end, whoever sends it: a client that is still sending when the connection closes may never see
    // why.
    let body = collect(body).await?;
    let path = head.uri.path();
    let path = path.strip_prefix("/compatible-mode").unwrap_or(path);
    let route = match (&head.method, path) {
        (&Method::GET, "/sim/ledger") => {
            let ledger = serde_json::to_vec(&world.ledger()).unwrap_or_default();
            return Ok(json(ledger, id));
        }
        (&Method::GET, "/v1/models") => Route::Models,
        (&Method::POST, "/v1/chat/completions") => Route::Chat,
        (&Method::POST, "/v1/embeddings") => Route::Embeddings,
        (&Method::POST, "/api/v1/services/aigc/text-generation/generation") => Route::Generation,
        _ => return Err(Failure::unknown_path().into()),
    };

    let place = world.key(bearer(&head.headers).unwrap_or_default());
    let call = Call {
        place: place.ok_or(RefusalKind::InvalidKey)?,
        id,
        dialect,
        fuse,
        world,
    };
    match route {
        Route::Models => Ok(models(&call.world, id)),
        Route::Chat => chat(call, body).await,
        Route::Embeddings => embeddings(call, body).await,
        Route::Generation => generation(call, &head.headers, body).await,
    }
}

#[derive(Clone, Copy, Debug)]
enum Route {
    Models,
    Chat,
    Embeddings,
    Generation,
}

/// The key in `Authorization: Bearer …`; the scheme in any case.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

async fn collect(mut body: Incoming) -> Result<Bytes, Failure> {
    let mut whole = BytesMut::new();
    let mut is_too_large = false;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::bad_request(&error))?;
        let Ok(data) = frame.into_data() else { break };
        // Nearly every request comes in one piece, which need not be copied.
        let is_all = !is_too_large && whole.is_empty() && body.is_end_stream();
        if is_all && data.len() <= MAX_BODY {
            return Ok(data);
        }
        is_too_large |= data.len() > MAX_BODY - whole.len();
        if is_too_large {
            whole = BytesMut::new();
        } else {
            whole.extend_from_slice(&data);
        }
    }
    if is_too_large {
        return Err(Failure::too_large());
    }
    Ok(whole.freeze())
}

fn models(world: &World, id: Id) -> Response<Body> {
    let created = world.created();
    let data: Vec<_> = world
        .settings
        .models
        .iter()
        .map(|(name, _)| {
            json!({ "id": name, "object": "model", "created": created, "owned_by": "system" })
        })
        .collect();
    json(json!({ "object": "list", "data": data }).to_string(), id)
}
