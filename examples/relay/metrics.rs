use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use throttle_signal::{AccountId, Kind};

use crate::names::ByName;

/// All that is counted, for as long as the process runs.
pub(crate) struct Metrics {
    registry: Registry,
    cells: RwLock<Cells>,
    /// Requests answered, whoever answered them.
    answers: Family<Answered, Counter>,
    /// The same, at hand: to look one up in the family, its names have to be copied.
    answered: RwLock<Ends>,
    /// Requests that the relay itself refused before they reached a model.
    pub(crate) turned_away: Family<TurnedAway, Counter>,
    /// Answers that came from another model than the first of the chain.
    pub(crate) fallbacks: Family<Fallen, Counter>,
    /// Seconds that requests were held back.
    pub(crate) waited: Counter<f64, AtomicU64>,
    pub(crate) open: Gauge,
    pub(crate) connections: Gauge,
    pub(crate) reloads: Family<Outcome, Counter>,
    pub(crate) used: Family<Used, Gauge<f64, AtomicU64>>,
    pub(crate) waiting: Family<Partition, Gauge>,
    pub(crate) in_flight: Family<Partition, Gauge>,
    pub(crate) out: Family<Cooling, Gauge<f64, AtomicU64>>,
    attempts: Family<Partition, Counter>,
    admitted: Family<Partition, Counter>,
    refused: Family<Refused, Counter>,
    failed: Family<Partition, Counter>,
    unreachable: Family<Partition, Counter>,
    abandoned: Family<Partition, Counter>,
    tokens: Family<Tokens, Counter>,
    cost: Family<Partition, Counter<f64, AtomicU64>>,
    first_byte: Family<Partition, Histogram, fn() -> Histogram>,
}

/// By account and model.
type Cells = ByName<(AccountId, Arc<str>), Arc<Cell>>;

/// By client, model asked for, status, and how it ended.
type Ends = ByName<End, Counter>;
pub(crate) type End = (Arc<str>, Arc<str>, u16, &'static str);

/// One account and model, with its counters at hand.
#[derive(Debug)]
pub(crate) struct Cell {
    labels: Partition,
    refused: Family<Refused, Counter>,
    /// Requests sent, whatever came of it: taken, refused, failed or abandoned.
    pub(crate) attempts: Counter,
    /// Requests that the upstream took, whatever became of them.
    pub(crate) admitted: Counter,
    /// Requests sent whose connection broke before an answer came.
    pub(crate) failed: Counter,
    /// Requests that were not sent, since there was no connection.
    pub(crate) unreachable: Counter,
    /// Requests sent whose caller left before an answer came.
    pub(crate) abandoned: Counter,
    pub(crate) input: Counter,
    pub(crate) output: Counter,
    pub(crate) cost: Counter<f64, AtomicU64>,
    pub(crate) first_byte: Histogram,
}

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
        pub(crate) struct $name {
            $(pub(crate) $field: $type,)+
        }
    )+};
}

