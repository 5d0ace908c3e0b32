use serde::{Deserialize, Serialize};

use crate::job::Done;
use crate::tally::Calls;

/// What an instance says to the program that started it, a line of JSON each.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Said {
    /// It is connected and waits to be told to go.
    Ready,
    /// It cannot go on.
    Failed(String),
    /// A job came up.
    Begun,
    /// A job came up, and there were too many under way already.
    TurnedAway,
    /// A job has ended.
    Done(Done),
    /// All its work is done; and the calls that took.
    Over(Calls),
}

/// What it is told, a word a line. The end of its input means that nobody listens any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Told {
    /// Let requests come up.
    Go,
    /// Let no more come up, finish those that did, and end.
    Stop,
}

impl Told {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Stop => "stop",
        }
    }

    pub(crate) fn read(line: &str) -> Option<Self> {
        [Self::Go, Self::Stop]
            .into_iter()
            .find(|told| told.as_str() == line.trim())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_said_comes_back_from_its_line() {
        let done = Done {
            sent: Duration::from_millis(1_500),
            waited: Duration::from_micros(1),
            answered: true,
        };
        let calls = Calls {
            store: 3,
            grants: 4,
        };
        let failed = Said::Failed("a \"b\"\nc".to_owned());
        for said in [
            Said::Ready,
            failed,
            Said::Begun,
            Said::TurnedAway,
            Said::Done(done),
            Said::Over(calls),
        ] {
            let line = serde_json::to_string(&said).unwrap();
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(serde_json::from_str::<Said>(&line).unwrap(), said);
        }
    }

    #[test]
    fn what_is_told_is_a_word() {
        for told in [Told::Go, Told::Stop] {
            assert_eq!(Told::read(&format!("{}\n", told.as_str())), Some(told));
        }
        assert_eq!(Told::read("wait\n"), None);
    }
}
