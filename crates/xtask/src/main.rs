//! The contributor's commands: `cargo xtask test`, `cargo xtask ci` and `cargo xtask readmes`.

#![allow(clippy::print_stdout, reason = "a command talks to whoever typed it")]

mod args;
mod features;
mod hygiene;
mod readmes;
mod run;
mod tools;

use std::env;
use std::process::ExitCode;

use self::args::{Task, USAGE};
use self::run::{Outcome, cargo, heading, show};
use self::tools::Tools;

fn main() -> ExitCode {
    let args: Vec<_> = env::args().skip(1).collect();
    let task = match Task::parse(&args) {
        Ok(task) => task,
        Err(error) => return fail(&error, 2),
    };
    let outcome = match task {
        Task::Help => {
            println!("{USAGE}");
            Ok(())
        }
        Task::Test { install } => Tools::prepare(install).and_then(|tools| test(&tools)),
        Task::Ci { install } => ci(install),
        Task::Readmes => readmes(true),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

fn fail(error: &str, code: u8) -> ExitCode {
    eprintln!("xtask: {error}");
    ExitCode::from(code)
}

fn ci(install: bool) -> Outcome {
    // Tools first: who lacks one should not learn it after all the rest.
    let tools = Tools::prepare(install)?;

    heading("cargo fmt");
    show(&mut cargo(&["fmt", "--all", "--check"]))?;

    heading("hygiene: short files, small trees, no lockfile");
    hygiene::check()?;

    heading("cargo clippy");
    let mut clippy = cargo(&["clippy", "--workspace", "--all-targets", "--all-features"]);
    show(clippy.args(["--", "-D", "warnings"]))?;

    heading("cargo doc");
    let mut doc = cargo(&["doc", "--workspace", "--all-features", "--no-deps"]);
    show(doc.env("RUSTDOCFLAGS", "-D warnings"))?;

    heading("cargo clippy: each feature alone");
    features::check()?;

    test(&tools)?;
    readmes(false)
}

fn readmes(all: bool) -> Outcome {
    heading("cargo test: each README, by what it lists and outside of this workspace");
    readmes::check(all)
}

fn test(tools: &Tools) -> Outcome {
    // Without target selection this is libraries, programs, tests, examples and documentation in
    // one build.
    heading("cargo test: everything, documentation included");
    let mut test = cargo(&["test", "--workspace", "--all-features", "--no-fail-fast"]);
    if env::var_os(THREADS).is_none() {
        test.env(THREADS, threads().to_string());
    }
    show(test.envs(tools.env()))
}

/// How many tests run at once, unless it is set.
const THREADS: &str = "RUST_TEST_THREADS";

/// Those that take long wait for what real servers do, and not for the machine.
fn threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores.max(8)
}
