use std::time::Duration;

use model_studio_sim::{Charging, Limits};
use rate_limit_layer::Charging as Reserve;
use tower::BoxError;

use crate::client::{Client, Setting};
use crate::draw::LogNormal;
use crate::job::{Answer, Workload};
use crate::row::Row;
use crate::run::Trial;
use crate::server::Quota;

/// 600 requests and a million tokens a minute, counted in exact sliding windows.
const QUOTA: Quota = Quota {
    per_second: None,
    per_minute: 600,
    tokens_per_minute: 1_000_000,
    tokens_per_second: None,
};

/// Answers of 600 tokens on average, of which only `max_tokens` 4 096 is known beforehand, after
/// prompts of about 1 380.
const WORKLOAD: Workload = Workload {
    prompt: LogNormal {
        median: 1_000.0,
        sigma: 0.8,
    },
    size: (1.0, 30_000.0),
    answer: Answer::Open {
        length: LogNormal {
            median: 400.0,
            sigma: 0.9,
        },
        max_tokens: 4_096,
        per_second: 80.0,
    },
    service: LogNormal {
        median: 0.4,
        sigma: 0.0,
    },
};

/// Enough for two minutes' quota of the longest answers.
const WORKERS: u64 = 200;

/// When providers charge tokens.
const PROVIDERS: [(&str, Charging, Reserve); 3] = [
    ("max-up-front", Charging::MaxUpFront, Reserve::MaxUpFront),
    (
        "max-then-refund",
        Charging::MaxThenRefund,
        Reserve::MaxThenRefund,
    ),
    ("post-paid", Charging::PromptThenRest, Reserve::PostPaid),
];

/// Clients that reserve nothing, that reserve all of `max_tokens` for good, and ours set to the
/// provider's way; then ours set to either of the others, which is a mistake worth seeing.
pub(crate) fn rows(seeds: u64, length: Duration) -> impl Iterator<Item = Result<Row, BoxError>> {
    PROVIDERS
        .into_iter()
        .flat_map(move |(server, charging, right)| {
            let peers =
                [Client::Naive, Client::Governor].map(|client| (client.name(), Side::Peer(client)));
            let own = [
                ("rate-limit-layer", right),
                ("rate-limit-layer as max-up-front", Reserve::MaxUpFront),
                (
                    "rate-limit-layer as max-then-refund",
                    Reserve::MaxThenRefund,
                ),
                ("rate-limit-layer as post-paid", Reserve::PostPaid),
            ];
            let own = own.into_iter().enumerate();
            let own = own.filter(move |(index, (_, reserve))| *index == 0 || *reserve != right);
            let own = own.map(|(_, (name, reserve))| (name, Side::Own(reserve)));
            peers.into_iter().chain(own).map(move |(client, side)| {
                let trial = Trial {
                    server,
                    client,
                    quota: QUOTA,
                    limits: &|_| {
                        let limits = Limits::per_minute(QUOTA.per_minute.into());
                        let limits = limits.tokens_per_minute(QUOTA.tokens_per_minute.into());
                        limits.charging(charging)
                    },
                    states_wait: false,
                    workload: WORKLOAD,
                    workers: WORKERS,
                    caller: &|network| match side {
                        Side::Peer(client) => client.caller(QUOTA, network),
                        Side::Own(reserve) => {
                            let setting = Setting {
                                charging: Some(reserve),
                                ..Setting::default()
                            };
                            Ok(setting.caller(QUOTA, network))
                        }
                    },
                };
                trial.measure(seeds, length)
            })
        })
}

#[derive(Clone, Copy, Debug)]
enum Side {
    Peer(Client),
    Own(Reserve),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserving_as_the_provider_charges_is_hardly_refused() {
        let rows: Vec<_> = rows(1, Duration::from_secs(120))
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(rows.len(), 15);
        for row in rows.iter().filter(|row| row.client == "rate-limit-layer") {
            assert!(row.refused < 0.03, "{row}");
        }
        let post_paid = |row: &&Row| row.server == "post-paid" && row.client == "rate-limit-layer";
        assert!(rows.iter().find(post_paid).unwrap().utilisation > 0.85);
    }
}
