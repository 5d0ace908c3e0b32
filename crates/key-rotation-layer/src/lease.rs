use std::sync::Arc;

use http::Request;
use throttle_signal::{AccountId, Fingerprint, RequestFacts};
use tokio::time::Instant;

use crate::member::{Member, Probes};
use crate::refusal::Refusal;
use crate::sentence::Target;
use crate::term::Length;

/// The use of a key by one request. Dropped, it gives everything back.
#[derive(Debug)]
pub(crate) struct Lease {
    member: Arc<Member>,
    key: usize,
    model: Arc<str>,
    sent: Instant,
    probes: Probes,
    passed: bool,
}

impl Lease {
    pub(crate) const fn new(
        member: Arc<Member>,
        key: usize,
        model: Arc<str>,
        sent: Instant,
        probes: Probes,
    ) -> Self {
        Self {
            member,
            key,
            model,
            sent,
            probes,
            passed: false,
        }
    }

    pub(crate) fn account(&self) -> &AccountId {
        &self.member.id
    }

    pub(crate) fn key(&self) -> &Fingerprint {
        self.member.keys[self.key].fingerprint()
    }

    /// Names account and key in the request's facts, and puts the key where the provider wants it.
    pub(crate) fn apply<B>(&self, request: Request<B>, start_by: Option<Instant>) -> Request<B> {
        let (mut parts, body) = request.into_parts();
        if let Some(facts) = RequestFacts::get_mut(&mut parts.extensions) {
            facts.set_account(Some(self.account().clone()), Some(self.key().clone()));
            if let Some(start_by) = start_by {
                facts.lower_start_by(start_by);
            }
        }
        self.member
            .credential
            .apply(self.member.keys[self.key].secret(), &mut parts);
        Request::from_parts(parts, body)
    }

    /// Whether what it was taken from is out by now, as others found out meanwhile.
    pub(crate) fn is_out(&self, now: Instant) -> bool {
        self.member.is_out(self.key, &self.model, self.probes, now)
    }

    /// The same, if for longer than time alone mends. Costs next to nothing where nothing is out.
    pub(crate) fn is_out_for_long(&self, now: Instant) -> bool {
        self.member.has_lasting() && self.is_out(now)
    }

    /// An answer came that is no refusal.
    pub(crate) fn pass(mut self) {
        self.passed = true;
    }

    /// A refusal came: leave its target alone for `length`, with `random` in 0..1 for a guess.
    pub(crate) fn refuse(
        &mut self,
        target: Target,
        kind: throttle_signal::Kind,
        length: Length,
        random: f64,
        now: Instant,
    ) {
        // What was probed and not benched remains to be probed.
        match target {
            Target::Key => self.probes.key = false,
            Target::Account => self.probes.account = false,
            Target::Model => self.probes.model = false,
        }
        let refusal = Refusal {
            target,
            kind,
            length,
            sent: self.sent,
            random,
        };
        self.member.refuse(&refusal, self.key(), &self.model, now);
    }

    /// A limiter below holds this account and model back.
    pub(crate) fn pace(&self, until: Instant, now: Instant) {
        self.member.pace(&self.model, until, now);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.member
            .end(self.key, &self.model, self.sent, self.passed, self.probes);
    }
}
