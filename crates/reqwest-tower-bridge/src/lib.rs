//! Runs tower layers as reqwest middleware, and reqwest as a tower service.
