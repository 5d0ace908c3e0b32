use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use model_studio_sim::{Charging, Limits, Stranger, Unit, Window};

use crate::draw::{Draw, LogNormal};
use crate::job::{Answer, Workload};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// The servers of the table. All but [`I`](Self::I) to [`K`](Self::K) and the two with foreign use
/// have the same quota, 10 a second, 600 a minute and a million tokens a minute, and differ in how
/// they count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Server {
    /// Exact sliding windows; requests are what runs out.
    A,
    /// As A; tokens are what runs out.
    B,
    /// Fixed windows.
    C,
    /// Buckets that hold a whole window.
    D,
    /// Sliding windows estimated from two counters.
    E,
    /// Buckets that hold a tenth of a window.
    F,
    /// As A; refused requests count.
    G,
    /// As A; refusals say in whole seconds how long to wait.
    H,
    /// 20 a second, so that the minute binds.
    I,
    /// No limit by the second.
    J,
    /// Tokens by the second as well: Model Studio's four windows.
    K,
    /// As I; for five minutes a stranger takes half of every limit.
    Foreign,
    /// The same, and refused requests count.
    ForeignCounted,
}

impl Server {
    pub(crate) const ALL: [Self; 13] = [
        Self::A,
        Self::B,
        Self::C,
        Self::D,
        Self::E,
        Self::F,
        Self::G,
        Self::H,
        Self::I,
        Self::J,
        Self::K,
        Self::Foreign,
        Self::ForeignCounted,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
            Self::E => "E",
            Self::F => "F",
            Self::G => "G",
            Self::H => "H",
            Self::I => "I",
            Self::J => "J",
            Self::K => "K",
            Self::Foreign => "foreign",
            Self::ForeignCounted => "foreign-counted",
        }
    }

    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::A => "exact sliding windows, requests run out",
            Self::B => "exact sliding windows, tokens run out",
            Self::C => "fixed windows",
            Self::D => "buckets of a whole window",
            Self::E => "two-counter estimate",
            Self::F => "buckets of a tenth of a window",
            Self::G => "as A, refused requests count",
            Self::H => "as A, refusals carry Retry-After",
            Self::I => "20 a second, 600 a minute",
            Self::J => "600 a minute only",
            Self::K => "requests and tokens, by second and minute",
            Self::Foreign => "as I, half the quota gone for 5 minutes",
            Self::ForeignCounted => "the same, refused requests count",
        }
    }

    /// What the provider's page says: every client is told this, and no more.
    pub(crate) fn quota(self) -> Quota {
        let per_second = match self {
            Self::I | Self::Foreign | Self::ForeignCounted => Some(20),
            Self::J => None,
            _ => Some(10),
        };
        Quota {
            per_second,
            per_minute: 600,
            tokens_per_minute: 1_000_000,
            tokens_per_second: (self == Self::K).then_some(16_667),
        }
    }

    /// How it counts. The windows' phase is chance.
    pub(crate) fn limits(self, seed: u64) -> Limits {
        let phase = MINUTE.mul_f64(Draw::Phase.of(seed, 0).f64());
        let mut limits = Limits::unlimited();
        for (unit, limit, length) in self.quota().windows() {
            let window = match unit {
                Unit::Requests => Window::requests(limit, length),
                _ => Window::tokens(limit, length),
            };
            limits = limits.window(window.phase(phase));
        }
        // Jobs of the table cost what they say, so that only the windows are compared.
        let limits = limits.charging(Charging::MaxUpFront);
        let stranger = Stranger::new(20 * MINUTE, 25 * MINUTE, 50);
        match self {
            Self::C => limits.fixed(),
            Self::D => limits.buckets(100),
            Self::E => limits.counters(),
            Self::F => limits.buckets(10),
            Self::G => limits.count_refused(true),
            Self::Foreign => limits.stranger(stranger),
            Self::ForeignCounted => limits.stranger(stranger).count_refused(true),
            _ => limits,
        }
    }

    /// Whether refusals say how long to wait.
    pub(crate) fn states_wait(self) -> bool {
        self == Self::H
    }

    pub(crate) fn workload(self) -> Workload {
        let median = if self == Self::B { 2_200.0 } else { 500.0 };
        let most = if self == Self::K { 16_667.0 } else { 60_000.0 };
        Workload {
            prompt: LogNormal { median, sigma: 0.8 },
            size: (20.0, most),
            answer: Answer::Known(16),
            service: LogNormal {
                median: 1.5,
                sigma: 0.6,
            },
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Server {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = |server: &Self| server.name().eq_ignore_ascii_case(name);
        Self::ALL.into_iter().find(known).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("no such server: it is one of {names}")
        })
    }
}

/// A quota as a provider publishes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quota {
    pub(crate) per_second: Option<u32>,
    pub(crate) per_minute: u32,
    pub(crate) tokens_per_minute: u32,
    pub(crate) tokens_per_second: Option<u32>,
}

impl Quota {
    pub(crate) fn windows(self) -> impl Iterator<Item = (Unit, u64, Duration)> {
        let requests = self.per_second.map(|limit| (Unit::Requests, limit, SECOND));
        let tokens = self
            .tokens_per_second
            .map(|limit| (Unit::Tokens, limit, SECOND));
        let minute = [
            (Unit::Requests, self.per_minute, MINUTE),
            (Unit::Tokens, self.tokens_per_minute, MINUTE),
        ];
        let windows = requests.into_iter().chain(minute).chain(tokens);
        windows.map(|(unit, limit, length)| (unit, u64::from(limit), length))
    }

    /// How much of a unit passes in so long, at the most.
    pub(crate) fn capacity(self, unit: Unit, during: Duration) -> f64 {
        self.windows()
            .filter(|window| window.0 == unit)
            .map(|(_, limit, length)| limit as f64 * during.as_secs_f64() / length.as_secs_f64())
            .fold(f64::INFINITY, f64::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_found_by_name_in_either_case() {
        for server in Server::ALL {
            assert_eq!(server.name().parse(), Ok(server));
        }
        assert_eq!("FOREIGN".parse(), Ok(Server::Foreign));
        assert!("Z".parse::<Server>().unwrap_err().contains("foreign"));
    }

    #[test]
    fn capacity_is_that_of_the_tightest_window() {
        let hour = Duration::from_secs(3_600);
        let close = |a: f64, b: f64| (a - b).abs() < 1e-6;
        assert!(close(
            Server::A.quota().capacity(Unit::Requests, hour),
            36_000.0
        ));
        assert!(close(
            Server::I.quota().capacity(Unit::Requests, hour),
            36_000.0
        ));
        assert!(close(Server::K.quota().capacity(Unit::Tokens, hour), 6e7));
    }
}
