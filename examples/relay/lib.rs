//! A relay for rate-limited LLM APIs: one base URL and one key, every account behind it.
//!
//! Any client of OpenAI's API uses it with two settings changed. Behind them are the layers, once for
//! each provider, and a chain of models in front of those:
//!
//! ```text
//! hyper, axum → fallback → retry-429 → key-rotation → rate-limit → hyper
//! ```

mod accept;
mod answer;
mod app;
mod args;
mod asked;
mod command;
mod config;
mod demo;
mod dispatch;
mod drained;
mod endpoint;
mod entry;
mod gate;
mod incoming;
mod line;
mod link;
mod merge;
mod metrics;
mod names;
mod pool;
mod record;
mod refusal;
mod relay;
mod reload;
mod routes;
mod running;
mod server;
mod setup;
mod status;
mod turn;
mod upstream;
mod usage;
mod watch;
mod worker;

pub use self::args::Args;
pub use self::command::run;
pub use self::running::Relay;
