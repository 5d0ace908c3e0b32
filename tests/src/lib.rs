//! Tests of several layers together.
