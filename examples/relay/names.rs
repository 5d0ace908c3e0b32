use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A table by names of the configuration. Nobody else adds to it, so that nobody can choose names that
/// collide, and what is looked up for every request need not be hashed against that.
pub(crate) type ByName<K, V> = HashMap<K, V, BuildHasherDefault<NameHasher>>;

/// Hashes short texts, eight bytes at a time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NameHasher(u64);

/// An odd number whose bits are spread well: the golden ratio's.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for NameHasher {
    fn write(&mut self, text: &[u8]) {
        for part in text.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.0 = (self.0.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(SPREAD);
        }
    }

    fn finish(&self) -> u64 {
        // The table takes its place from the low bits and a mark from the high ones.
        self.0 ^ (self.0 >> 32)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::{BuildHasher, BuildHasherDefault};

    use super::NameHasher;

    #[test]
    fn names_that_are_alike_have_places_of_their_own() {
        let hasher = BuildHasherDefault::<NameHasher>::default();
        let names = (0..1000).map(|number| format!("qwen3-max-2026-{number}"));
        let numbers: Vec<_> = names.map(|name| hasher.hash_one(name)).collect();
        for bits in [|hash: &u64| hash & 0xffff, |hash: &u64| hash >> 48] {
            let places: HashSet<_> = numbers.iter().map(bits).collect();
            assert!(places.len() > 950, "{}", places.len());
        }
    }
}
