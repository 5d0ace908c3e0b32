use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{RefusalKind, Tally};

/// What the simulator has seen: the same over HTTP (`GET /sim/ledger`, as JSON) and from
/// [`Simulator::ledger`](crate::Simulator::ledger).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Ledger {
    /// Seconds since the start.
    pub seconds: f64,
    /// Requests whose key nobody has.
    pub invalid_keys: u64,
    /// Every account with every model, in the order in which they were configured.
    pub partitions: Vec<PartitionLedger>,
}

/// One account and one model.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PartitionLedger {
    /// Name of the account.
    pub account: String,
    /// Name of the model.
    pub model: String,
    /// What happened to its quota.
    #[serde(flatten)]
    pub tally: Tally,
    /// How many requests, refused ones included, came with which key.
    pub keys: BTreeMap<String, u64>,
    /// What went wrong as it was told to, by the name of the [`Fault`](crate::Fault) in snake case. Those that
    /// refuse are among the refusals too; what a limit refused went wrong in no other way.
    pub faults: BTreeMap<String, u64>,
}

impl Ledger {
    /// One account and one model. `None`: it is not configured.
    #[must_use]
    pub fn partition(&self, account: &str, model: &str) -> Option<&PartitionLedger> {
        self.partitions
            .iter()
            .find(|partition| partition.account == account && partition.model == model)
    }

    /// Requests admitted, over all partitions.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.tallies().map(|tally| tally.requests).sum()
    }

    /// Tokens used, over all partitions.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.tallies().map(|tally| tally.tokens).sum()
    }

    /// Requests refused for whatever reason, over all partitions; invalid keys are not among them.
    #[must_use]
    pub fn refusals(&self) -> u64 {
        self.tallies().map(Tally::refusals).sum()
    }

    /// Requests refused for one reason, over all partitions.
    #[must_use]
    pub fn refused(&self, kind: RefusalKind) -> u64 {
        self.tallies()
            .filter_map(|tally| tally.refused.get(&kind))
            .sum()
    }

    fn tallies(&self) -> impl Iterator<Item = &Tally> {
        self.partitions.iter().map(|partition| &partition.tally)
    }
}
