use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::memory::Memory;
use crate::{Candidate, Triggers};

/// The candidates in their order, and what is known of them.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) triggers: Triggers,
    pub(crate) base_path: Box<str>,
    pub(crate) memory: Arc<Memory>,
    // The model of requests that name none.
    pub(crate) unnamed: Arc<str>,
    turn: Arc<AtomicU64>,
}

impl Chain {
    pub(crate) fn new(candidates: Vec<Candidate>) -> Self {
        Self {
            candidates,
            triggers: Triggers::new(),
            base_path: "".into(),
            memory: Arc::default(),
            unnamed: Arc::from(""),
            turn: Arc::default(),
        }
    }

    /// The same, with nothing learned yet.
    pub(crate) fn forgetful(mut self) -> Self {
        self.memory = Arc::default();
        self
    }

    /// The candidate a request begins with.
    pub(crate) fn first(&self) -> usize {
        let total: u64 = self
            .candidates
            .iter()
            .map(|candidate| u64::from(candidate.share))
            .sum();
        if total == 0 {
            return 0;
        }
        // Steps of the golden ratio: evenly spread however many were taken, and interleaved.
        let step = self
            .turn
            .fetch_add(1, Ordering::Relaxed)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut point = u64::try_from((u128::from(step) * u128::from(total)) >> 64).unwrap_or(0);
        for (index, candidate) in self.candidates.iter().enumerate() {
            match point.checked_sub(u64::from(candidate.share)) {
                Some(rest) => point = rest,
                None => return index,
            }
        }
        0
    }

    /// The candidate at a place of the order that begins with `first` and then goes as listed.
    pub(crate) fn at(first: usize, place: usize) -> usize {
        match place {
            0 => first,
            _ if place <= first => place - 1,
            _ => place,
        }
    }
}

/// Changing the settings of a layer does not change its clones; what was learned stays shared.
impl Clone for Chain {
    fn clone(&self) -> Self {
        Self {
            candidates: self.candidates.clone(),
            triggers: self.triggers,
            base_path: self.base_path.clone(),
            memory: Arc::clone(&self.memory),
            unnamed: Arc::clone(&self.unnamed),
            turn: Arc::clone(&self.turn),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_kept_and_interleaved() {
        let chain = Chain::new(vec![
            Candidate::model("a").share(3),
            Candidate::model("b"),
            Candidate::model("c").share(1),
        ]);
        let turns: Vec<_> = (0..400).map(|_| chain.first()).collect();
        let of = |index| turns.iter().filter(|turn| **turn == index).count();
        assert!((298..=302).contains(&of(0)), "{}", of(0));
        assert_eq!(of(1), 0);
        for eight in turns.chunks(8) {
            assert!(eight.contains(&2), "{eight:?}");
        }
    }

    #[test]
    fn the_order_begins_with_the_chosen_one() {
        let order = |first| [0, 1, 2].map(|place| Chain::at(first, place));
        assert_eq!(order(0), [0, 1, 2]);
        assert_eq!(order(1), [1, 0, 2]);
        assert_eq!(order(2), [2, 0, 1]);
    }
}
