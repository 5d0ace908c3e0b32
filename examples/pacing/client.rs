mod governor;
mod interval;
mod own;
mod paced;
mod resilience;
mod window;

use std::fmt;
use std::time::Duration;

use tower::BoxError;

pub(crate) use self::own::Setting;
use crate::caller::{Caller, Retry};
use crate::network::Network;
use crate::server::{Quota, Server};

/// The clients of the table: ways of keeping to a quota that one can have today, and ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Client {
    /// Sends at once; after a 429 waits 2ⁿ + U(0, 1) seconds, five tries in all.
    Naive,
    /// One queue that sends a request every 60 / RPM seconds.
    Interval,
    /// `governor`: a direct limiter for each window.
    Governor,
    /// `tower::limit::RateLimit`, one for each request window, shared through a `Buffer`.
    Tower,
    /// `tower-resilience-ratelimiter`, one for each request window.
    Resilience,
    /// `rate-limit-layer` under `retry-429-layer`, as its users get it.
    Own,
    /// The same, with bursts allowed.
    OwnBursts,
    /// The same, with a guard of 100 ms rather than a learned one. Two delays differ by more than that
    /// about once in 50 000 requests; a minute's window keeps half as much again, which is safe.
    OwnFixedGuard,
    /// Both at once.
    OwnBurstsFixedGuard,
}

impl Client {
    pub(crate) const ALL: [Self; 9] = [
        Self::Naive,
        Self::Interval,
        Self::Governor,
        Self::Tower,
        Self::Resilience,
        Self::Own,
        Self::OwnBursts,
        Self::OwnFixedGuard,
        Self::OwnBurstsFixedGuard,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Naive => "naive",
            Self::Interval => "interval",
            Self::Governor => "governor",
            Self::Tower => "tower RateLimit",
            Self::Resilience => "tower-resilience",
            Self::Own => "rate-limit-layer",
            Self::OwnBursts => "rate-limit-layer bursts",
            Self::OwnFixedGuard => "rate-limit-layer guard 100 ms",
            Self::OwnBurstsFixedGuard => "rate-limit-layer bursts guard 100 ms",
        }
    }

    /// The client over `network`, told nothing but the provider's published `quota`.
    ///
    /// Must be called inside the runtime: tower's buffer starts a task.
    ///
    /// # Errors
    ///
    /// What a builder says to the quota.
    pub(crate) fn caller(self, quota: Quota, network: Network) -> Result<Caller, BoxError> {
        Ok(match self {
            Self::Naive => Caller::new(network, Retry::Backoff),
            Self::Interval => Caller::new(interval::over(network, quota), Retry::Backoff),
            Self::Governor => Caller::new(governor::over(network, quota), Retry::Backoff),
            Self::Tower => Caller::new(window::over(network, quota), Retry::Backoff),
            Self::Resilience => Caller::new(resilience::over(network, quota)?, Retry::Backoff),
            Self::Own | Self::OwnBursts | Self::OwnFixedGuard | Self::OwnBurstsFixedGuard => {
                self.setting().caller(quota, network)
            }
        })
    }

    /// Whether the row says something of this server.
    pub(crate) fn is_for(self, server: Server) -> bool {
        // A fixed guard is only good for long windows, where it costs nothing.
        !self.has_fixed_guard() || server == Server::J
    }

    pub(crate) const fn has_fixed_guard(self) -> bool {
        matches!(self, Self::OwnFixedGuard | Self::OwnBurstsFixedGuard)
    }

    fn setting(self) -> Setting {
        let guard = Duration::from_millis(100);
        Setting {
            bursts: matches!(self, Self::OwnBursts | Self::OwnBurstsFixedGuard),
            guard: self.has_fixed_guard().then_some(guard),
            charging: None,
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
