use std::sync::Arc;
use std::time::Duration;

use super::charge::Charge;
use super::envelope::{Dialect, Failure};
use super::fault::Fault;
use super::id::Id;
use super::random::mix;
use super::served::Served;
use super::stop::Stop;
use super::wire::Fuse;
use super::world::{KeyPlace, World};
use crate::{Ask, Refusal, RefusalKind};

/// A request that is known to come from an account.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) world: Arc<World>,
    pub(super) place: KeyPlace,
    pub(super) id: Id,
    pub(super) dialect: Dialect,
    pub(super) fuse: Fuse,
}

impl Call {
    /// How many tokens an answer would like to have, and may have.
    pub(super) fn completion_tokens(&self, draw: u64, max_tokens: Option<u64>) -> (u64, u64) {
        let range = &self.world.settings.completion_tokens;
        let (low, high) = (u64::from(*range.start()), u64::from(*range.end()));
        let wanted = low + mix(draw, 5) % (high.saturating_sub(low) + 1);
        (wanted, wanted.min(max_tokens.unwrap_or(u64::MAX)))
    }

    /// What an answer may have at most.
    pub(super) fn max_tokens(&self, asked: Option<u64>) -> u64 {
        asked.unwrap_or_else(|| u64::from(*self.world.settings.completion_tokens.end()))
    }

    /// Asks the partition, once, and waits as long as an answer takes.
    pub(super) async fn admit(self, model: &str, ask: Ask, tokens: u64) -> Result<Served, Stop> {
        let world = Arc::clone(&self.world);
        let settings = &world.settings;
        let slot = world
            .slot(self.place, model)
            .ok_or_else(|| Failure::unknown_model(model))?;
        let number = world.next_call();
        let mut faults = settings.faults.iter().enumerate();
        let fault = faults.find_map(|(index, (fault, when))| {
            let draw = mix(settings.seed, 100 + index as u64);
            when.is_now(number, draw).then(|| fault.clone())
        });

        let charge = self.charge(slot, ask, fault.as_ref())?;
        let latency = settings.latency.draw(mix(settings.seed, number));
        let writing = settings
            .token_time
            .saturating_mul(u32::try_from(tokens).unwrap_or(u32::MAX));
        wait(latency.saturating_add(writing)).await;
        self.serve(charge, fault).await
    }

    fn charge(&self, slot: usize, ask: Ask, fault: Option<&Fault>) -> Result<Charge, Failure> {
        let settings = &self.world.settings;
        let Some(mut counted) = self.world.partition(slot) else {
            return Err(Failure::unknown_path());
        };
        counted.count_key(self.place);
        let account = settings.accounts.get(self.place.account);
        if account.is_some_and(|account| account.overdue) {
            counted.partition.refuse(RefusalKind::Arrears);
            return Err(RefusalKind::Arrears.into());
        }
        if let Some(fault @ Fault::Refuse(kind)) = fault {
            counted.count_fault(fault);
            counted.partition.refuse(*kind);
            return Err((*kind).into());
        }

        let now = self.world.now();
        match counted.partition.arrive(now, ask) {
            Ok(ticket) => {
                if let Some(fault) = fault {
                    counted.count_fault(fault);
                }
                drop(counted);
                let world = Arc::clone(&self.world);
                Ok(Charge::new(world, slot, ticket, ask.prompt_tokens))
            }
            Err(Refusal { kind, .. }) => {
                let wait = settings
                    .retry_after
                    .then(|| counted.partition.wait(now, ask));
                Err(Failure::from(kind).retry_after(wait.flatten()))
            }
        }
    }

    async fn serve(self, charge: Charge, fault: Option<Fault>) -> Result<Served, Stop> {
        match fault {
            Some(Fault::InternalError) => {
                charge.waive();
                Err(Failure::internal().into())
            }
            Some(Fault::Reset) => Err(Stop::Reset),
            Some(Fault::Hang) => std::future::pending().await,
            _ => Ok(Served::new(self, charge, fault)),
        }
    }
}

pub(super) async fn wait(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}
