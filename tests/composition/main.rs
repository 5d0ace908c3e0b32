//! The layers in the places people have for them: once each alone, once stacked, over real HTTP.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod axum;
mod boxed;
mod field;
mod grpc;
mod hyper;
mod layers;
mod neighbours;
mod openai;
mod reqwest;
mod studio;
mod tonic;
