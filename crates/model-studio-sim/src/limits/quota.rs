use std::time::Duration;

use super::charging::Charging;
use super::growth::Growth;
use super::stranger::Stranger;
use super::window::{Counting, Unit, Window};

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// What one account may ask of one model: any set of windows at once, and how they are charged.
///
/// # Example
///
/// Qwen3-Max on Model Studio, whose refused requests do not count:
///
/// ```
/// use model_studio_sim::Limits;
///
/// let limits = Limits::per_minute(600)
///     .per_second(10)
///     .tokens_per_minute(1_000_000);
/// assert_eq!(limits.windows().len(), 3);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Limits {
    pub(super) windows: Vec<Window>,
    pub(super) charging: Charging,
    pub(super) count_refused: bool,
    pub(super) growth: Option<Growth>,
    pub(super) free_tokens: Option<u64>,
    pub(super) strangers: Vec<Stranger>,
}

impl Limits {
    /// No limit at all.
    #[must_use]
    pub const fn unlimited() -> Self {
        Self {
            windows: Vec::new(),
            charging: Charging::AtEnd,
            count_refused: false,
            growth: None,
            free_tokens: None,
            strangers: Vec::new(),
        }
    }

    /// RPM: at most `requests` in any 60 seconds, and nothing else yet.
    #[must_use]
    pub fn per_minute(requests: u64) -> Self {
        Self::unlimited().window(Window::requests(requests, MINUTE))
    }

    /// RPS: at most `requests` in any second as well.
    #[must_use]
    pub fn per_second(self, requests: u64) -> Self {
        self.window(Window::requests(requests, SECOND))
    }

    /// TPM: at most `tokens` in any 60 seconds as well.
    #[must_use]
    pub fn tokens_per_minute(self, tokens: u64) -> Self {
        self.window(Window::tokens(tokens, MINUTE))
    }

    /// TPS: at most `tokens` in any second as well.
    #[must_use]
    pub fn tokens_per_second(self, tokens: u64) -> Self {
        self.window(Window::tokens(tokens, SECOND))
    }

    /// Adds a window of any kind. All windows hold at once: a request passes all or none.
    #[must_use]
    pub fn window(mut self, window: Window) -> Self {
        self.windows.push(window);
        self
    }

    /// Makes every window given so far count in fixed windows, the first beginning at time zero.
    #[must_use]
    pub fn fixed(self) -> Self {
        self.map(|window| window.counting(Counting::Fixed))
    }

    /// Makes every window given so far the estimate of two counters.
    #[must_use]
    pub fn counters(self) -> Self {
        self.map(|window| window.counting(Counting::Counter))
    }

    /// Makes every window given so far a token bucket that holds `percent` of its limit, and at
    /// least one unit.
    #[must_use]
    pub fn buckets(self, percent: u32) -> Self {
        self.map(|window| {
            let depth = u128::from(window.limit) * u128::from(percent) / 100;
            let depth = u64::try_from(depth).unwrap_or(u64::MAX).max(1);
            window.counting(Counting::Bucket { depth })
        })
    }

    fn map(mut self, change: impl Fn(Window) -> Window) -> Self {
        for window in &mut self.windows {
            *window = change(*window);
        }
        self
    }

    /// Sets when tokens are charged. At the end by default.
    #[must_use]
    pub fn charging(self, charging: Charging) -> Self {
        Self { charging, ..self }
    }

    /// Sets whether a request that a limit refuses counts against the request windows all the same, as
    /// `OpenAI` says of its own. From a bucket it takes what is left. Off by default.
    #[must_use]
    pub fn count_refused(self, count_refused: bool) -> Self {
        Self {
            count_refused,
            ..self
        }
    }

    /// Adds burst protection. Off by default.
    #[must_use]
    pub fn growth(self, growth: Growth) -> Self {
        Self {
            growth: Some(growth),
            ..self
        }
    }

    /// Ends all service once `tokens` are used: the trial credit of a model. Off by default.
    #[must_use]
    pub fn free_tokens(self, tokens: u64) -> Self {
        Self {
            free_tokens: Some(tokens),
            ..self
        }
    }

    /// Lets somebody else use a share of the quota for a time.
    #[must_use]
    pub fn stranger(mut self, stranger: Stranger) -> Self {
        self.strangers.push(stranger);
        self
    }

    /// The windows, in the order in which they were given.
    #[must_use]
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    pub(super) fn counts_tokens(&self) -> bool {
        self.windows
            .iter()
            .any(|window| window.unit == Unit::Tokens)
    }
}
