use std::time::Duration;

use clap::Parser;

use crate::instance;
use crate::quota::Quota;

/// Lets several processes use one account of a simulated Model Studio, within its quota together.
///
/// They share it through a Redis or Valkey: that of --redis, or one that is started on loopback. Each
/// is this program, given uneven and moving demand. What is shown is what the simulator's ledger says.
#[allow(
    clippy::doc_markdown,
    clippy::struct_excessive_bools,
    rustdoc::bare_urls,
    reason = "shown on the terminal, where Markdown is noise; a command line has switches"
)]
#[derive(Debug, Parser)]
#[command(name = "fleet", after_help = EXIT, args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub struct Args {
    /// How many instances
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) instances: u16,

    /// What the account may do; a single window shorter than a minute comes with the minute of the same rate
    #[arg(long, value_name = "N/TIME[+N/TIME]", default_value = "500/10s")]
    pub(crate) quota: Quota,

    /// The store [default: one that is started, and ended at the end]
    #[arg(long, value_name = "URL", conflicts_with = "simulated")]
    pub(crate) redis: Option<String>,

    /// How long to measure, after a warm-up [default: 20, or 3600 with --virtual]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: Option<u32>,

    /// Kill the store S seconds into the measurement and start it again, empty, 10 s later
    #[arg(long, value_name = "S", conflicts_with = "redis")]
    pub(crate) kill_store_at: Option<u32>,

    /// Demand in percent of the quota
    #[arg(long, value_name = "PERCENT", default_value_t = 150, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) load: u16,

    /// How long demand stays before it moves on by an instance, in seconds
    ///
    /// Without the store, an instance goes on with its fair share of what all wanted then. The faster demand moves, the
    /// less that is worth.
    #[arg(long, value_name = "S", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) turn: u32,

    /// In one process and in virtual time, with the store's logic in process, and once more with one client alone
    #[arg(long = "virtual")]
    pub(crate) simulated: bool,

    /// Write a JSON object rather than sentences
    ///
    /// Shares are parts of 1. `granted` and `utilisation`, over what the quota allows, are of the measured time; so is
    /// `share`, what each instance sent of all that was sent. `refused_429`, `lost` and `store_calls_per_grant` are from the
    /// start to the last answer. `outage` is there with --kill-store-at: the same of the seconds without the store, and
    /// the 99th percentile of the waits in them and before, in seconds. `alone` is there with --virtual: one client with
    /// the same demand, and `ratio`, what the fleet was granted over that; null if that was nothing.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) role: Option<Role>,
}

/// What the program is when it starts itself.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Role {
    #[command(hide = true)]
    Instance(instance::Args),
}

const EXIT: &str = "\
Exit status: 0 when it ran to its end; 1 when it could not be started or an instance ended early;
2 for a wrong command line; 130 after Ctrl-C.";

/// How long the store stays away.
pub(crate) const OUTAGE: Duration = Duration::from_secs(10);

impl Args {
    /// How long to measure.
    pub(crate) fn length(&self) -> Duration {
        let seconds = self
            .seconds
            .unwrap_or(if self.simulated { 3_600 } else { 20 });
        Duration::from_secs(seconds.into())
    }

    /// How long to run before that: until what the other windows let through at first is over.
    pub(crate) fn warm_up(&self) -> Duration {
        self.quota.tightest().max(Duration::from_secs(1))
    }

    /// How long each instance keeps its part of the demand.
    pub(crate) fn turn(&self) -> Duration {
        Duration::from_secs(self.turn.into())
    }

    /// When the store is away, from the start of the measurement.
    ///
    /// # Errors
    ///
    /// Not all of it is measured.
    pub(crate) fn outage(&self) -> Result<Option<std::ops::Range<Duration>>, String> {
        let Some(at) = self.kill_store_at else {
            return Ok(None);
        };
        let at = Duration::from_secs(at.into());
        if at + OUTAGE > self.length() {
            return Err(format!(
                "the store is away for {} s from --kill-store-at: give more --seconds",
                OUTAGE.as_secs()
            ));
        }
        Ok(Some(at..at + OUTAGE))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(std::iter::once("fleet").chain(line.split_whitespace()))
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn without_arguments_it_is_eight_processes_for_twenty_seconds() {
        let args = parse("").unwrap();
        assert_eq!(args.instances, 8);
        assert_eq!(args.quota.to_string(), "500/10s+3000/60s");
        assert_eq!(args.length(), Duration::from_secs(20));
        assert_eq!(args.outage(), Ok(None));
        assert_eq!(parse("--virtual").unwrap().length().as_secs(), 3_600);
    }

    #[test]
    fn an_outage_lies_within_what_is_measured() {
        let args = parse("--seconds 30 --kill-store-at 10").unwrap();
        let (from, to) = (Duration::from_secs(10), Duration::from_secs(20));
        assert_eq!(args.outage(), Ok(Some(from..to)));
        assert!(parse("--kill-store-at 15").unwrap().outage().is_err());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "--instances 0",
            "--quota 5",
            "--seconds 0",
            "--load 0",
            "--turn 0",
            "--speed",
            "--redis redis://x --virtual",
            "--redis redis://x --kill-store-at 3",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn the_help_does_not_show_what_is_only_for_itself() {
        let help = Args::command().render_long_help().to_string();
        assert!(
            !help.contains("instance\n") && !help.contains("Commands"),
            "{help}"
        );
    }
}
