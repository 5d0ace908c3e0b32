use std::fmt;
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, Response};
use http_body::Body;
use replay_body::{Peek, PeekBody};
use tokio::time::{Instant, Sleep, sleep};

use crate::host::{Host, KeptHost};
use crate::judge::Case;
use crate::look::{Look, SUCCESS, hides_errors, look};
use crate::{Classified, Reader, RequestFacts, sse};

/// How much of an error's body is looked at.
const ERROR: usize = 64 * 1024;

/// How long the head of an error's body may take. After that what has come is judged.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the first event of a stream may take that announces trouble and that nobody asked to hold.
const HOLD: Duration = Duration::from_secs(60);

/// What is to be read of one response, fixed before its request was sent.
#[derive(Clone, Debug)]
pub struct Reading {
    reader: Reader,
    host: KeptHost,
    facts: Option<RequestFacts>,
}

impl Reading {
    pub(crate) fn new(reader: Reader, host: KeptHost, facts: Option<RequestFacts>) -> Self {
        Self {
            reader,
            host,
            facts,
        }
    }

    /// Reads `response`. One that already carries [`Classified`] passes at once, and so does a
    /// success, unless errors hide in this provider's successes or a layer above wants a stream
    /// [held](RequestFacts::hold_first_event) to its first event. What passes unread is left as it
    /// came, without a verdict: its status says that it is no refusal.
    ///
    /// The body is handed on whole, trailers and errors at their place.
    pub fn read<B>(&self, response: Response<B>) -> Read<B>
    where
        B: Body<Data = Bytes>,
    {
        let facts = || self.facts.as_ref();
        let hides_errors = || hides_errors(&self.reader, self.host.get());
        let state = match look(&self.reader, &response, facts, hides_errors) {
            Look::Pass => {
                if response.status().is_success() {
                    self.reader.suspicion().clear(|| self.stranger());
                }
                State::Passed {
                    response: Some(response),
                }
            }
            Look::Headers => {
                let (mut parts, body) = response.into_parts();
                self.judge(&mut parts, None, b"");
                State::Passed {
                    response: Some(Response::from_parts(parts, body)),
                }
            }
            look => {
                let (parts, body) = response.into_parts();
                let stop = match look {
                    Look::FirstEvent => sse::begun,
                    Look::Success => is_content,
                    _ => |_: &[u8]| false,
                };
                let limit = if look == Look::Success {
                    SUCCESS
                } else {
                    ERROR
                };
                State::Peeking {
                    peeking: Box::new(Peeking {
                        reading: self.clone(),
                        look,
                        parts: Some(parts),
                        peek: Peek::new(body, limit).until(stop),
                        patience: self.patience(look).map(|most| Box::pin(sleep(most))),
                    }),
                }
            }
        };
        Read { state }
    }

    /// How long to wait for what is to be read. A stream's first event is the answer itself: what takes
    /// its place meanwhile is worth waiting for, but not for ever.
    fn patience(&self, look: Look) -> Option<Duration> {
        match look {
            Look::Error => Some(PATIENCE),
            Look::FirstEvent => {
                let facts = self.facts.as_ref();
                Some(
                    facts
                        .and_then(RequestFacts::hold_first_event)
                        .unwrap_or(HOLD),
                )
            }
            _ => None,
        }
    }

    fn judge(&self, parts: &mut Parts, trailers: Option<&HeaderMap>, body: &[u8]) {
        let facts = self.facts.as_ref();
        let case = Case {
            status: parts.status,
            headers: &parts.headers,
            trailers,
            body,
            model: facts.and_then(RequestFacts::model).map(AsRef::as_ref),
            clock: None,
        };
        let judged = self.reader.judge(self.host.get().as_str(), case);
        let throttle = judged.map(|(throttle, suspect)| {
            if suspect && self.is_confirmed() {
                throttle.into_exhausted()
            } else {
                throttle
            }
        });
        if throttle.is_none() && parts.status.is_success() {
            self.reader.suspicion().clear(|| self.stranger());
        }
        let throttle = throttle.map(|throttle| match facts {
            Some(facts) => throttle
                .with_account(facts.account().cloned())
                .with_key(facts.key().cloned())
                .with_model(facts.model().cloned()),
            None => throttle,
        });
        parts.extensions.insert(Classified(throttle));
    }

