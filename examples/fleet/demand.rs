use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How demand is spread over instances: a few have most of it, and some have none.
const SHARES: [f64; 8] = [0.5, 0.2, 0.1, 0.1, 0.05, 0.05, 0.0, 0.0];

/// Requests that come up at random, unevenly over the instances; who has how many moves on to the
/// next instance every turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    pub(crate) instances: usize,
    /// Of all instances together, a second.
    pub(crate) rate: f64,
    pub(crate) turn: Duration,
    pub(crate) seed: u64,
}

impl Demand {
    /// How many come up at one instance in a second, so long after the start.
    pub(crate) fn rate(&self, instance: usize, after: Duration) -> f64 {
        let share = |place: usize| SHARES[place % SHARES.len()];
        let all: f64 = (0..self.instances).map(share).sum();
        self.rate * share((instance + self.turn_at(after) as usize) % self.instances) / all
    }

    fn turn_at(&self, after: Duration) -> u32 {
        (after.as_secs_f64() / self.turn.as_secs_f64()) as u32
    }

    /// Calls `born` at each time at which a request comes up at this instance, and never ends.
    pub(crate) async fn of(self, instance: usize, start: Instant, mut born: impl FnMut()) {
        let mut rng = fastrand::Rng::with_seed(self.seed ^ (instance as u64 + 1).rotate_left(32));
        let mut at = start;
        loop {
            let turn = self.turn_at(at - start);
            let rate = self.rate(instance, at - start);
            let gap = exponential(rate, &mut rng);
            let next_turn = start + self.turn * (turn + 1);
            // Chance has no memory: it can begin anew at the turn.
            match at.checked_add(gap).filter(|at| *at < next_turn) {
                None => at = next_turn,
                Some(next) => {
                    at = next;
                    sleep_until(at).await;
                    born();
                }
            }
        }
    }
}

/// The time to the next of so many a second.
fn exponential(rate: f64, rng: &mut fastrand::Rng) -> Duration {
    Duration::try_from_secs_f64(-(1.0 - rng.f64()).ln() / rate).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::time::sleep;

    use super::*;

    const TURN: Duration = Duration::from_secs(10);

    fn demand(instances: usize) -> Demand {
        Demand {
            instances,
            rate: 75.0,
            turn: TURN,
            seed: 1,
        }
    }

    #[test]
    fn however_many_there_are_all_together_have_the_rate() {
        for instances in [1, 3, 8, 11] {
            for turn in 0..12 {
                let at = |instance| demand(instances).rate(instance, TURN * turn);
                let all: f64 = (0..instances).map(at).sum();
                assert!((all - 75.0).abs() < 1e-9, "{instances}: {all}");
            }
        }
    }

    #[test]
    fn it_is_uneven_and_moves() {
        let at = |instance, turn| demand(8).rate(instance, TURN * turn);
        for (instance, turn, rate) in [(0, 0, 37.5), (6, 0, 0.0), (6, 2, 37.5), (0, 2, 7.5)] {
            assert!((at(instance, turn) - rate).abs() < 1e-9);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_come_up() {
        let came = Cell::new(0);
        let start = Instant::now();
        tokio::select! {
            () = demand(8).of(7, start, || came.set(came.get() + 1)) => {}
            () = sleep(TURN) => assert_eq!(came.get(), 0),
        }
        tokio::select! {
            () = demand(8).of(0, Instant::now(), || came.set(came.get() + 1)) => {}
            () = sleep(8 * TURN) => {}
        }
        assert!((600..=900).contains(&came.get()), "{}", came.get());
    }
}
