use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use clap::Parser;
use model_studio_sim::{Builder, Fault, Latency, Simulator, When};

use self::parse::{Account, duration, latency, range, share};

mod fault;
mod model;
mod parse;

const ABOUT: &str = "\
A server on loopback that limits and answers like Alibaba Model Studio.

Point any OpenAI client at http://ADDR/compatible-mode/v1 with one of the keys. What it did is
at http://ADDR/sim/ledger.

Without --account: a=sk-a1,sk-a2 and b=sk-b1. Without --model: qwen3-max (600 requests a
minute, 10 a second, 1 000 000 tokens a minute), its snapshot qwen3-max-2025-09-23 (60, 1,
100 000), qwen-plus and qwen-turbo.";

/// The command line. `--help` says what each part means.
#[derive(Debug, Parser)]
#[command(version, about = "A server on loopback that limits and answers like Alibaba Model Studio", long_about = ABOUT)]
pub(crate) struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,

    /// An account and the keys that share its quota
    #[arg(long, value_name = "NAME=KEY[,KEY]…", value_parser = Account::parse)]
    account: Vec<Account>,

    /// An account that has not paid: all its requests are refused
    #[arg(long, value_name = "NAME")]
    overdue: Vec<String>,

    /// A model and what every account may ask of it
    #[arg(long, value_name = "NAME[:LIMIT=N[,…]]", value_parser = model::parse, long_help = model::HELP)]
    model: Vec<model::Model>,

    /// Count refused requests against the request windows too
    #[arg(long)]
    count_refused: bool,

    /// How long an answer takes: 40ms, 20ms..80ms (any of them), or 40ms~0.5 (log-normal with
    /// this median and sigma)
    #[arg(long, value_name = "TIME", value_parser = latency)]
    latency: Option<Latency>,

    /// How long each token of an answer takes on top
    #[arg(long, value_name = "TIME", value_parser = duration)]
    token_time: Option<Duration>,

    /// How many tokens answers have, before the request's own limit cuts them
    #[arg(long, value_name = "N..N", value_parser = range)]
    completion_tokens: Option<RangeInclusive<u32>>,

    /// Refuse this share of the requests for no reason
    #[arg(long, value_name = "0..1", value_parser = share)]
    refuse_at_random: Option<f64>,

    /// Something that goes wrong, and when
    #[arg(long, value_name = "FAULT=WHEN", value_parser = fault::parse, long_help = fault::HELP)]
    fault: Vec<(Fault, When)>,

    /// Say in Retry-After how long to wait
    #[arg(long)]
    retry_after: bool,

    /// What every random choice depends on
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

impl Args {
    pub(crate) fn builder(self) -> Builder {
        let mut builder = Simulator::builder()
            .listen(self.listen)
            .retry_after(self.retry_after)
            .seed(self.seed);
        for Account { name, keys } in self.account {
            builder = builder.account(name, keys);
        }
        for name in self.overdue {
            builder = builder.overdue(name);
        }
        for model::Model { name, limits } in self.model {
            builder = builder.model(name, limits.count_refused(self.count_refused));
        }
        if let Some(latency) = self.latency {
            builder = builder.latency(latency);
        }
        if let Some(time) = self.token_time {
            builder = builder.token_time(time);
        }
        if let Some(tokens) = self.completion_tokens {
            builder = builder.completion_tokens(tokens);
        }
        for (fault, when) in self.fault {
            builder = builder.fault(fault, when);
        }
        if let Some(share) = self.refuse_at_random {
            builder = builder.refuse_at_random(share);
        }
        builder
    }
}
