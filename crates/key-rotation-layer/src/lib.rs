//! A tower layer that spreads requests over the keys of several accounts.
