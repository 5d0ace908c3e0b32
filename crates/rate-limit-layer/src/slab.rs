/// Things by number, where the memory of many is given back a chunk at a time as they go.
///
/// Those who come one after the other lie side by side, and who goes first leaves first: in the time of
/// ten thousand there is little memory that is touched twice, and none is looked through at the end.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    chunks: Vec<Chunk<T>>,

    /// The chunks that are not full, each once. Those of which nothing is left are among them.
    open: Vec<usize>,

    len: usize,
}

#[derive(Debug)]
struct Chunk<T> {
    places: Vec<Option<T>>,

    /// Which places are taken, a bit each.
    taken: u64,
}

/// How many places a chunk has.
const PLACES: usize = u64::BITS as usize;

impl<T> Slab<T> {
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn insert(&mut self, it: T) -> usize {
        let at = self.open.last().copied().unwrap_or_else(|| {
            self.open.push(self.chunks.len());
            self.chunks.push(Chunk::default());
            self.chunks.len() - 1
        });
        let is_only = self.chunks.len() == 1;
        let Some(chunk) = self.chunks.get_mut(at) else {
            return usize::MAX; // never: what is open is there
        };
        let slot = chunk.taken.trailing_ones() as usize;
        chunk.taken |= 1 << slot;
        if chunk.taken == u64::MAX {
            self.open.pop();
        }
        if let Some(place) = chunk.places.get_mut(slot) {
            *place = Some(it);
        } else {
            if !is_only {
                chunk.places.reserve_exact(PLACES - slot); // of many it fills up
            }
            chunk.places.push(Some(it));
        }
        self.len += 1;
        at * PLACES + slot
    }

    pub(crate) fn remove(&mut self, id: usize) -> Option<T> {
        let chunk = self.chunks.get_mut(id / PLACES)?;
        let it = chunk.places.get_mut(id % PLACES)?.take()?;
        if chunk.taken == u64::MAX {
            self.open.push(id / PLACES);
        }
        chunk.taken &= !(1 << (id % PLACES));
        if chunk.taken == 0 {
            chunk.places = Vec::new();
        }
        self.len -= 1;
        Some(it)
    }

    pub(crate) fn get(&self, id: usize) -> Option<&T> {
        let chunk = self.chunks.get(id / PLACES)?;
        chunk.places.get(id % PLACES)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, id: usize) -> Option<&mut T> {
        let chunk = self.chunks.get_mut(id / PLACES)?;
        chunk.places.get_mut(id % PLACES)?.as_mut()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        let chunks = self.chunks.iter_mut();
        chunks.flat_map(|chunk| chunk.places.iter_mut().flatten())
    }

    /// The numbers there may be.
    pub(crate) fn ids(&self) -> std::ops::Range<usize> {
        0..self.chunks.len() * PLACES
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            open: Vec::new(),
            len: 0,
        }
    }
}

impl<T> Default for Chunk<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            taken: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_there_by_its_number() {
        let mut slab = Slab::default();
        let ids: Vec<_> = (0..200).map(|it| slab.insert(it)).collect();
        for (it, id) in ids.iter().enumerate().filter(|(it, _)| it % 3 > 0) {
            assert_eq!(slab.remove(*id), Some(it));
            assert_eq!(slab.remove(*id), None);
        }
        assert_eq!(slab.len(), 67);
        let more: Vec<_> = (200..400).map(|it| slab.insert(it)).collect();
        let kept = (0..200).step_by(3).map(|it| (it, ids[it]));
        for (it, id) in kept.chain((200..400).zip(more)) {
            assert_eq!(slab.get(id), Some(&it));
            *slab.get_mut(id).unwrap() += 1;
        }
        assert_eq!(slab.iter_mut().count(), 267);
        assert_eq!(slab.ids().filter(|id| slab.get(*id).is_some()).count(), 267);
    }

    #[test]
    fn gives_the_memory_back_of_those_who_went() {
        let mut slab = Slab::default();
        let ids: Vec<_> = (0..1000).map(|it| slab.insert(it)).collect();
        let places = |slab: &Slab<usize>| -> usize {
            slab.chunks
                .iter()
                .map(|chunk| chunk.places.capacity())
                .sum()
        };
        assert!(places(&slab) >= 1000);
        for id in &ids[..990] {
            slab.remove(*id);
        }
        assert!(places(&slab) <= 2 * PLACES);

        // And has room for as many as before.
        for it in 0..990 {
            assert!(slab.insert(it) < 1000_usize.next_multiple_of(PLACES));
        }
        assert_eq!(slab.len(), 1000);
    }
}
