//! A tower layer that paces requests to a quota of requests and tokens.
