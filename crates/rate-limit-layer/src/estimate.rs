use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use throttle_signal::{Demand, RequestFacts};

use crate::usage::Usage;
use crate::{Charging, Cost, num};

/// Counts the tokens of a prompt before it is sent. Plug a tokenizer in here.
///
/// The default counts bytes, Chinese, Japanese and Korean characters apart, and is calibrated by
/// the usage that answers report. What a tokenizer says is calibrated too, so it need not know
/// about the tokens a chat format adds.
pub trait Estimate: fmt::Debug + Send + Sync {
    /// The tokens of a prompt. `body` is the whole request body, or empty where that is not known
    /// before it is sent.
    fn input_tokens(&self, facts: &RequestFacts, body: &[u8]) -> u64;
}

/// The default [`Estimate`]: four bytes a token, and three tokens for four CJK characters.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByBytes;

impl Estimate for ByBytes {
    fn input_tokens(&self, facts: &RequestFacts, _: &[u8]) -> u64 {
        by_bytes(facts.demand())
    }
}

/// What is known before a request is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measure {
    /// Tokens of the prompt, not yet calibrated; 0 where nothing is known.
    pub(crate) input: u64,
    // In 32 bits each, since whoever waits holds one.
    pub(crate) max_tokens: Option<u32>,
    pub(crate) choices: u32,
}

/// How far estimates of a model are off, learned from the usage its answers report.
#[derive(Debug)]
pub(crate) struct Calibration {
    /// Mean tokens of a prompt, estimated and real, as the bits of an `f32`. The quotient of the
    /// means, and not the mean of quotients, makes the sum of many estimates right.
    estimated: AtomicU32,
    real: AtomicU32,

    /// Mean tokens of an answer, likewise.
    output: AtomicU32,
}

/// More than any model takes: beyond this, a prompt is full of what is not counted by the byte,
/// images above all.
const LARGEST: u64 = 100_000;

/// What an answer is taken for before any was seen.
const FIRST: f32 = 600.0;

/// What an upstream that charges the maximum is taken to charge where the request names none.
const UNNAMED: u64 = 4096;

/// A named maximum beyond this is a mistake of the caller and no maximum.
const ABSURD: u32 = 10_000_000;

impl Measure {
    pub(crate) fn new(facts: &RequestFacts, estimate: &dyn Estimate, body: &[u8]) -> Self {
        let demand = facts.demand();
        let input = if demand.input_bytes == 0 {
            0
        } else {
            estimate.input_tokens(facts, body)
        };
        Self {
            input,
            max_tokens: demand
                .max_tokens
                .and_then(|most| u32::try_from(most).ok())
                .filter(|most| *most <= ABSURD),
            choices: demand.choices.max(1),
        }
    }

    pub(crate) fn of_facts(facts: &RequestFacts) -> Self {
        Self::new(facts, &ByBytes, &[])
    }
}

impl Calibration {
    pub(crate) fn new() -> Self {
        Self {
            estimated: AtomicU32::new(FIRST.to_bits()),
            real: AtomicU32::new(FIRST.to_bits()),
            output: AtomicU32::new(FIRST.to_bits()),
        }
    }

    /// What a request is taken to cost where the upstream charges so.
    pub(crate) fn cost(&self, measure: &Measure, charging: Charging) -> Cost {
        if measure.input == 0 && measure.max_tokens.is_none() {
            // No body we know of: not a prompt, or one that streams by.
            return Cost::REQUEST;
        }
        let input = num::times(
            measure.input,
            f64::from(load(&self.real) / load(&self.estimated)),
        )
        .min(LARGEST.max(measure.input));
        let most = measure.max_tokens.map(u64::from);
        let each = match charging {
            Charging::PostPaid => {
                num::times(1, f64::from(load(&self.output))).min(most.unwrap_or(u64::MAX))
            }
            Charging::MaxUpFront | Charging::MaxThenRefund => most.unwrap_or(UNNAMED),
        };
        Cost::tokens(input, each.saturating_mul(u64::from(measure.choices)))
    }

    /// Learns from the usage an answer reports.
    pub(crate) fn learn(&self, measure: &Measure, usage: &Usage) {
        if let (Some(input), true) = (usage.input, measure.input > 0) {
            average(
                &self.estimated,
                num::single(num::float(measure.input)),
                0.02,
            );
            average(&self.real, num::single(num::float(input)), 0.02);
        }
        if let Some(output) = usage.output {
            let each = num::single(num::ratio(output, u64::from(measure.choices.max(1))));
            average(&self.output, each, 0.02);
        }
    }
}

fn by_bytes(demand: &Demand) -> u64 {
    let narrow = demand
        .input_bytes
        .saturating_sub(demand.wide_chars.saturating_mul(3));
    let tokens = narrow
        .div_ceil(4)
        .saturating_add(demand.wide_chars.saturating_mul(3).div_ceil(4));
    tokens.min(LARGEST)
}

fn load(bits: &AtomicU32) -> f32 {
    f32::from_bits(bits.load(Ordering::Relaxed))
}

/// Moves an average towards `seen`. Of two threads at once one may be lost, which is no matter.
fn average(bits: &AtomicU32, seen: f32, weight: f32) {
    let mean = load(bits);
    bits.store((mean + weight * (seen - mean)).to_bits(), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(input: u64, max_tokens: Option<u32>) -> Measure {
        Measure {
            input,
            max_tokens,
            choices: 1,
        }
    }

    #[test]
    fn an_answer_is_never_taken_for_longer_than_it_may_be() {
        let calibration = Calibration::new();
        assert_eq!(
            calibration.cost(&measure(100, Some(64)), Charging::PostPaid),
            Cost::tokens(100, 64)
        );
        assert_eq!(
            calibration.cost(&measure(100, None), Charging::PostPaid),
            Cost::tokens(100, 600)
        );
    }

    #[test]
    fn the_maximum_is_reserved_where_it_is_charged() {
        let calibration = Calibration::new();
        for charging in [Charging::MaxUpFront, Charging::MaxThenRefund] {
            assert_eq!(
                calibration.cost(&measure(100, Some(2000)), charging),
                Cost::tokens(100, 2000)
            );
        }
    }

    #[test]
    fn real_usage_corrects_the_estimate() {
        let calibration = Calibration::new();
        let usage = Usage {
            input: Some(50),
            output: Some(100),
            ..Usage::default()
        };
        for _ in 0..500 {
            calibration.learn(&measure(100, None), &usage);
        }
        let cost = calibration.cost(&measure(100, None), Charging::PostPaid);
        assert!(
            cost.input.abs_diff(50) <= 1 && cost.output.abs_diff(100) <= 1,
            "{cost:?}"
        );
    }

    #[test]
    fn chinese_weighs_more_a_byte_and_less_a_character() {
        let demand = Demand {
            input_bytes: 400,
            ..Demand::default()
        };
        assert_eq!(by_bytes(&demand), 100);
        let demand = Demand {
            input_bytes: 300,
            wide_chars: 100,
            ..Demand::default()
        };
        assert_eq!(by_bytes(&demand), 75);
    }

    #[test]
    fn an_image_in_the_body_is_not_taken_for_a_million_tokens() {
        let demand = Demand {
            input_bytes: 20_000_000,
            ..Demand::default()
        };
        assert_eq!(by_bytes(&demand), LARGEST);
    }
}
