use std::net::SocketAddr;

use clap::Parser;
use model_studio_sim::{Builder, Simulator};

use self::parse::{Account, Model, duration, share};

mod parse;

/// A server on loopback that limits and answers like Alibaba Model Studio.
///
/// Without --account: a=sk-a1,sk-a2 and b=sk-b1. Without --model: qwen3-max (600 requests a
/// minute, 10 a second, 1 000 000 tokens a minute), its snapshot qwen3-max-2025-09-23 (60, 1,
/// 100 000), qwen-plus and qwen-turbo.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,

    /// An account and the keys that share its quota
    #[arg(long, value_name = "NAME=KEY[,KEY]…", value_parser = Account::parse)]
    account: Vec<Account>,

    /// A model and what every account may ask of it
    #[arg(long, value_name = "NAME[:LIMIT=N[,…]]", value_parser = Model::parse, long_help = MODEL)]
    model: Vec<Model>,

    /// How long an answer takes
    #[arg(long, value_name = "TIME", value_parser = duration)]
    latency: Option<std::time::Duration>,

    /// Count refused requests against the request windows too
    #[arg(long)]
    count_refused: bool,

    /// Refuse this share of the requests for no reason
    #[arg(long, value_name = "0..1", value_parser = share, default_value = "0")]
    refuse_at_random: f64,

    /// Say in Retry-After how long to wait
    #[arg(long)]
    retry_after: bool,

    /// What every random choice depends on
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

const MODEL: &str = "\
A model and what every account may ask of it: NAME:LIMIT=N[,LIMIT=N]…

  rpm, rps          requests a minute, a second
  tpm, tps          tokens a minute, a second
  window            how they count: sliding (default), fixed, counter, bucket or bucket/N
                    (a token bucket that holds an N-th of the limit)

Without any limit the model is unlimited.";

impl Args {
    pub(crate) fn builder(self) -> Builder {
        let mut builder = Simulator::builder()
            .listen(self.listen)
            .refuse_at_random(self.refuse_at_random)
            .retry_after(self.retry_after)
            .seed(self.seed);
        for Account { name, keys } in self.account {
            builder = builder.account(name, keys);
        }
        for Model { name, limits } in self.model {
            builder = builder.model(name, limits.count_refused(self.count_refused));
        }
        if let Some(latency) = self.latency {
            builder = builder.latency(latency);
        }
        builder
    }
}
