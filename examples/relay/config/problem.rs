use std::error::Error;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Why a configuration is not used: everything that is wrong with it.
#[derive(Debug)]
pub(crate) struct Invalid {
    path: PathBuf,
    /// Never empty; in the order of the file.
    problems: Vec<Problem>,
}

#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Problem {
    /// From 1; 0 for the file as a whole.
    line: usize,
    message: String,
}

/// Gathers what is wrong with a text.
#[derive(Debug)]
pub(super) struct Problems<'a> {
    text: &'a str,
    found: Vec<Problem>,
}

impl<'a> Problems<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self {
            text,
            found: Vec::new(),
        }
    }

    /// Notes what is wrong at a place of the text.
    pub(super) fn at(&mut self, span: &Range<usize>, message: impl Into<String>) {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
        let message = message.into();
        self.found.push(Problem { line, message });
    }

    /// Notes what is wrong with the text as a whole.
    pub(super) fn overall(&mut self, message: impl Into<String>) {
        let message = message.into();
        self.found.push(Problem { line: 0, message });
    }

    /// Settles whether anything was.
    pub(super) fn settle<T>(mut self, config: T, path: &Path) -> Result<T, Invalid> {
        if self.found.is_empty() {
            return Ok(config);
        }
        self.found.sort();
        Err(Invalid {
            path: path.to_owned(),
            problems: self.found,
        })
    }

    /// Gives up.
    pub(super) fn fail(self, path: &Path) -> Invalid {
        let mut problems = self.found;
        problems.sort();
        Invalid {
            path: path.to_owned(),
            problems,
        }
    }
}

impl Invalid {
    pub(super) fn unread(path: &Path, error: &io::Error) -> Self {
        let mut problems = Problems::new("");
        problems.overall(format!("cannot be read: {error}"));
        problems.fail(path)
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        for (count, problem) in self.problems.iter().enumerate() {
            if count > 0 {
                f.write_str("\n")?;
            }
            match problem.line {
                0 => write!(f, "{path}: {}", problem.message)?,
                line => write!(f, "{path}:{line}: {}", problem.message)?,
            }
        }
        Ok(())
    }
}

impl Error for Invalid {}
