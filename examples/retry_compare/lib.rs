//! Nothing: the package is its example.
