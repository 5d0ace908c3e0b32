use std::time::Duration;

use model_studio_sim::{Charging, Growth, Limits, Stranger, Window};

use super::parse::{duration, number};

const MINUTE: Duration = Duration::from_secs(60);

pub(super) const HELP: &str = "\
A model and what every account may ask of it: NAME:LIMIT=N[,LIMIT=N]…

  rpm=N, rps=N      requests a minute, a second
  tpm=N, tps=N      tokens a minute, a second
  requests=N/TIME   requests in any other window, tokens=N/TIME likewise
  window=KIND       how they count: sliding (default), fixed, counter, bucket or bucket/N
                    (a token bucket that holds an N-th of the limit)
  charge=WHEN       when tokens are charged: end (default), max (prompt and max_tokens on
                    arrival), refund (the same, corrected at the end), prompt (the prompt on
                    arrival, the answer at the end)
  growth=N/P%/TIME  burst protection: in any TIME at most P % of what passed in the TIME before,
                    and N requests in any case
  free=N            the model ends after N tokens: the trial credit
  stranger=P%@FROM..UNTIL
                    somebody else takes P % of every limit, from and until so long after the start

Without any limit the model is unlimited.";

/// `qwen3-max:rpm=600,rps=10`
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) name: String,
    pub(super) limits: Limits,
}

pub(super) fn parse(text: &str) -> Result<Model, String> {
    let (name, settings) = text.split_once(':').unwrap_or((text, ""));
    if name.is_empty() {
        return Err("a model has a name".to_owned());
    }
    let mut limits = Limits::unlimited();
    let mut window = "sliding";
    for setting in settings.split(',').filter(|setting| !setting.is_empty()) {
        let (key, value) = setting
            .split_once('=')
            .ok_or_else(|| format!("`{setting}` is not LIMIT=N"))?;
        limits = match key.trim() {
            "rpm" => limits.window(Window::requests(number(value)?, MINUTE)),
            "rps" => limits.per_second(number(value)?),
            "tpm" => limits.tokens_per_minute(number(value)?),
            "tps" => limits.tokens_per_second(number(value)?),
            "requests" => limits.window(rate(value).map(|(n, per)| Window::requests(n, per))?),
            "tokens" => limits.window(rate(value).map(|(n, per)| Window::tokens(n, per))?),
            "charge" => limits.charging(charging(value)?),
            "growth" => limits.growth(growth(value)?),
            "free" => limits.free_tokens(number(value)?),
            "stranger" => limits.stranger(stranger(value)?),
            "window" => {
                window = value;
                limits
            }
            _ => {
                return Err(format!(
                    "`{key}` is none of rpm, rps, tpm, tps, requests, tokens, window, charge, growth, free, stranger"
                ));
            }
        };
    }
    Ok(Model {
        name: name.to_owned(),
        limits: counted(limits, window)?,
    })
}

fn counted(limits: Limits, window: &str) -> Result<Limits, String> {
    Ok(match window {
        "sliding" => limits,
        "fixed" => limits.fixed(),
        "counter" => limits.counters(),
        "bucket" => limits.buckets(100),
        _ => match window.strip_prefix("bucket/").map(number::<u32>) {
            Some(Ok(parts)) if parts > 0 => limits.buckets(100 / parts),
            _ => {
                return Err(format!(
                    "`{window}` is none of sliding, fixed, counter, bucket, bucket/N"
                ));
            }
        },
    })
}

/// `100/10s`
fn rate(text: &str) -> Result<(u64, Duration), String> {
    let (limit, length) = text
        .split_once('/')
        .ok_or_else(|| format!("`{text}` is not N/TIME"))?;
    Ok((number(limit)?, duration(length)?))
}

fn charging(text: &str) -> Result<Charging, String> {
    match text {
        "end" => Ok(Charging::AtEnd),
        "max" => Ok(Charging::MaxUpFront),
        "refund" => Ok(Charging::MaxThenRefund),
        "prompt" => Ok(Charging::PromptThenRest),
        _ => Err(format!("`{text}` is none of end, max, refund, prompt")),
    }
}

/// `20/150%/10s`
fn growth(text: &str) -> Result<Growth, String> {
    let parts: Vec<_> = text.split('/').collect();
    let [floor, percent, interval] = parts[..] else {
        return Err(format!("`{text}` is not N/P%/TIME"));
    };
    let percent = percent.trim_end_matches('%');
    Ok(Growth::new(
        number(floor)?,
        number(percent)?,
        duration(interval)?,
    ))
}

/// `50%@60s..120s`
fn stranger(text: &str) -> Result<Stranger, String> {
    let parts = text.split_once('@').and_then(|(percent, times)| {
        let (from, until) = times.split_once("..")?;
        Some((percent.trim_end_matches('%'), from, until))
    });
    let (percent, from, until) = parts.ok_or_else(|| format!("`{text}` is not P%@FROM..UNTIL"))?;
    Ok(Stranger::new(
        duration(from)?,
        duration(until)?,
        number(percent)?,
    ))
}
