use std::sync::Arc;

use super::world::World;
use crate::{Ticket, Usage};

/// An admitted request. However it ends, it is charged for what was made of its answer.
#[derive(Debug)]
pub(super) struct Charge {
    world: Arc<World>,
    slot: usize,
    ticket: Option<Ticket>,
    usage: Usage,
}

impl Charge {
    pub(super) fn new(world: Arc<World>, slot: usize, ticket: Ticket, prompt_tokens: u64) -> Self {
        Self {
            world,
            slot,
            ticket: Some(ticket),
            usage: Usage::new(prompt_tokens, 0),
        }
    }

    /// Nothing of it is charged.
    pub(super) fn waive(mut self) {
        self.usage = Usage::default();
    }

    /// So many tokens more were written.
    pub(super) fn add(&mut self, tokens: u64) {
        self.usage.completion_tokens += tokens;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        if let Some(mut counted) = self.world.partition(self.slot) {
            let now = self.world.now();
            counted.partition.finish(now, ticket, self.usage);
        }
    }
}
