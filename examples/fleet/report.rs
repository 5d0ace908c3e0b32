use std::fmt;
use std::ops::Range;
use std::time::Duration;

use serde::Serialize;

use crate::quota::Quota;
use crate::tally::{Counted, Tally};

/// A run, as it was counted.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) instances: usize,
    pub(crate) quota: Quota,
    /// When was measured, from the start.
    pub(crate) measured: Range<Duration>,
    /// What the simulator let through in that time.
    pub(crate) granted: u64,
    /// What it counted from the start to the last answer.
    pub(crate) whole: Counted,
    pub(crate) outage: Option<Outage>,
    pub(crate) tally: Tally,
    /// What one client with the same demand was granted in the same time.
    pub(crate) alone: Option<Counted>,
    /// Whether an instance ended before its time.
    pub(crate) broken: bool,
}

/// While the store was away.
#[derive(Debug)]
pub(crate) struct Outage {
    /// From the start.
    pub(crate) away: Range<Duration>,
    pub(crate) counted: Counted,
}

/// What is shown of a run; as JSON, its fields.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    instances: usize,
    quota: String,
    /// In the measured time.
    granted: u64,
    /// What was granted over what the quota allows, in the measured time.
    utilisation: f64,
    /// From the start to the last answer.
    refused_429: u64,
    lost: u64,
    store_calls_per_grant: f64,
    share: Vec<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outage: Option<OutageReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alone: Option<AloneReport>,

    // Shown to people only.
    #[serde(skip)]
    allowed: f64,
    #[serde(skip)]
    seconds: f64,
    #[serde(skip)]
    refused_share: f64,
    #[serde(skip)]
    turned_away: u64,
    #[serde(skip)]
    waits: [f64; 2],
}

#[derive(Debug, Serialize)]
struct OutageReport {
    seconds: f64,
    granted: u64,
    utilisation: f64,
    refused_429: u64,
    refused_share: f64,
    /// Of the waits of what was sent, in seconds.
    wait_p99: f64,
    wait_p99_before: f64,
}

/// One client with the same demand and the whole quota for itself.
#[derive(Debug, Serialize)]
struct AloneReport {
    granted: u64,
    refused_429: u64,
    /// What the fleet was granted over what this one was, if that was anything.
    ratio: Option<f64>,
}

impl Report {
    pub(crate) fn of(run: &Run) -> Self {
        let start = run.measured.start;
        let measured = seconds(&run.measured);
        let allowed = run.quota.per_second() * measured;
        let wait = |quantile, time: &Range<_>| run.tally.wait(quantile, time).as_secs_f64();
        let outage = run.outage.as_ref().map(|Outage { away, counted }| {
            let seconds = seconds(away);
            OutageReport {
                seconds,
                granted: counted.granted,
                utilisation: counted.granted as f64 / (run.quota.per_second() * seconds),
                refused_429: counted.refused,
                refused_share: counted.refused_share(),
                wait_p99: wait(0.99, away),
                wait_p99_before: wait(0.99, &(start..away.start)),
            }
        });
        Self {
            instances: run.instances,
            quota: run.quota.to_string(),
            granted: run.granted,
            utilisation: run.granted as f64 / allowed,
            refused_429: run.whole.refused,
            lost: run.tally.lost(),
            store_calls_per_grant: run.tally.calls_per_grant(),
            share: run.tally.shares(run.instances, &run.measured),
            outage,
            alone: run.alone.map(|alone| AloneReport {
                granted: alone.granted,
                refused_429: alone.refused,
                ratio: (alone.granted > 0).then(|| run.granted as f64 / alone.granted as f64),
            }),
            allowed,
            seconds: measured,
            refused_share: run.whole.refused_share(),
            turned_away: run.tally.away(),
            waits: [wait(0.5, &run.measured), wait(0.99, &run.measured)],
        }
    }
}

/// So many of them, in words.
pub(crate) fn instances(count: usize) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} instance{ending}")
}

