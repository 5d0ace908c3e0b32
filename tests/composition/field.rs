//! The type of a stack can be named, so it can be a field without a box.

use bytes::Bytes;
use fallback_layer::Fallback;
use http_body_util::{BodyExt, Full};
use key_rotation_layer::KeyRotation;
use rate_limit_layer::RateLimit;
use retry_429_layer::Retry429;
use tower::{Service, ServiceExt};

use crate::hyper::{HyperClient, client};
use crate::layers::stack;
use crate::studio::{chat, check, studio};

/// What a program keeps.
#[derive(Clone)]
struct Assistant {
    model: Fallback<Retry429<KeyRotation<RateLimit<HyperClient>>>>,
}

impl Assistant {
    async fn ask(&mut self, chat: http::Request<Full<Bytes>>) -> (http::StatusCode, Bytes) {
        let answer = self.model.ready().await.unwrap().call(chat).await.unwrap();
        let (parts, body) = answer.into_parts();
        (parts.status, body.collect().await.unwrap().to_bytes())
    }
}

#[tokio::test]
async fn a_stack_is_a_field() {
    let studio = studio(0.0).await;
    let mut assistant = Assistant {
        model: stack().service(client()),
    };
    for _ in 0..2 {
        let (status, body) = assistant.ask(chat(&studio)).await;
        check(status, &body);
    }
}
