use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use throttle_signal::Priority;

/// A place in a line: the urgent first, then who arrived first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Order {
    pub(crate) priority: Reverse<Priority>,
    pub(crate) arrived: u64,
    pub(crate) seq: u64,
}

/// Those who wait in one line, by order.
///
/// Nearly all come in the order in which they go. They lie one after the other, in half the memory that a tree
/// takes and without its work; a tree has the others.
#[derive(Debug, Default)]
pub(crate) struct Row {
    /// The first is there still; of the others some may be gone.
    in_order: VecDeque<(Order, usize)>,
    gone: usize,

    others: BTreeMap<Order, usize>,
}

/// The number of one who is gone.
const GONE: usize = usize::MAX;

impl Row {
    pub(crate) fn is_empty(&self) -> bool {
        self.in_order.is_empty() && self.others.is_empty()
    }

    pub(crate) fn insert(&mut self, order: Order, id: usize) {
        if self.in_order.back().is_none_or(|(last, _)| *last < order) {
            self.in_order.push_back((order, id));
        } else {
            self.others.insert(order, id);
        }
    }

    /// Takes out who has this place; `false` if nobody has.
    pub(crate) fn remove(&mut self, order: &Order) -> bool {
        let Ok(at) = self.find(order) else {
            return self.others.remove(order).is_some();
        };
        match self.in_order.get_mut(at) {
            // It went before, and has come back since.
            Some((_, GONE)) | None => return self.others.remove(order).is_some(),
            Some((_, id)) => *id = GONE,
        }
        self.gone += 1;
        while let Some((_, GONE)) = self.in_order.front() {
            self.in_order.pop_front();
            self.gone -= 1;
        }
        if self.gone > self.in_order.len() / 2 {
            self.in_order.retain(|(_, id)| *id != GONE);
            self.in_order.shrink_to(2 * self.in_order.len());
            self.gone = 0;
        }
        true
    }

    /// Who goes first, and its place.
    pub(crate) fn first(&self) -> Option<(&Order, usize)> {
        let next = self.in_order.front().map(|(order, id)| (order, *id));
        let other = self.others.first_key_value();
        let other = other.map(|(order, id)| (order, *id));
        match (next, other) {
            (Some(next), Some(other)) => Some(next.min(other)),
            (next, other) => next.or(other),
        }
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        let next = self.in_order.iter().filter(|(_, id)| *id != GONE);
        let mut next = next.map(|(order, id)| (order, *id)).peekable();
        let others = self.others.iter();
        let mut others = others.map(|(order, id)| (order, *id)).peekable();
        std::iter::from_fn(move || {
            let other = others.next_if(|other| next.peek().is_none_or(|next| other < next));
            other.or_else(|| next.next()).map(|(_, id)| id)
        })
    }

    fn find(&self, order: &Order) -> Result<usize, usize> {
        // Most often it is who goes first that leaves.
        match self.in_order.front() {
            Some((first, _)) if first == order => Ok(0),
            _ => self
                .in_order
                .binary_search_by_key(order, |(order, _)| *order),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::btree_map::Entry;

    use proptest::prelude::*;

    use super::*;

    fn order(priority: Priority, arrived: u64) -> Order {
        Order {
            priority: Reverse(priority),
            arrived,
            seq: 0,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whoever comes and goes, in whatever order.
        #[test]
        fn is_as_a_tree(steps in prop::collection::vec((0_u64..40, any::<bool>(), any::<bool>()), 0..200)) {
            let (mut row, mut tree) = (Row::default(), BTreeMap::new());
            for (id, (arrived, urgent, comes)) in steps.into_iter().enumerate() {
                let order = order(if urgent { Priority(1) } else { Priority(0) }, arrived);
                if !comes {
                    prop_assert_eq!(row.remove(&order), tree.remove(&order).is_some());
                } else if let Entry::Vacant(place) = tree.entry(order) {
                    place.insert(id);
                    row.insert(order, id);
                }
                prop_assert_eq!(row.is_empty(), tree.is_empty());
                let first = tree.first_key_value().map(|(order, id)| (order, *id));
                prop_assert_eq!(row.first(), first);
                prop_assert!(row.iter().eq(tree.values().copied()));
            }
        }
    }

    #[test]
    fn keeps_no_memory_of_those_who_are_gone() {
        let mut row = Row::default();
        for at in 0..1000 {
            row.insert(order(Priority(0), at), 0);
        }
        for at in 1..999 {
            row.remove(&order(Priority(0), at));
        }
        assert_eq!(row.iter().count(), 2);
        assert!(row.in_order.capacity() <= 8);
    }
}