fn seconds(time: &Range<Duration>) -> f64 {
    time.end.saturating_sub(time.start).as_secs_f64()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}, one account of {}, {} s",
            instances(self.instances),
            self.quota,
            self.seconds
        )?;
        writeln!(
            f,
            "granted        {} of {:.*}: {:.2} %",
            self.granted,
            usize::from(self.allowed < 10.0),
            self.allowed,
            100.0 * self.utilisation
        )?;
        if let Some(alone) = &self.alone {
            write!(
                f,
                "               one client alone: {} ({} refused)",
                alone.granted, alone.refused_429
            )?;
            match alone.ratio {
                Some(ratio) => writeln!(f, ", so {ratio:.4} of that")?,
                None => writeln!(f)?,
            }
        }
        writeln!(
            f,
            "refused        {}: {:.3} %",
            self.refused_429,
            100.0 * self.refused_share
        )?;
        writeln!(
            f,
            "lost           {}; {} were turned away before they were begun",
            self.lost, self.turned_away
        )?;
        writeln!(
            f,
            "store calls    {:.3} for each grant",
            self.store_calls_per_grant
        )?;
        let [median, high] = self.waits;
        writeln!(f, "waits          p50 {median:.2} s, p99 {high:.2} s")?;
        let shares = self.share.iter();
        let shares: Vec<_> = shares.map(|share| format!("{share:.3}")).collect();
        write!(f, "shares         {}", shares.join(" "))?;
        if let Some(outage) = &self.outage {
            write!(
                f,
                "\nno store       for {} s: granted {} ({:.1} %), refused {} ({:.2} %), p99 of the wait {:.2} s, before {:.2} s",
                outage.seconds,
                outage.granted,
                100.0 * outage.utilisation,
                outage.refused_429,
                100.0 * outage.refused_share,
                outage.wait_p99,
                outage.wait_p99_before
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::job::Done;
    use crate::word::Said;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn run() -> Run {
        let mut tally = Tally::default();
        for (second, instance) in [(12, 0), (13, 1), (21, 1)] {
            tally.hear(instance, &Said::Begun);
            let done = Done {
                sent: s(second),
                waited: s(second),
                answered: true,
            };
            tally.hear(instance, &Said::Done(done));
        }
        Run {
            instances: 2,
            quota: "500/10s".parse().unwrap(),
            measured: s(10)..s(30),
            granted: 990,
            whole: Counted {
                granted: 1_400,
                refused: 7,
            },
            outage: None,
            tally,
            alone: None,
            broken: false,
        }
    }

    fn json(run: &Run) -> Value {
        serde_json::to_value(Report::of(run)).unwrap()
    }

    #[test]
    fn json_has_these_fields() {
        let report = json(&run());
        let keys: Vec<_> = report.as_object().unwrap().keys().collect();
        let expected = [
            "granted",
            "instances",
            "lost",
            "quota",
            "refused_429",
            "share",
            "store_calls_per_grant",
            "utilisation",
        ];
        assert_eq!(keys, expected);
        assert_eq!(report["utilisation"], 0.99);
        assert_eq!(report["refused_429"], 7);
        assert_eq!(report["share"][0], 1.0 / 3.0);
    }

    #[test]
    fn an_outage_is_measured_by_itself() {
        let outage = Outage {
            away: s(20)..s(30),
            counted: Counted {
                granted: 450,
                refused: 50,
            },
        };
        let report = json(&Run {
            outage: Some(outage),
            ..run()
        });
        let outage = &report["outage"];
        assert_eq!(outage["utilisation"], 0.9);
        assert_eq!(outage["refused_share"], 0.1);
        assert_eq!(outage["wait_p99"], 21.0);
        assert_eq!(outage["wait_p99_before"], 12.0);
    }

    #[test]
    fn one_client_alone_is_what_the_fleet_is_measured_by() {
        let alone = Counted {
            granted: 1_000,
            refused: 0,
        };
        let run = Run {
            alone: Some(alone),
            ..run()
        };
        assert_eq!(json(&run)["alone"]["ratio"], 0.99);
        assert!(Report::of(&run).to_string().contains("0.9900 of that"));
    }

    #[test]
    fn where_one_client_gets_nothing_nothing_is_measured_by_it() {
        let alone = Counted {
            granted: 0,
            refused: 0,
        };
        let run = Run {
            instances: 1,
            quota: "1/10s".parse().unwrap(),
            measured: s(10)..s(15),
            granted: 0,
            tally: Tally::default(),
            alone: Some(alone),
            ..run()
        };
        assert_eq!(json(&run)["alone"]["ratio"], Value::Null);
        let told = Report::of(&run).to_string();
        for words in ["1 instance,", "0 of 0.5", "alone: 0 (0 refused)\n"] {
            assert!(told.contains(words), "{told}");
        }
    }
}
