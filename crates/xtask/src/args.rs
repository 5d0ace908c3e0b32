/// What is typed after `cargo xtask`.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Task {
    Test { install: bool },
    Ci { install: bool },
    Readmes,
    Help,
}

pub(crate) const USAGE: &str = "\
The contributor's commands.

Usage: cargo xtask <task> [--install]

Tasks:
  test       Run every test of the workspace, documentation included
  ci         Run what every change must pass: format, hygiene, lints, documentation, each feature
             alone, test, readmes of the layers
  readmes    Build what each crate's README shows, with what it lists, outside of this workspace

Options:
  --install  Install missing test tools by apt-get (also with CI=true in the environment)
  -h, --help Print this";

impl Task {
    /// Reads the arguments, or says in a sentence what is wrong with them.
    pub(crate) fn parse(args: &[String]) -> Result<Self, String> {
        let mut words = Vec::new();
        let mut install = false;
        for arg in args {
            match arg.as_str() {
                "-h" | "--help" | "help" => return Ok(Self::Help),
                "--install" => install = true,
                word => words.push(word),
            }
        }
        match words[..] {
            ["test"] => Ok(Self::Test { install }),
            ["ci"] => Ok(Self::Ci { install }),
            ["readmes"] => Ok(Self::Readmes),
            [] => Err("no task given: `cargo xtask test` or `cargo xtask ci`".to_owned()),
            ["test" | "ci" | "readmes", unknown, ..] | [unknown, ..] => Err(format!(
                "unknown argument `{unknown}`: see `cargo xtask --help`"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Task, String> {
        let args: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        Task::parse(&args)
    }

    #[test]
    fn reads_tasks_and_options() {
        assert_eq!(parse("test"), Ok(Task::Test { install: false }));
        assert_eq!(parse("test --install"), Ok(Task::Test { install: true }));
        assert_eq!(parse("--install ci"), Ok(Task::Ci { install: true }));
        assert_eq!(parse("test --help"), Ok(Task::Help));
        assert_eq!(parse("readmes"), Ok(Task::Readmes));
    }

    #[test]
    fn names_the_argument_it_does_not_know() {
        for (line, unknown) in [("tset", "`tset`"), ("ci fast", "`fast`"), ("-v", "`-v`")] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(unknown), "{error}");
        }
        assert!(parse("").unwrap_err().contains("no task"));
    }
}
