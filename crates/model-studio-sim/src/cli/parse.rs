use std::str::FromStr;
use std::time::Duration;

use model_studio_sim::{Limits, Window};

const MINUTE: Duration = Duration::from_secs(60);

/// `a=sk-a1,sk-a2`
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) keys: Vec<String>,
}

/// `qwen3-max:rpm=600,rps=10`
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) name: String,
    pub(super) limits: Limits,
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

impl Model {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
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
                "window" => {
                    window = value;
                    limits
                }
                _ => return Err(format!("`{key}` is none of rpm, rps, tpm, tps, window")),
            };
        }
        let limits = match window {
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
        };
        Ok(Self {
            name: name.to_owned(),
            limits,
        })
    }
}

/// `1000000`, `1_000_000`
fn number<N: FromStr>(text: &str) -> Result<N, String> {
    let digits = text.trim().replace('_', "");
    digits
        .parse()
        .map_err(|_| format!("`{text}` is not a number that fits here"))
}

/// `40ms`, `1.5s`, `2m`
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let at = text
        .find(|char: char| char.is_ascii_alphabetic() || char == 'µ')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let seconds = match unit {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("`{text}` is not a time such as 40ms or 1.5s")),
    };
    let number: f64 = number
        .trim()
        .parse()
        .map_err(|_| format!("`{text}` is not a time such as 40ms or 1.5s"))?;
    Duration::try_from_secs_f64(number * seconds).map_err(|_| format!("`{text}` is out of range"))
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
