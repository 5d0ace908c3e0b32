use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use model_studio_sim::Latency;

/// `a=sk-a1,sk-a2`
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) keys: Vec<String>,
}

impl Account {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (name, keys) = text
            .split_once('=')
            .ok_or("an account is NAME=KEY[,KEY]…")?;
        let keys: Vec<String> = keys.split(',').map(|key| key.trim().to_owned()).collect();
        if name.is_empty() || keys.iter().any(String::is_empty) {
            return Err("an account has a name, and no key is empty".to_owned());
        }
        Ok(Self {
            name: name.to_owned(),
            keys,
        })
    }
}

/// `1000000`, `1_000_000`
pub(super) fn number<N: FromStr>(text: &str) -> Result<N, String> {
    let digits = text.trim().replace('_', "");
    digits
        .parse()
        .map_err(|_| format!("`{text}` is not a number that fits here"))
}

/// `40ms`, `1.5s`, `2m`
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time such as 40ms or 1.5s");
    let at = text
        .find(|char: char| char.is_alphabetic())
        .ok_or_else(wrong)?;
    let (number, unit) = text.split_at(at);
    let seconds = match unit {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())
}

/// `40ms`, `20ms..80ms`, `40ms~0.5`
pub(super) fn latency(text: &str) -> Result<Latency, String> {
    if let Some((low, high)) = text.split_once("..") {
        return Ok(Latency::uniform(duration(low)?, duration(high)?));
    }
    if let Some((median, sigma)) = text.split_once('~') {
        return Ok(Latency::log_normal(duration(median)?, number(sigma)?));
    }
    duration(text).map(Latency::fixed)
}

/// `20..200`, `50`
pub(super) fn range(text: &str) -> Result<RangeInclusive<u32>, String> {
    let (low, high) = text.split_once("..").unwrap_or((text, text));
    let (low, high) = (number(low)?, number(high.trim_start_matches('='))?);
    if low > high {
        return Err(format!("`{text}` is no range"));
    }
    Ok(low..=high)
}

/// `0.2`, `20%`
pub(super) fn share(text: &str) -> Result<f64, String> {
    let (number, of) = match text.strip_suffix('%') {
        Some(percent) => (percent, 100.0),
        None => (text, 1.0),
    };
    match number.trim().parse::<f64>().map(|number| number / of) {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err(format!("`{text}` is not a share from 0 to 1")),
    }
}
