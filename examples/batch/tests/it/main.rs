//! The program as its users meet it: a process, its files and its exit status.

mod ends;
mod goes_on;
mod refusals;
mod support;
