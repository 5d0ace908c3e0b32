use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Extensions, HeaderMap, Request};
use replay_body::Replay;
use tokio::time::Instant;

use crate::deadline::grpc_timeout;
use crate::demand::TopLevel;
use crate::{AccountId, Deadline, Demand, Fingerprint, Priority, StartBy, Tenant};

/// What is known of a request, in its extensions: one extension for all layers, cheap to clone and
/// copied on write.
///
/// The outermost of our layers inserts it; those below take it from there, and lower
/// [`start_by`](Self::start_by) or name the account as they decide. The body is read once for all
/// of them.
#[derive(Clone, Debug)]
pub struct RequestFacts(Arc<Facts>);

#[derive(Clone, Debug)]
struct Facts {
    arrived: Instant,
    // Read when somebody asks: a layer that only passes the facts on does not pay for it.
    body: Bytes,
    asked: OnceLock<Asked>,
    account: Option<AccountId>,
    key: Option<Fingerprint>,
    tenant: Option<Tenant>,
    priority: Priority,
    deadline: Option<Instant>,
    start_by: Option<Instant>,
    hold_first_event: Option<Duration>,
}

/// What the body tells.
#[derive(Clone, Debug)]
struct Asked {
    model: Option<Arc<str>>,
    demand: Demand,
}

impl Asked {
    fn read(body: &Bytes) -> Self {
        let top = TopLevel::read(body);
        Self {
            model: top.model.as_deref().map(Arc::from),
            demand: top.demand,
        }
    }
}

impl RequestFacts {
    /// The facts of `request`: those it carries, or, if it has none, gathered now and inserted.
    ///
    /// [`Deadline`], [`StartBy`], [`Tenant`], [`Priority`] and [`AccountId`] found among the
    /// extensions are taken over; `grpc-timeout` is a deadline, too, counted from `now`. The body is
    /// read once, when the model or the demand is first asked for, and only where it is at hand as a
    /// whole, see [`Replay::bytes`].
    pub fn ensure<B: Replay>(request: &mut Request<B>, now: Instant) -> Self {
        if let Some(facts) = request.extensions().get::<Self>() {
            return facts.clone();
        }
        let timeout = grpc_timeout(request.headers());
        let body = request.body().bytes().unwrap_or_default();
        let facts = Self::of(request.extensions(), timeout, body, now);
        request.extensions_mut().insert(facts.clone());
        facts
    }

    /// The facts of a request of which only the head and the data of its body are at hand, gathered
    /// as by [`ensure`](Self::ensure) but not inserted.
    #[must_use]
    pub fn gather(
        headers: &HeaderMap,
        extensions: &Extensions,
        body: Bytes,
        arrived: Instant,
    ) -> Self {
        Self::of(extensions, grpc_timeout(headers), body, arrived)
    }

    fn of(extensions: &Extensions, timeout: Option<Duration>, body: Bytes, now: Instant) -> Self {
        let timeout = timeout.and_then(|wait| now.checked_add(wait));
        let deadline = extensions.get().map(|Deadline(at)| *at);
        Self(Arc::new(Facts {
            body,
            account: extensions.get().cloned(),
            tenant: extensions.get().cloned(),
            priority: extensions.get().copied().unwrap_or_default(),
            deadline: [deadline, timeout].into_iter().flatten().min(),
            start_by: extensions.get().map(|StartBy(at)| *at),
            ..Facts::new(now)
        }))
    }