labels! {
    Partition { account: String, model: String }
    Refused { account: String, model: String, by: &'static str, kind: &'static str }
    Tokens { account: String, model: String, direction: &'static str }
    Used { account: String, model: String, unit: &'static str, seconds: u64 }
    Cooling { account: String, model: String, kind: &'static str }
    Answered { client: String, model: String, status: u16, end: &'static str }
    TurnedAway { code: &'static str }
    Fallen { from: String, to: String }
    Outcome { outcome: &'static str }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let first_byte: fn() -> Histogram = || Histogram::new(exponential_buckets(0.01, 2.0, 15));
        let mut metrics = Self {
            registry: Registry::with_prefix("relay"),
            cells: RwLock::default(),
            answers: Family::default(),
            answered: RwLock::default(),
            turned_away: Family::default(),
            fallbacks: Family::default(),
            waited: Counter::default(),
            open: Gauge::default(),
            connections: Gauge::default(),
            reloads: Family::default(),
            used: Family::default(),
            waiting: Family::default(),
            in_flight: Family::default(),
            out: Family::default(),
            attempts: Family::default(),
            admitted: Family::default(),
            refused: Family::default(),
            failed: Family::default(),
            unreachable: Family::default(),
            abandoned: Family::default(),
            tokens: Family::default(),
            cost: Family::default(),
            first_byte: Family::new_with_constructor(first_byte),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        macro_rules! register {
            ($($field:ident: $name:literal, $help:literal;)+) => {
                $(registry.register($name, $help, self.$field.clone());)+
            };
        }
        register! {
            answers: "answers", "Requests that are over, by client, model asked for, status, and how they ended";
            turned_away: "turned_away", "Requests the relay refused before they reached a model";
            fallbacks: "fallbacks", "Answers by another model than the first of the chain";
            waited: "waited_seconds", "Time requests were held back";
            open: "open_requests", "Requests not yet answered to their last byte";
            connections: "connections", "Connections of callers";
            reloads: "reloads", "Configurations read, by whether they took effect";
            used: "quota_used_ratio", "Share of a limit in use, by account and model";
            waiting: "waiting_requests", "Requests waiting for room";
            in_flight: "in_flight_requests", "Requests at the upstream";
            out: "cooldown_seconds", "How long an account or model is left alone from now";
            attempts: "attempts", "Requests sent upstream, repetitions included";
            admitted: "upstream_admitted", "Requests the upstream took";
            refused: "refused", "Requests refused, by the upstream or by the relay for it";
            failed: "upstream_failed", "Requests sent whose connection broke before an answer";
            unreachable: "upstream_unreachable", "Requests for which there was no connection";
            abandoned: "upstream_abandoned", "Requests sent whose caller left before an answer";
            tokens: "tokens", "Tokens used, as the upstream reports them";
            cost: "cost", "What the tokens cost, by the configured prices";
            first_byte: "first_byte_seconds", "From a request to the first byte of its answer";
        }
    }

    /// Counts a request that is over.
    pub(crate) fn over(&self, end: End) {
        let ends = self.answered.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = ends.get(&end) {
            counter.inc();
            return;
        }
        drop(ends);
        let (client, model, status, how) = &end;
        let counter = self.answers.get_or_create_owned(&Answered {
            client: client.to_string(),
            model: model.to_string(),
            status: *status,
            end: how,
        });
        counter.inc();
        let mut ends = self
            .answered
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        ends.insert(end, counter);
    }

    /// The counters of an account and model.
    pub(crate) fn cell(&self, account: &AccountId, model: &Arc<str>) -> Arc<Cell> {
        let key = (account.clone(), Arc::clone(model));
        let cells = self.cells.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = cells.get(&key) {
            return Arc::clone(cell);
        }
        drop(cells);
        let mut cells = self.cells.write().unwrap_or_else(PoisonError::into_inner);
        let cell = cells.entry(key).or_insert_with(|| {
            let labels = Partition::new(account.as_str(), model);
            let tokens = |direction| {
                let Partition { account, model } = labels.clone();
                self.tokens.get_or_create_owned(&Tokens {
                    account,
                    model,
                    direction,
                })
            };
            Arc::new(Cell {
                refused: self.refused.clone(),
                attempts: self.attempts.get_or_create_owned(&labels),
                admitted: self.admitted.get_or_create_owned(&labels),
                failed: self.failed.get_or_create_owned(&labels),
                unreachable: self.unreachable.get_or_create_owned(&labels),
                abandoned: self.abandoned.get_or_create_owned(&labels),
                input: tokens("input"),
                output: tokens("output"),
                cost: self.cost.get_or_create_owned(&labels),
                first_byte: self.first_byte.get_or_create_owned(&labels),
                labels,
            })
        });
        Arc::clone(cell)
    }

    /// All of it, in the text format of Prometheus.
    pub(crate) fn encode(&self) -> String {
        let mut text = String::new();
        // A `String` takes all that is written to it.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Cell {
    /// Counts a refusal.
    pub(crate) fn refused(&self, by: &'static str, kind: Kind) {
        let Partition { account, model } = self.labels.clone();
        let labels = Refused {
            account,
            model,
            by,
            kind: kind.as_str(),
        };
        self.refused.get_or_create(&labels).inc();
    }
}

impl Partition {
    pub(crate) fn new(account: &str, model: &str) -> Self {
        Self {
            account: account.to_owned(),
            model: model.to_owned(),
        }
    }
}
