use std::fmt;
use std::time::Duration;

use model_studio_sim::Unit;
use serde::Serialize;

use crate::server::Quota;
use crate::tally::{Tally, share};

/// One client against one server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    pub(crate) server: &'static str,
    pub(crate) client: &'static str,
    /// Share of what the binding quota lets through that was let through.
    pub(crate) utilisation: f64,
    /// Share of the sends that the server refused.
    pub(crate) refused: f64,
    /// Share of the jobs that were given up.
    pub(crate) lost: f64,
    pub(crate) sends_per_success: f64,
    /// From when a job came up to its being sent.
    pub(crate) wait_p50_s: f64,
    pub(crate) wait_p99_s: f64,
}

impl Row {
    /// The mean of several runs, each of length `during`.
    pub(crate) fn of(
        server: &'static str,
        client: &'static str,
        tallies: &[Tally],
        quota: Quota,
        during: Duration,
    ) -> Self {
        let mean = |of: &dyn Fn(&Tally) -> f64| {
            tallies.iter().map(of).sum::<f64>() / tallies.len().max(1) as f64
        };
        let [requests, tokens] = [Unit::Requests, Unit::Tokens].map(|unit| {
            let capacity = quota.capacity(unit, during);
            mean(&|tally| match unit {
                Unit::Requests => tally.admitted as f64 / capacity,
                _ => tally.tokens as f64 / capacity,
            })
        });
        Self {
            server,
            client,
            utilisation: requests.max(tokens),
            refused: mean(&|tally| share(tally.refused, tally.sends)),
            lost: mean(&|tally| share(tally.lost, tally.jobs)),
            sends_per_success: mean(&|tally| share(tally.sends, tally.admitted)),
            wait_p50_s: mean(&|tally| tally.wait(0.5, |_| true)),
            wait_p99_s: mean(&|tally| tally.wait(0.99, |_| true)),
        }
    }

    /// What stands above the rows.
    pub(crate) const HEAD: &'static str = "server          client                                used %   429 %  lost %  sends/ok     p50 s     p99 s";
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<15} {:<36} {:>7.2} {:>7.2} {:>7.3} {:>9.2} {:>9.2} {:>9.2}",
            self.server,
            self.client,
            100.0 * self.utilisation,
            100.0 * self.refused,
            100.0 * self.lost,
            self.sends_per_success,
            self.wait_p50_s,
            self.wait_p99_s,
        )
    }
}
