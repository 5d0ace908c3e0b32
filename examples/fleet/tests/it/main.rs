//! The program as its users meet it: processes, what they print, and what is left of them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ends;
mod runs;
mod support;