    fn acquit(&self, parts: &mut Parts) {
        self.reader.suspicion().clear(|| self.stranger());
        parts.extensions.insert(Classified::default());
    }

    fn is_confirmed(&self) -> bool {
        let suspicion = self.reader.suspicion();
        suspicion.is_confirmed(self.stranger(), Instant::now())
    }

    fn stranger(&self) -> u64 {
        stranger(self.host.get(), self.facts.as_ref())
    }
}

/// Whom a suspicion is about: the key, or who holds it, at this host.
pub(crate) fn stranger(host: Host<'_>, facts: Option<&RequestFacts>) -> u64 {
    let mut hasher = DefaultHasher::new();
    host.as_str().hash(&mut hasher);
    if let Some(facts) = facts {
        (facts.account(), facts.key()).hash(&mut hasher);
    }
    hasher.finish()
}

/// Whether the beginning of a success shows an answer rather than an error.
fn is_content(head: &[u8]) -> bool {
    let head = head.get(..512).unwrap_or(head);
    [&b"\"choices\":[{"[..], b"\"output\":{", b"\"content\":[{"]
        .iter()
        .any(|mark| head.windows(mark.len()).any(|part| part == *mark))
}

/// Future of [`Reading::read`].
///
/// # Cancel safety
///
/// Dropping it drops the response.
///
/// # Panics
///
/// Creating and polling it panics outside a Tokio runtime with time enabled, if the response is an
/// error.
#[must_use = "futures do nothing unless polled"]
pub struct Read<B>
where
    B: Body, // for `B::Error`
{
    state: State<B>,
}

enum State<B>
where
    B: Body,
{
    // Nothing to read.
    Passed { response: Option<Response<B>> },
    // The beginning of the body is arriving. Boxed, since most responses pass.
    Peeking { peeking: Box<Peeking<B>> },
}

struct Peeking<B> {
    reading: Reading,
    look: Look,
    parts: Option<Parts>,
    peek: Peek<B>,
    patience: Option<Pin<Box<Sleep>>>,
}

impl<B> Peeking<B>
where
    B: Body<Data = Bytes>,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Response<PeekBody<B>>> {
        let peeked = match Pin::new(&mut self.peek).poll(cx) {
            Poll::Ready(peeked) => peeked,
            Poll::Pending => match &mut self.patience {
                Some(patience) => {
                    ready!(patience.as_mut().poll(cx));
                    self.peek.stop()
                }
                None => return Poll::Pending,
            },
        };
        let Some(mut parts) = self.parts.take() else {
            return Poll::Pending; // polled again after it completed
        };
        if self.look == Look::Success && is_content(peeked.head()) {
            // Nearly every success: nothing hides in it.
            self.reading.acquit(&mut parts);
        } else {
            self.reading
                .judge(&mut parts, peeked.trailers(), peeked.head());
        }
        Poll::Ready(Response::from_parts(parts, peeked.into_body()))
    }
}

// A body that is being read is pinned in a box of its own; the rest is moved freely.
impl<B: Body> Unpin for Read<B> {}

impl<B> Future for Read<B>
where
    B: Body<Data = Bytes>,
{
    type Output = Response<PeekBody<B>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            State::Passed { response } => match response.take() {
                Some(response) => Poll::Ready(response.map(PeekBody::new)),
                None => Poll::Pending, // polled again after it completed
            },
            State::Peeking { peeking } => peeking.poll(cx),
        }
    }
}

impl<B> fmt::Debug for Read<B>
where
    B: Body,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Passed { .. } => "Passed",
            State::Peeking { .. } => "Peeking",
        };
        f.debug_struct("Read")
            .field("state", &format_args!("{state}"))
            .finish()
    }
}
