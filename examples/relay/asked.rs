use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::config::Limits;
use crate::refusal::Refusal;

/// Reads the body of a request whole. Who waits to be told to send it is told so when it is read, and
/// not before.
///
/// # Errors
///
/// It is longer than it may be, it pauses for longer, or it breaks off.
pub(crate) async fn read(mut body: Body, limits: &Limits) -> Result<Bytes, Refusal> {
    if body.size_hint().lower() > limits.body as u64 {
        return Err(Refusal::TooLarge(limits.body));
    }
    let (mut first, mut gathered) = (Bytes::new(), BytesMut::new());
    let mut length = 0;
    loop {
        let frame = timeout(limits.body_within, body.frame()).await;
        let data = match frame.map_err(|_| Refusal::TooSlow)? {
            None => break,
            Some(Err(_)) => return Err(Refusal::Unread),
            // Trailers mean nothing to an upstream.
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
        };
        length += data.len();
        if length > limits.body {
            return Err(Refusal::TooLarge(limits.body));
        }
        if first.is_empty() {
            first = data; // nearly always all of it
        } else {
            if gathered.is_empty() {
                let left = usize::try_from(body.size_hint().lower()).unwrap_or_default();
                gathered.reserve(length.saturating_add(left).min(limits.body));
                gathered.extend_from_slice(&first);
            }
            gathered.extend_from_slice(&data);
        }
        if body.is_end_stream() {
            break;
        }
    }
    if gathered.is_empty() {
        Ok(first)
    } else {
        Ok(gathered.freeze())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use test_support::Steps;

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// What comes of a body of at most ten bytes that may pause for 300 ms.
    async fn come_of(steps: Steps) -> Result<Bytes, &'static str> {
        let limits = Limits {
            body: 10,
            head: 0,
            head_within: Duration::ZERO,
            body_within: ms(300),
            unread: Duration::ZERO,
            connections: 0,
            drain: Duration::ZERO,
        };
        let whole = read(Body::new(steps), &limits).await;
        whole.map_err(|refusal| refusal.code())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_may_take_long_and_not_pause_for_long() {
        let slow = Steps::new().data("abc").wait(ms(200)).data("def");
        let slow = slow.wait(ms(200)).data("ghij");
        assert_eq!(come_of(slow).await.unwrap(), "abcdefghij");
        let pauses = Steps::new().data("abc").wait(ms(301)).data("def");
        assert_eq!(come_of(pauses).await, Err("request_timeout"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_has_a_longest_and_an_end() {
        assert_eq!(come_of(Steps::new()).await.unwrap(), "");
        let long = Steps::new().data("0123456789").data("x");
        assert_eq!(come_of(long).await, Err("request_too_large"));
        let broken = Steps::new().data("abc").error("reset");
        assert_eq!(come_of(broken).await, Err("request_incomplete"));
    }
}
