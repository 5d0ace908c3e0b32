use std::error::Error;
use std::fmt;

/// A chain without candidates.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EmptyChain(pub(crate) ());

impl fmt::Display for EmptyChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a chain needs at least one candidate")
    }
}

impl Error for EmptyChain {}

/// A parameter's default that is not JSON.
#[derive(Debug)]
pub struct NotJson(pub(crate) serde_json::Error);

impl fmt::Display for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the default of a parameter is not JSON")
    }
}

impl Error for NotJson {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}
