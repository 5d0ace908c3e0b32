use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use model_studio_sim::{Limits, Window};
use rate_limit_layer::{Quota as Allowed, Unit};

const MINUTE: Duration = Duration::from_secs(60);

/// Requests in windows of time, all at once: `500/10s+3000/60s`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Quota(Vec<(u64, Duration)>);

impl Quota {
    /// As the provider counts it, in exact sliding windows.
    pub(crate) fn limits(&self) -> Limits {
        let windows = self.0.iter();
        windows.fold(Limits::unlimited(), |limits, &(most, window)| {
            limits.window(Window::requests(most, window))
        })
    }

    /// As the limiter is told.
    pub(crate) fn allowed(&self) -> Allowed {
        let windows = self.0.iter();
        windows.fold(Allowed::new(), |allowed, &(most, window)| {
            allowed.limit(Unit::Requests, most, window)
        })
    }

    /// What the tightest window lets through in a second, in the long run.
    pub(crate) fn per_second(&self) -> f64 {
        self.0.iter().map(rate).fold(f64::INFINITY, f64::min)
    }

    /// The shortest of those that let through the least: a minute that is rounded down for a shorter one is no tighter.
    pub(crate) fn tightest(&self) -> Duration {
        let least = 1.05 * self.per_second();
        let tightest = self.0.iter().filter(|it| rate(it) <= least);
        tightest
            .map(|(_, window)| *window)
            .min()
            .unwrap_or_default()
    }
}

impl FromStr for Quota {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let windows = text.split([',', '+']).map(window);
        let mut windows = windows.collect::<Result<Vec<_>, _>>()?;
        // As Model Studio has it: a limit for a short time comes with the minute's of the same rate.
        if let [(most, length)] = windows[..]
            && length < MINUTE
        {
            let minute = f64::floor(most as f64 * MINUTE.as_secs_f64() / length.as_secs_f64());
            windows.push((minute as u64, MINUTE));
        }
        if windows.len() > Allowed::MAX_LIMITS {
            return Err(format!("{} windows at most", Allowed::MAX_LIMITS));
        }
        Ok(Self(windows))
    }
}

/// What a window lets through in a second.
fn rate(&(most, window): &(u64, Duration)) -> f64 {
    most as f64 / window.as_secs_f64()
}

fn window(text: &str) -> Result<(u64, Duration), String> {
    let wrong = || format!("`{text}` is not REQUESTS/TIME, such as 500/10s");
    let (most, length) = text.trim().split_once('/').ok_or_else(wrong)?;
    let most = most.trim().parse().map_err(|_| wrong())?;
    let length = humantime::parse_duration(length.trim()).map_err(|_| wrong())?;
    if most == 0 || most > 1_000_000 {
        return Err("1 to 1000000 requests in a window".to_owned());
    }
    if !(Duration::from_millis(100)..=Duration::from_secs(3_600)).contains(&length) {
        return Err("a window is 100ms to 1h long".to_owned());
    }
    Ok((most, length))
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (most, window)) in self.0.iter().enumerate() {
            let plus = if index == 0 { "" } else { "+" };
            // Whole seconds are shown as such: 60s, not 1m.
            match window.subsec_millis() {
                0 => write!(f, "{plus}{most}/{}s", window.as_secs())?,
                _ => write!(f, "{plus}{most}/{}ms", window.as_millis())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_window_comes_with_the_minute_of_the_same_rate() {
        let quota: Quota = "500/10s".parse().unwrap();
        assert_eq!(quota.to_string(), "500/10s+3000/60s");
        assert_eq!(quota.limits().windows().len(), 2);
        assert_eq!(quota.allowed().limits().len(), 2);
        assert_eq!("600/60s".parse::<Quota>().unwrap().to_string(), "600/60s");
    }

    #[test]
    fn windows_that_are_named_are_taken_as_they_are() {
        for text in ["100/1s+3000/60s", "100/1s, 3000/1m"] {
            let quota: Quota = text.parse().unwrap();
            assert_eq!(quota.to_string(), "100/1s+3000/60s");
            assert!((quota.per_second() - 50.0).abs() < 1e-9);
        }
        assert_eq!(
            "5/500ms+9/2s".parse::<Quota>().unwrap().to_string(),
            "5/500ms+9/2s"
        );
    }

    #[test]
    fn the_tightest_window_is_the_one_of_the_lowest_rate() {
        for (text, seconds) in [("500/10s", 10), ("7/13s", 13), ("20/1s+100/10s", 10)] {
            let quota: Quota = text.parse().unwrap();
            assert_eq!(quota.tightest().as_secs(), seconds, "{text}");
        }
    }

    #[test]
    fn what_is_no_quota_is_refused_in_a_sentence() {
        for text in [
            "", "500", "500/", "x/10s", "-1/10s", "0/10s", "5/0s", "5/2h", "5/10",
        ] {
            let error = text.parse::<Quota>().unwrap_err();
            assert!(
                !error.is_empty() && !error.contains('\n'),
                "{text}: {error}"
            );
        }
    }
}
