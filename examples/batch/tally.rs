use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::errand::Done;

/// What came of a run so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    /// Why the first that failed did.
    pub(crate) first_failure: Option<String>,
    pub(crate) by_model: BTreeMap<String, u64>,
    pub(crate) by_account: BTreeMap<String, u64>,
    /// From the first request to the last that ended.
    pub(crate) elapsed: Duration,
}

/// The object of `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) strategy: Option<&'static str>,
    /// Those of this run: without `recorded_before`.
    pub(crate) requests: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    /// Neither completed nor recorded as failed.
    pub(crate) lost: u64,
    pub(crate) recorded_before: u64,
    pub(crate) sends: u64,
    pub(crate) refused_429: u64,
    pub(crate) elapsed_s: f64,
    pub(crate) ideal_s: Option<f64>,
    /// `ideal_s / elapsed_s`, if all the work was done and there was a choice.
    pub(crate) utilisation: Option<f64>,
    pub(crate) by_model: BTreeMap<String, u64>,
    pub(crate) by_account: BTreeMap<String, u64>,
}

impl Tally {
    /// Counts a request that ended.
    pub(crate) fn add(&mut self, done: &Done) {
        if !done.record.is_completed() {
            self.failed += 1;
            if self.first_failure.is_none() {
                self.first_failure = done.record.why_failed();
            }
            return;
        }
        self.completed += 1;
        *self.by_model.entry(done.model.clone()).or_default() += 1;
        if let Some(account) = &done.account {
            *self.by_account.entry(account.clone()).or_default() += 1;
        }
    }
}

impl Report {
    /// Adds up a run.
    pub(crate) fn new(
        tally: Tally,
        (requests, recorded_before): (u64, u64),
        (sends, refused_429): (u64, u64),
        ideal_s: Option<f64>,
    ) -> Self {
        let elapsed_s = round(tally.elapsed.as_secs_f64());
        let ideal_s = ideal_s.map(round);
        let lost = requests - tally.completed - tally.failed;
        Self {
            strategy: None,
            requests,
            completed: tally.completed,
            failed: tally.failed,
            lost,
            recorded_before,
            sends,
            refused_429,
            elapsed_s,
            ideal_s,
            utilisation: ideal_s
                .filter(|ideal| tally.completed == requests && *ideal > 0.0 && elapsed_s > 0.0)
                .map(|ideal| round(ideal / elapsed_s)),
            by_model: tally.by_model,
            by_account: tally.by_account,
        }
    }
}

/// To the thousandth.
fn round(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}
