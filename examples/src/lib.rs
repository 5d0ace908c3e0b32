//! Small examples, one file each: see the files beside this manifest. What to take instead of what
//! you have is in the guide there, and its snippets are tested here.

/// Compiles the snippets of the guide.
#[cfg(doctest)]
#[doc = include_str!("../guide.md")]
struct Guide;
