use http::Response;
use http_body::Body;
use replay_body::{PeekBody, Replay};
use throttle_signal::{Classified, Throttle, Trail, Wait, set_retry_after};
use tokio::time::Instant;

use crate::attempt::Again;
use crate::lease::Lease;
use crate::round::Round;
use crate::watch;

/// What to do about a refusal.
#[derive(Debug)]
pub(crate) enum Move {
    /// Send again with this key, no later than this.
    On(Lease, Option<Instant>),
    /// Hand the refusal up, as it is or with the pool's own wait.
    Up(Option<Wait>),
    /// Answer in its stead: the pool knows better.
    Instead(Throttle),
}

/// Takes in an answer: who is to send next, or what to hand up.
#[allow(clippy::result_large_err, reason = "the response is what is handed up")]
pub(crate) fn judge<S, B: Replay, R: Body>(
    round: &mut Round,
    again: Option<&Again<S, B>>,
    mut response: Response<PeekBody<R>>,
    lease: Option<Lease>,
) -> Result<(Lease, Option<Instant>), Response<PeekBody<R>>> {
    let Some(lease) = lease else {
        return Err(response);
    };
    let Some(throttle) = Classified::throttle(response.extensions()).cloned() else {
        round.close(Trail::of(response.extensions_mut()), Some(&lease));
        if !response.status().is_server_error() {
            lease.pass();
        }
        return Err(response);
    };
    let now = Instant::now();
    // The response is dropped before anything is waited for.
    decide(round, again, &throttle, &mut response, lease, now).ok_or(response)
}

/// Takes in a refusal. Returns the key to send with next; with none, `response` is the answer.
fn decide<S, B: Replay, R: Body>(
    round: &mut Round,
    again: Option<&Again<S, B>>,
    throttle: &Throttle,
    response: &mut Response<PeekBody<R>>,
    lease: Lease,
    now: Instant,
) -> Option<(Lease, Option<Instant>)> {
    let sent = response
        .extensions()
        .get::<Trail>()
        .is_none_or(|trail| trail.attempts > 0);
    let (account, key) = (lease.account().clone(), lease.key().clone());
    let again = again.filter(|again| again.can_be_sent());
    let headers = again.map(|again| again.request.headers());
    let place = again.map(|again| again.request.uri()).zip(headers.as_ref());
    let trail = Trail::of(response.extensions_mut());
    trail.account.get_or_insert_with(|| account.clone());
    trail.key.get_or_insert_with(|| key.clone());
    let decision = round.refused(throttle, sent, lease, place, now);
    watch::refused(throttle, &account, &key, &decision);
    match (decision, headers) {
        (Move::On(lease, start_by), _) => {
            round.keep(
                Trail::take(response.extensions_mut()),
                Some((&account, throttle.kind())),
            );
            Some((lease, start_by))
        }
        (Move::Instead(throttle), Some(headers)) => {
            round.keep(
                Trail::take(response.extensions_mut()),
                Some((&account, throttle.kind())),
            );
            *response = round.settings.envelope.refuse(throttle, &headers);
            round.close(Trail::of(response.extensions_mut()), None);
            None
        }
        (Move::Instead(_), None) => {
            round.close(trail_of(response), None);
            None
        }
        (Move::Up(wait), _) => {
            if let (Some(wait), Some(throttle)) =
                (wait, Classified::throttle_mut(response.extensions_mut()))
            {
                *throttle = throttle.clone().with_wait(wait);
                if let Some(wait) = wait.known() {
                    set_retry_after(response.headers_mut(), wait);
                }
            }
            round.close(trail_of(response), None);
            None
        }
    }
}

fn trail_of<R>(response: &mut Response<R>) -> &mut Trail {
    Trail::of(response.extensions_mut())
}
