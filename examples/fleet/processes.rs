use std::ops::Range;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use model_studio_sim::{Latency, Simulator};
use test_support::redis::Server;
use tokio::time::{Instant, sleep_until, timeout};

use crate::args::Args;
use crate::child::{Children, Heard};
use crate::command::note;
use crate::job::{ACCOUNT, KEY, MODEL};
use crate::report::{Outage, Run, instances};
use crate::stop::Stop;
use crate::tally::{Counted, Tally};
use crate::word::{Said, Told};

/// How long the simulator takes for an answer.
const ANSWER: Range<Duration> = Duration::from_millis(50)..Duration::from_millis(250);

/// How long instances may take to start, and to finish what they began: all that can wait for its
/// turn is [`PLACES`](crate::worker::PLACES) for each.
const START: Duration = Duration::from_secs(60);
const FINISH: Duration = Duration::from_secs(60);

/// A fleet of processes at work.
struct Fleet {
    children: Children,
    stop: Stop,
    /// How many have not ended.
    alive: usize,
    /// Whether one has ended before it was told to.
    broken: bool,
    tally: Tally,
}

/// Starts a store of our own.
fn start() -> Result<Server> {
    let started = Server::try_start("").map_err(anyhow::Error::msg);
    let started = started.context("cannot start a store: name one by --redis")?;
    started.context("neither redis-server nor valkey-server is installed: install one, or name a store by --redis")
}

/// Runs the fleet as processes, and measures it.
///
/// # Errors
///
/// There is no store, a process cannot be started, or none is left.
pub(crate) async fn run(args: &Args) -> Result<Run> {
    // Before there is anything that would be left behind.
    let mut stop = Stop::listen()?;
    let mut ours = match &args.redis {
        Some(_) => None,
        None => Some(start()?),
    };
    let url = match (&args.redis, &ours) {
        (Some(url), _) => url.clone(),
        (None, server) => server.as_ref().map(Server::url).unwrap_or_default(),
    };
    let studio = Simulator::builder()
        .account(ACCOUNT, [KEY])
        .model(MODEL, args.quota.limits())
        .latency(Latency::uniform(ANSWER.start, ANSWER.end));
    let studio = stop.unless(studio.start()).await?;
    let studio = studio.context("cannot start the simulator")?;
    let mut fleet = Fleet::start(args, &url, &studio, stop).await?;

    let (warm_up, length) = (args.warm_up(), args.length());
    note(&format!(
        "{} {} connected: {} s to warm up, {} s to measure",
        instances(args.instances.into()),
        if args.instances == 1 { "is" } else { "are" },
        warm_up.as_secs_f64(),
        length.as_secs()
    ));

    // Everything from here on is at a time from the start.
    fleet.children.tell(Told::Go).await;
    let start = Instant::now();
    let begin = warm_up;
    let end = begin + length;
    fleet.work_until(start + begin).await?;
    let at_begin = Counted::of(&studio.ledger());

    let mut outage = None;
    if let Some(away) = args.outage().map_err(anyhow::Error::msg)? {
        let away = begin + away.start..begin + away.end;
        fleet.work_until(start + away.start).await?;
        let at_start = Counted::of(&studio.ledger());
        ours.as_mut().map(Server::kill);
        fleet.work_until(start + away.end).await?;
        let counted = Counted::of(&studio.ledger()) - at_start;
        // It comes back with nothing in it.
        ours.as_mut().map(Server::restart);
        outage = Some(Outage { away, counted });
    }
    fleet.work_until(start + end).await?;
    let measured = Counted::of(&studio.ledger()) - at_begin;
    fleet.finish().await?;

    Ok(Run {
        instances: args.instances.into(),
        quota: args.quota.clone(),
        measured: begin..end,
        granted: measured.granted,
        whole: Counted::of(&studio.ledger()),
        outage,
        tally: fleet.tally,
        alone: None,
        broken: fleet.broken,
    })
}

impl Fleet {
    /// Starts the processes and waits until all are connected.
    async fn start(args: &Args, store: &str, studio: &Simulator, stop: Stop) -> Result<Self> {
        let rate = args.quota.per_second() * f64::from(args.load) / 100.0;
        let prefix = format!("fleet-{}-{}", std::process::id(), fastrand::u32(..));
        let arguments = (0..args.instances).map(|index| {
            let of = [
                ("--index", index.to_string()),
                ("--instances", args.instances.to_string()),
                ("--quota", args.quota.to_string()),
                ("--store", store.to_owned()),
                ("--prefix", prefix.clone()),
                (
                    "--upstream",
                    format!("{}/chat/completions", studio.base_url()),
                ),
                ("--rate", rate.to_string()),
                ("--turn", args.turn().as_millis().to_string()),
            ];
            let of = of
                .into_iter()
                .flat_map(|(name, value)| [name.into(), value]);
            std::iter::once("instance".to_owned()).chain(of).collect()
        });
        let mut fleet = Self {
            children: Children::start(arguments)?,
            stop,
            alive: args.instances.into(),
            broken: false,
            tally: Tally::default(),
        };
        for _ in 0..args.instances {
            match fleet
                .stop
                .unless(timeout(START, fleet.children.hear()))
                .await?
            {
                Ok(heard) => match heard? {
                    (_, Heard::Said(Said::Failed(reason))) => bail!("{reason}"),
                    (index, Heard::Gone(how)) => bail!("{}", gone(index, how)),
                    (_, Heard::Said(_)) => {}
                },
                Err(_) => bail!("not every instance is ready after {} s", START.as_secs()),
            }
        }
        Ok(fleet)
    }

    /// Counts what they do until then.
    async fn work_until(&mut self, end: Instant) -> Result<()> {
        let mut end = pin!(sleep_until(end));
        loop {
            let heard = tokio::select! {
                // Both ways to end come first: there is always something to hear.
                biased;
                stopped = self.stop.asked() => return Err(stopped),
                () = &mut end => return Ok(()),
                heard = self.children.hear() => heard?,
            };
            self.count(heard, false);
            if self.alive == 0 {
                bail!("every instance has ended");
            }
        }
    }

    /// Lets no more work come up, and waits until all is done.
    async fn finish(&mut self) -> Result<()> {
        self.children.tell(Told::Stop).await;
        let end = Instant::now() + FINISH;
        while self.alive > 0 {
            let left = end.saturating_duration_since(Instant::now());
            let heard = timeout(left, self.children.hear());
            let Ok(heard) = self.stop.unless(heard).await? else {
                let late = FINISH.as_secs();
                note(&format!("note: work is left after {late} s more"));
                self.broken = true;
                break;
            };
            self.count(heard?, true);
        }
        Ok(())
    }

    fn count(&mut self, (index, heard): (usize, Heard), may_end: bool) {
        match heard {
            Heard::Said(said) => self.tally.hear(index, &said),
            Heard::Gone(how) => {
                self.alive -= 1;
                let well = how.as_ref().is_ok_and(std::process::ExitStatus::success);
                if !(may_end && well) {
                    note(&format!("note: {}", gone(index, how)));
                    self.broken = true;
                }
            }
        }
    }
}

fn gone(index: usize, how: std::io::Result<std::process::ExitStatus>) -> String {
    match how {
        Ok(status) => format!("instance {index} has ended: {status}"),
        Err(error) => format!("instance {index} has ended: {error}"),
    }
}
