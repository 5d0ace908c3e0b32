use tokio::time::Instant;

/// When the caller needs the answer. Insert it into a request's extensions, or use
/// [`DeadlineLayer`](crate::DeadlineLayer).
///
/// No layer waits past it: what could not be answered in time is refused at once.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Deadline(pub Instant);

/// The latest moment an attempt may be sent. Layers lower it; callers may set it, too.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct StartBy(pub Instant);

/// How urgent a request is among those of its tenant: higher goes first. 0 if not set.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Priority(pub i32);
