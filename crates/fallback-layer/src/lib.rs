//! A tower layer that moves on to another model or endpoint when one has no room.
