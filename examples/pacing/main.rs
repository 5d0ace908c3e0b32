//! See the library beside this file, or `--help`.
use std::error::Error;
use std::io;

use clap::Parser;
use pacing::Args;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    pacing::run(&Args::parse(), &mut io::stdout().lock())
}
