use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::Body;
use super::call::Call;
use super::envelope::Failure;
use super::prompt::Prompt;
use super::random::{fraction, mix};
use super::stop::Stop;
use crate::Ask;

/// What text-embedding-v4 has when nothing else is asked for.
const DIMENSIONS: u32 = 1024;

/// More than any model of the family has.
const MAX_DIMENSIONS: u32 = 4096;

/// `POST …/embeddings`.
#[derive(Deserialize)]
struct EmbeddingsRequest<'a> {
    #[serde(borrow)]
    model: Cow<'a, str>,
    input: Prompt,
    dimensions: Option<u32>,
    #[serde(default)]
    encoding_format: Encoding,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Float,
    Base64,
}

pub(super) async fn embeddings(call: Call, body: Bytes) -> Result<Response<Body>, Stop> {
    let request: EmbeddingsRequest<'_> =
        serde_json::from_slice(&body).map_err(|error| Failure::bad_request(&error))?;
    let dimensions = request.dimensions.unwrap_or(DIMENSIONS);
    if dimensions == 0 || dimensions > MAX_DIMENSIONS {
        let range = format!("`dimensions` is not from 1 to {MAX_DIMENSIONS}");
        return Err(Failure::bad_request(&range).into());
    }
    let model = &*request.model;
    let tokens = request.input.bare_tokens();
    let served = call.admit(model, Ask::new(tokens, 0), 0).await?;

    let seed = mix(served.call.world.settings.seed, request.input.hash());
    let data: Vec<_> = (0..request.input.items())
        .map(|index| {
            let embedding = vector(mix(seed, index), dimensions);
            let embedding = match request.encoding_format {
                Encoding::Float => json!(embedding),
                Encoding::Base64 => base64(&embedding),
            };
            json!({ "object": "embedding", "index": index, "embedding": embedding })
        })
        .collect();
    let body = json!({
        "object": "list",
        "data": data,
        "model": model,
        "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
        "id": served.call.id.to_string(),
    });
    Ok(served.whole(body.to_string().into(), 0))
}

/// A vector of length 1 in a direction of its own.
fn vector(seed: u64, dimensions: u32) -> Vec<f64> {
    let mut vector: Vec<_> = (0..dimensions)
        .map(|index| fraction(mix(seed, u64::from(index))) - 0.5)
        .collect();
    let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
    for x in &mut vector {
        *x /= length;
    }
    vector
}

fn base64(vector: &[f64]) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "the format has 32 bits")]
    let bytes: Vec<_> = vector
        .iter()
        .flat_map(|x| (*x as f32).to_le_bytes())
        .collect();
    BASE64_STANDARD.encode(bytes).into()
}
