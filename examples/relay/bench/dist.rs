use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Builds this program as the relay is installed, and says where it is. The proxy of hyper is part of
/// it, so both are built alike.
pub(crate) fn build() -> Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--profile", "dist", "--package", "relay"])
        .args(["--example", "relay_bench"])
        .status()
        .context("cannot run cargo")?;
    ensure!(built.success(), "the profile `dist` cannot be built");
    // Beside this one: `target/release/examples/relay_bench`.
    let program = env::current_exe()?;
    let target = program.ancestors().nth(3).context("no target folder")?;
    let name = program.file_name().context("a program without a name")?;
    Ok(target.join("dist").join("examples").join(name))
}
