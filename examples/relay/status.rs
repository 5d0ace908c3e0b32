use key_rotation_layer::Out;
use serde_json::{Value, json};
use throttle_signal::AccountId;
use tokio::time::Instant;

use crate::metrics::{Cooling, Metrics, Partition, Used};
use crate::setup::Setup;

/// Whether any account may be asked now.
pub(crate) fn is_any_account_in(setup: &Setup) -> bool {
    setup.lines.iter().any(|line| {
        let accounts = line.pool.snapshot();
        accounts.iter().any(|account| {
            let key = account.keys.iter().any(|key| key.out.is_none());
            account.enabled && account.out.is_none() && key
        })
    })
}

/// Sets what is measured rather than counted, when somebody looks.
#[expect(clippy::cast_precision_loss, reason = "shares, for people")]
pub(crate) fn measure(setup: &Setup, metrics: &Metrics) {
    metrics.used.clear();
    metrics.waiting.clear();
    metrics.in_flight.clear();
    metrics.out.clear();
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    for line in &setup.lines {
        for partition in line.limiter.snapshot() {
            let account = partition
                .account
                .as_ref()
                .map_or("", |account| account.as_str());
            let model = partition.model.as_deref().unwrap_or("");
            for limit in &partition.limits {
                let labels = Used {
                    account: account.to_owned(),
                    model: model.to_owned(),
                    unit: limit.limit.unit().as_str(),
                    seconds: limit.limit.window().as_secs(),
                };
                let share = limit.used as f64 / limit.limit.most() as f64;
                metrics.used.get_or_create(&labels).set(share);
            }
            let labels = Partition::new(account, model);
            let waiting = metrics.waiting.get_or_create_owned(&labels);
            waiting.set(count(partition.waiting));
            let in_flight = metrics.in_flight.get_or_create_owned(&labels);
            in_flight.set(count(partition.in_flight));
        }
        for account in line.pool.snapshot() {
            let whole = account.out.iter().map(|out| ("", *out));
            let models = account.models.iter().map(|it| (&*it.model, it.out));
            for (model, out) in whole.chain(models) {
                let labels = Cooling {
                    account: account.account.to_string(),
                    model: model.to_owned(),
                    kind: out.kind.as_str(),
                };
                let seconds = out.back_in.as_secs_f64();
                metrics.out.get_or_create(&labels).set(seconds);
            }
        }
    }
}

/// How it stands with every account and model. It names keys by fingerprint only.
pub(crate) fn show(setup: &Setup) -> Value {
    let now = Instant::now();
    let providers = setup.config.providers.iter().zip(&setup.lines);
    let providers = providers.map(|(provider, line)| {
        let snapshot = line.pool.snapshot();
        let accounts = snapshot.iter().map(|account| {
            let keys = account.keys.iter().map(|key| {
                json!({
                    "fingerprint": key.fingerprint.as_str(),
                    "in_flight": key.in_flight,
                    "proven": key.proven,
                    "out": out(key.out),
                })
            });
            let models = account.models.iter();
            let models = models.map(|it| json!({"model": &*it.model, "out": out(Some(it.out))}));
            json!({
                "account": account.account.as_str(),
                "enabled": account.enabled,
                "in_flight": account.in_flight,
                "out": out(account.out),
                "keys": keys.collect::<Vec<_>>(),
                "models_out": models.collect::<Vec<_>>(),
            })
        });
        let snapshot = line.limiter.snapshot();
        let quotas = snapshot.iter().map(|partition| {
            let limits = partition.limits.iter().map(|limit| {
                json!({
                    "unit": limit.limit.unit().as_str(),
                    "seconds": limit.limit.window().as_secs_f64(),
                    "limit": limit.limit.most(),
                    "used": limit.used,
                })
            });
            let wait =
                |at: Option<Instant>| at.map(|at| at.saturating_duration_since(now).as_secs_f64());
            json!({
                "account": partition.account.as_ref().map(AccountId::as_str),
                "model": partition.model.as_deref(),
                "limits": limits.collect::<Vec<_>>(),
                "waiting": partition.waiting,
                "in_flight": partition.in_flight,
                "room_in_seconds": wait(partition.earliest),
                "held_back_for_seconds": wait(partition.frozen_until),
            })
        });
        json!({
            "provider": provider.name,
            "host": provider.base.host(),
            "accounts": accounts.collect::<Vec<_>>(),
            "quotas": quotas.collect::<Vec<_>>(),
        })
    });
    json!({"providers": providers.collect::<Vec<_>>()})
}

fn out(out: Option<Out>) -> Option<Value> {
    out.map(|out| json!({"kind": out.kind.as_str(), "back_in_seconds": out.back_in.as_secs_f64()}))
}
