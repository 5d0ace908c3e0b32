use std::time::Duration;

use model_studio_sim::{Charging, Counting, Growth, Limits, Stranger, Window};

use super::parse::{duration, number};

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

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
    let mut windows = Vec::new();
    let mut kind = "sliding";
    for setting in settings.split(',').filter(|setting| !setting.is_empty()) {
        let (key, value) = setting
            .split_once('=')
            .ok_or_else(|| format!("`{setting}` is not LIMIT=N"))?;
        match key.trim() {
            "rpm" => windows.push(Window::requests(number(value)?, MINUTE)),
            "rps" => windows.push(Window::requests(number(value)?, SECOND)),
            "tpm" => windows.push(Window::tokens(number(value)?, MINUTE)),
            "tps" => windows.push(Window::tokens(number(value)?, SECOND)),
            "requests" => windows.push(rate(value).map(|(n, per)| Window::requests(n, per))?),
            "tokens" => windows.push(rate(value).map(|(n, per)| Window::tokens(n, per))?),
            "window" => kind = value,
            "charge" => limits = limits.charging(charging(value)?),
            "growth" => limits = limits.growth(growth(value)?),
            "free" => limits = limits.free_tokens(number(value)?),
            "stranger" => limits = limits.stranger(stranger(value)?),
            _ => {
                return Err(format!(
                    "`{key}` is none of rpm, rps, tpm, tps, requests, tokens, window, charge, growth, free, stranger"
                ));
            }
        }
    }
    counting(kind, 1)?; // also where there is no window to count
    for window in windows {
        limits = limits.window(window.counting(counting(kind, window.limit())?));
    }
    Ok(Model {
        name: name.to_owned(),
        limits,
    })
}

/// How a window of this limit counts.
fn counting(kind: &str, limit: u64) -> Result<Counting, String> {
    let bucket = |parts: u64| Counting::Bucket {
        depth: (limit / parts).max(1),
    };
    match kind {
        "sliding" => Ok(Counting::Sliding),
        "fixed" => Ok(Counting::Fixed),
        "counter" => Ok(Counting::Counter),
        "bucket" => Ok(bucket(1)),
        _ => match kind.strip_prefix("bucket/").map(number::<u64>) {
            Some(Ok(parts)) if parts > 0 => Ok(bucket(parts)),
            _ => Err(format!(
                "`{kind}` is none of sliding, fixed, counter, bucket, bucket/N"
            )),
        },
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_part_of_the_limit_and_one_unit_at_least() {
        for (kind, depth) in [
            ("bucket", 600),
            ("bucket/3", 200),
            ("bucket/200", 3),
            ("bucket/601", 1),
        ] {
            let counting = counting(kind, 600).unwrap();
            assert_eq!(counting, Counting::Bucket { depth }, "{kind}");
        }
        for kind in ["bucket/0", "bucket/x", "sliding/2", ""] {
            assert!(parse(&format!("m:window={kind}")).is_err(), "{kind}");
        }
    }
}
