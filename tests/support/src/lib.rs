//! Scripted upstreams and misbehaving bodies for the tests of every layer.
