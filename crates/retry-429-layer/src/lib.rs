//! A tower layer that waits and sends again when the upstream refuses for now.
