use std::time::Duration;

use crate::job::Job;

/// What the network saw of a client.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Jobs that came up.
    pub(crate) jobs: u64,
    /// Requests that were sent.
    pub(crate) sends: u64,
    /// Requests that were refused.
    pub(crate) refused: u64,
    /// Requests that were admitted.
    pub(crate) admitted: u64,
    /// Tokens of the requests that were admitted.
    pub(crate) tokens: u64,
    /// Jobs given up.
    pub(crate) lost: u64,
    /// Of every request that was sent, whose it was and how old its job.
    pub(crate) waits: Vec<(usize, Duration)>,
}

impl Tally {
    pub(crate) fn sent(&mut self, job: &Job, waited: Duration) {
        self.sends += 1;
        self.waits.push((job.tenant, waited));
    }

    pub(crate) fn admitted(&mut self, job: &Job) {
        self.admitted += 1;
        self.tokens += job.tokens();
    }

    /// The wait in seconds that so large a share of requests stay under, of the tenants `whose`.
    pub(crate) fn wait(&self, quantile: f64, whose: impl Fn(usize) -> bool) -> f64 {
        let waits = self.waits.iter().filter(|(tenant, _)| whose(*tenant));
        let mut waits: Vec<_> = waits.map(|(_, wait)| *wait).collect();
        if waits.is_empty() {
            return 0.0;
        }
        let index = ((waits.len() - 1) as f64 * quantile) as usize;
        waits.select_nth_unstable(index).1.as_secs_f64()
    }

    /// The mean wait in seconds.
    pub(crate) fn mean_wait(&self) -> f64 {
        let sum: Duration = self.waits.iter().map(|(_, wait)| *wait).sum();
        sum.as_secs_f64() / self.waits.len().max(1) as f64
    }
}

/// A share that is 0 of nothing.
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_of_the_tenants_asked_for() {
        let waits = (0..101).map(|second| (usize::from(second > 50), Duration::from_secs(second)));
        let tally = Tally {
            waits: waits.collect(),
            ..Tally::default()
        };
        assert!((tally.wait(0.5, |_| true) - 50.0).abs() < 1e-9);
        assert!((tally.wait(1.0, |tenant| tenant == 0) - 50.0).abs() < 1e-9);
        assert!((tally.wait(0.0, |tenant| tenant == 1) - 51.0).abs() < 1e-9);
        assert!(tally.wait(0.5, |tenant| tenant == 2).abs() < 1e-9);
    }

    #[test]
    fn a_share_of_nothing_is_nothing() {
        assert!(share(0, 0).abs() < 1e-9);
        assert!((share(1, 4) - 0.25).abs() < 1e-9);
    }
}
