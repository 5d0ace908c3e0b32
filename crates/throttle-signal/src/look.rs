use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, Response};

use crate::host::Host;
use crate::{Classified, Reader, RequestFacts};

/// How much of a success's body is looked at where errors hide in it. They are short.
pub(crate) const SUCCESS: usize = 8 * 1024;

/// How far a body is to be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Look {
    Pass,
    // Nothing in the body would tell more than the headers do.
    Headers,
    Error,
    Success,
    FirstEvent,
    Trailers,
}

/// How far to read a response with this head, to a request with these facts. `hides_errors` says
/// whether errors may come with its host's successes; few are asked.
#[inline]
pub(crate) fn look<'a, B>(
    reader: &Reader,
    response: &Response<B>,
    facts: impl FnOnce() -> Option<&'a RequestFacts>,
    hides_errors: impl FnOnce() -> bool,
) -> Look {
    if response.extensions().get::<Classified>().is_some() {
        return Look::Pass;
    }
    let status = response.status();
    if status.as_u16() >= 400 {
        return Look::Error;
    }
    let headers = response.headers();
    let Some(content_type) = headers.get(&CONTENT_TYPE).filter(|_| status.is_success()) else {
        return Look::Pass;
    };
    look_at_success(
        reader,
        headers,
        content_type.as_bytes(),
        facts,
        hides_errors,
    )
}

/// The same of a success that states the type of its content. A call, so that what comes before it is
/// small enough to go in line.
#[inline(never)]
fn look_at_success<'a>(
    reader: &Reader,
    headers: &HeaderMap,
    content_type: &[u8],
    facts: impl FnOnce() -> Option<&'a RequestFacts>,
    hides_errors: impl FnOnce() -> bool,
) -> Look {
    if content_type.starts_with(b"text/event-stream") {
        // A wait on a success is Azure's sign of a stream that is about to fail.
        let holds = facts().is_some_and(|facts| facts.hold_first_event().is_some());
        return if holds || headers.contains_key(RETRY_AFTER) {
            Look::FirstEvent
        } else {
            Look::Pass
        };
    }
    if content_type.starts_with(b"application/grpc") {
        return if headers.contains_key("grpc-status") {
            Look::Headers
        } else if reader.holds_trailers() {
            Look::Trailers
        } else {
            Look::Pass
        };
    }
    if hides_errors() && !is_longer(headers, SUCCESS) {
        return Look::Success;
    }
    Look::Pass
}

/// Whether errors may come with this host's successes.
pub(crate) fn hides_errors(reader: &Reader, host: Host<'_>) -> bool {
    reader.may_hide_errors(host.tail()) && reader.profile_for(host.as_str()).hides_errors()
}

/// Whether the body states that it is longer than this.
fn is_longer(headers: &HeaderMap, most: usize) -> bool {
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok());
    length.is_some_and(|length| length.parse::<usize>().is_ok_and(|length| length > most))
}
