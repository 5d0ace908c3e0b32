//! HTTP bodies that can be read twice.