    /// Facts of a request that arrived at `now` and of which nothing else is known.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self(Arc::new(Facts::new(now)))
    }

    /// The facts a request carries.
    #[must_use]
    pub fn get(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }

    /// The facts a request carries, to change.
    #[must_use]
    pub fn get_mut(extensions: &mut Extensions) -> Option<&mut Self> {
        extensions.get_mut()
    }

    /// When the request first reached one of our layers. It keeps this place through all attempts.
    #[must_use]
    pub fn arrived(&self) -> Instant {
        self.0.arrived
    }

    /// The model the body names.
    #[must_use]
    pub fn model(&self) -> Option<&Arc<str>> {
        self.asked().model.as_ref()
    }

    /// What the request asks of a quota.
    #[must_use]
    pub fn demand(&self) -> &Demand {
        &self.asked().demand
    }

    /// The account the request goes to, once one is chosen.
    #[must_use]
    pub fn account(&self) -> Option<&AccountId> {
        self.0.account.as_ref()
    }

    /// The key the request goes with, once one is chosen.
    #[must_use]
    pub fn key(&self) -> Option<&Fingerprint> {
        self.0.key.as_ref()
    }

    /// Whose request it is.
    #[must_use]
    pub fn tenant(&self) -> Option<&Tenant> {
        self.0.tenant.as_ref()
    }

    /// How urgent it is.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.0.priority
    }

    /// When the caller needs the answer.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.0.deadline
    }

    /// The latest moment this attempt may be sent: the earlier of what layers above asked for and
    /// the deadline.
    #[must_use]
    pub fn start_by(&self) -> Option<Instant> {
        match (self.0.start_by, self.0.deadline) {
            (Some(start_by), Some(deadline)) => Some(start_by.min(deadline)),
            (start_by, deadline) => start_by.or(deadline),
        }
    }

    /// For how long someone above wants a stream held, at most, until its first event is known.
    #[must_use]
    pub fn hold_first_event(&self) -> Option<Duration> {
        self.0.hold_first_event
    }

    /// Names the model, after a rewrite.
    pub fn set_model(&mut self, model: Option<Arc<str>>) {
        self.edit_asked(|asked| asked.model = model);
    }

    /// Sets what the request asks of a quota, after a rewrite.
    pub fn set_demand(&mut self, demand: Demand) {
        self.edit_asked(|asked| asked.demand = demand);
    }

    /// Names the account and key the request goes with.
    pub fn set_account(&mut self, account: Option<AccountId>, key: Option<Fingerprint>) {
        let facts = self.edit();
        facts.account = account;
        facts.key = key;
    }

    /// Sets whose request it is.
    pub fn set_tenant(&mut self, tenant: Option<Tenant>) {
        self.edit().tenant = tenant;
    }

    /// Sets how urgent it is.
    pub fn set_priority(&mut self, priority: Priority) {
        self.edit().priority = priority;
    }

    /// Lowers the deadline to `at`; a later one than is set changes nothing.
    pub fn lower_deadline(&mut self, at: Instant) {
        if self.0.deadline.is_none_or(|set| at < set) {
            self.edit().deadline = Some(at);
        }
    }

    /// Lowers the latest moment to send to `at`; a later one than is set changes nothing.
    pub fn lower_start_by(&mut self, at: Instant) {
        if self.0.start_by.is_none_or(|set| at < set) {
            self.edit().start_by = Some(at);
        }
    }

    /// Asks the innermost layer to hold a stream until its first event is known, for so long after its
    /// head at most; `None` not to.
    pub fn set_hold_first_event(&mut self, most: Option<Duration>) {
        self.edit().hold_first_event = most;
    }

    fn asked(&self) -> &Asked {
        self.0.asked.get_or_init(|| Asked::read(&self.0.body))
    }

    fn edit(&mut self) -> &mut Facts {
        Arc::make_mut(&mut self.0)
    }

    fn edit_asked(&mut self, edit: impl FnOnce(&mut Asked)) {
        let facts = self.edit();
        let asked = facts.asked.take();
        let mut asked = asked.unwrap_or_else(|| Asked::read(&facts.body));
        edit(&mut asked);
        facts.asked = OnceLock::from(asked);
    }
}

impl Facts {
    fn new(arrived: Instant) -> Self {
        Self {
            arrived,
            body: Bytes::new(),
            asked: OnceLock::new(),
            account: None,
            key: None,
            tenant: None,
            priority: Priority::default(),
            deadline: None,
            start_by: None,
            hold_first_event: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    fn request(body: &'static str) -> Request<Full<Bytes>> {
        Request::new(Full::new(Bytes::from_static(body.as_bytes())))
    }

    #[tokio::test(start_paused = true)]
    async fn are_gathered_once_and_keep_the_time_of_arrival() {
        let now = Instant::now();
        let mut request = request(r#"{"model":"qwen3-max","max_tokens":7}"#);
        let first = RequestFacts::ensure(&mut request, now);
        let again = RequestFacts::ensure(&mut request, now + Duration::from_secs(5));
        assert_eq!(again.arrived(), now);
        assert_eq!(first.model().map(AsRef::as_ref), Some("qwen3-max"));
        assert_eq!(first.demand().max_tokens, Some(7));
        assert!(Arc::ptr_eq(&first.0, &again.0));
    }

    #[tokio::test(start_paused = true)]
    async fn are_copied_on_write() {
        let mut request = request(r#"{"model":"qwen3-max","max_tokens":7}"#);
        let kept = RequestFacts::ensure(&mut request, Instant::now());
        let facts = RequestFacts::get_mut(request.extensions_mut()).unwrap();
        facts.set_model(Some(Arc::from("qwen-plus")));
        facts.set_account(Some(AccountId::from("a")), None);
        assert_eq!(facts.model().map(AsRef::as_ref), Some("qwen-plus"));
        assert_eq!(facts.demand().max_tokens, Some(7));
        assert_eq!(kept.model().map(AsRef::as_ref), Some("qwen3-max"));
        assert_eq!(kept.account(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn take_the_earliest_of_all_deadlines() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut request = request("");
        request.extensions_mut().insert(Deadline(at(20)));
        request.extensions_mut().insert(StartBy(at(30)));
        request
            .headers_mut()
            .insert("grpc-timeout", http::HeaderValue::from_static("10S"));
        let mut facts = RequestFacts::ensure(&mut request, now);
        assert_eq!(facts.deadline(), Some(at(10)));
        assert_eq!(facts.start_by(), Some(at(10)));

        facts.lower_start_by(at(5));
        facts.lower_start_by(at(8));
        facts.lower_deadline(at(9));
        assert_eq!(facts.start_by(), Some(at(5)));
        assert_eq!(facts.deadline(), Some(at(9)));
    }
}
