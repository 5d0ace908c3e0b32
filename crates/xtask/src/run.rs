use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What went wrong, in a sentence for the terminal.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Where cargo builds to.
pub(crate) fn target() -> PathBuf {
    root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// A command that is run at the root, without standard input.
pub(crate) fn command(program: impl Into<OsString>, args: &[&str]) -> Command {
    let mut command = Command::new(program.into());
    command.args(args).current_dir(root()).stdin(Stdio::null());
    command
}

/// The cargo that runs this.
pub(crate) fn cargo(args: &[&str]) -> Command {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), args)
}

/// Announces a step.
pub(crate) fn heading(text: &str) {
    println!("\n=== {text}");
}

/// Runs a command whose output is the contributor's to read.
pub(crate) fn show(command: &mut Command) -> Outcome {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(format!("`{}` failed", line(command))),
        Err(error) => Err(format!("cannot run `{}`: {error}", line(command))),
    }
}

/// Runs a command for its standard output.
pub(crate) fn read(command: &mut Command) -> Outcome<String> {
    match command.stderr(Stdio::inherit()).output() {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(_) => Err(format!("`{}` failed", line(command))),
        Err(error) => Err(format!("cannot run `{}`: {error}", line(command))),
    }
}

/// Runs a command for whether it succeeds.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// The command as it would be typed.
fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(name).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_holds_the_workspace() {
        assert!(root().join("crates/xtask/src/run.rs").is_file());
    }

    #[test]
    fn a_failure_names_the_command_as_typed() {
        let error = show(&mut command("false", &["--really"])).unwrap_err();
        assert_eq!(error, "`false --really` failed");
        let error = show(&mut command("/no/such/program", &[])).unwrap_err();
        assert!(error.starts_with("cannot run `program`: "), "{error}");
    }

    #[test]
    fn a_command_has_no_standard_input() {
        // `cat` would wait for ever for a terminal's.
        assert_eq!(read(&mut command("cat", &[])), Ok(String::new()));
    }
}
