//! Reads what an upstream means when it refuses a request, and carries the verdict to every layer.
