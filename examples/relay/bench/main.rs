//! What the relay costs.
fn main() {}
