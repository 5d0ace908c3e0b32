//! A relay: one base URL and one key, every account behind it.

mod args;
mod config;
mod endpoint;

pub use self::args::Args;

/// Runs.
#[must_use]
pub fn run(_: &Args) -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
