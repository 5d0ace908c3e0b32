use std::sync::Arc;

use http::{HeaderMap, Uri};
use throttle_signal::{Kind, RequestFacts, Throttle, Trail, Wait};
use tokio::time::Instant;

use crate::account::host;
use crate::choose::{Ask, Choice};
use crate::decision::Move;
use crate::layer::Settings;
use crate::lease::Lease;
use crate::outlook::Outlook;
use crate::sentence::{Next, Sentence, Target};
use crate::term::{Length, Term, open_term};
use crate::tried::Tried;

/// How often a request changes its queue for a better one, at most, within one attempt.
const MOST_HANDED_BACK: u8 = 16;

/// One attempt's way through the pool: who was asked, who is next, what to answer when nobody is.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) settings: Arc<Settings>,
    pub(crate) facts: RequestFacts,
    pub(crate) conversation: Option<u64>,
    tried: Tried,
    // A key has refused this very request already, for good.
    unfit: bool,
    // The last send was to leave the limiter when another account has its slot.
    hurried: bool,
    // How often it has left.
    handed_back: u8,
    // What happened before the response in hand.
    trail: Option<Trail>,
}

impl Round {
    pub(crate) const fn new(
        settings: Arc<Settings>,
        facts: RequestFacts,
        conversation: Option<u64>,
    ) -> Self {
        let tried = Tried::nobody();
        Self {
            settings,
            facts,
            conversation,
            tried,
            unfit: false,
            hurried: false,
            handed_back: 0,
            trail: None,
        }
    }

    fn model(&self) -> &Arc<str> {
        self.facts
            .model()
            .unwrap_or(&self.settings.pool.shared.unnamed)
    }

    fn ask<'a>(&'a self, host: Option<&'a str>, now: Instant) -> Ask<'a> {
        Ask {
            facts: &self.facts,
            model: self.model(),
            host,
            conversation: self.conversation,
            headroom: self.settings.headroom.as_deref(),
            tried: &self.tried,
            before: None,
            now,
        }
    }

    /// Picks whom to send to first.
    pub(crate) fn first(&self, uri: &Uri, headers: &HeaderMap, now: Instant) -> Choice {
        self.settings
            .pool
            .choose(&self.ask(host(uri, headers), now))
    }

    /// The latest moment the first send may leave the limiter, where the request can then go to
    /// another account.
    pub(crate) fn hurry(&mut self, start_by: Option<Instant>, can_move: bool) -> Option<Instant> {
        let start_by = start_by.filter(|_| can_move);
        self.hurried = start_by.is_some();
        start_by
    }

    /// Learns from a refusal and says what to do about it. `sent` is whether the upstream said it;
    /// `again` is where the request would go, if it can be sent again.
    pub(crate) fn refused(
        &mut self,
        throttle: &Throttle,
        sent: bool,
        lease: Lease,
        again: Option<(&Uri, &HeaderMap)>,
        now: Instant,
    ) -> Move {
        let sentence = Sentence::on(throttle, sent);
        let account = lease.account().clone();
        let host = again.and_then(|(uri, headers)| host(uri, headers));
        if again.is_some() {
            if !sent && lease.is_out(now) {
                return match self.elsewhere(host, now) {
                    Ok((lease, start_by)) => Move::On(lease, start_by),
                    Err(throttle) => Move::Instead(throttle),
                };
            }
            if let Some(back) = self.handed_back(&sentence, sent, host, now) {
                return back;
            }
        }
        self.bench(&sentence, throttle, lease, host, now);
        if sentence.deterministic && std::mem::replace(&mut self.unfit, true) {
            return Move::Up(None);
        }

        let mut ask = self.ask(host, now);
        if sentence.next == Next::EarlierAccount {
            let forecast = ask
                .headroom
                .and_then(|headroom| headroom.earliest(&account, ask.facts, now));
            ask.before =
                forecast.or_else(|| Some(crate::bench::far(now, throttle.wait().known()?)));
        }
        if let Some(start_by) = self.facts.start_by() {
            ask.before = Some(ask.before.map_or(start_by, |before| before.min(start_by)));
        }
        let outlook = match (sentence.next, again) {
            (Next::Nobody, _) => return Move::Up(None),
            (_, None) => self.settings.pool.outlook(&ask),
            (_, Some(_)) => match self.settings.pool.choose(&ask) {
                Choice::Send(lease, start_by) => return self.go_on(lease, start_by),
                Choice::Nobody(outlook) => outlook,
                Choice::Foreign => Outlook::default(),
            },
        };
        if sentence.next == Next::EarlierAccount || sentence.deterministic {
            return Move::Up(None);
        }
        match outlook.passes {
            Some(_) if !throttle.retry() => Move::Instead(self.throttle(&outlook, now)),
            Some((at, _)) if throttle.kind().is_rate() => Move::Up(until(at, throttle.wait(), now)),
            _ => Move::Up(None),
        }
    }

    /// What to do about a request that the limiter handed back because we asked it to, when another
    /// account had its slot: nobody has refused it.
    fn handed_back(
        &mut self,
        sentence: &Sentence,
        sent: bool,
        host: Option<&str>,
        now: Instant,
    ) -> Option<Move> {
        if sent
            || !self.hurried
            || sentence.next != Next::EarlierAccount
            || self.handed_back >= MOST_HANDED_BACK
        {
            return None;
        }
        self.handed_back += 1;
        let mut ask = self.ask(host, now);
        ask.before = self.facts.start_by();
        match self.settings.pool.choose(&ask) {
            Choice::Send(lease, start_by) => Some(self.go_on(lease, start_by)),
            Choice::Nobody(_) | Choice::Foreign => None,
        }
    }

    /// Who takes a request whose key is out before it was sent: nobody has refused it. With nobody
    /// left, the pool does.
    fn elsewhere(
        &mut self,
        host: Option<&str>,
        now: Instant,
    ) -> Result<(Lease, Option<Instant>), Throttle> {
        let mut ask = self.ask(host, now);
        ask.before = self.facts.start_by();
        match self.settings.pool.choose(&ask) {
            Choice::Send(lease, start_by) => Ok((lease, self.hasten(start_by))),
            Choice::Nobody(outlook) => Err(self.throttle(&outlook, now)),
            Choice::Foreign => Err(self.throttle(&Outlook::default(), now)),
        }
    }

    /// Looks again at the key that was taken for a further send, once the service below has room.
    pub(crate) fn renewed(
        &mut self,
        lease: Lease,
        start_by: Option<Instant>,
        (uri, headers): (&Uri, &HeaderMap),
        now: Instant,
    ) -> Result<(Lease, Option<Instant>), Throttle> {
        if lease.is_out(now) {
            drop(lease);
            self.elsewhere(host(uri, headers), now)
        } else {
            Ok((lease, start_by))
        }
    }

    /// The answer to a request for which the service below had no room in time.
    pub(crate) fn too_late(
        &self,
        lease: Lease,
        (uri, headers): (&Uri, &HeaderMap),
        now: Instant,
    ) -> Throttle {
        drop(lease); // it is in nobody's way any more
        let outlook = self
            .settings
            .pool
            .outlook(&self.ask(host(uri, headers), now));
        self.throttle(&outlook, now)
    }

    /// Calls a request back that was handed to the layers below just when others found its key out.
    pub(crate) fn called(&self, lease: &Lease, now: Instant) {
        if lease.is_out_for_long(now) {
            if let Some(headroom) = &self.settings.headroom {
                headroom.recall(lease.account(), Some(lease.key()), None);
            }
        }
    }

    fn go_on(&mut self, lease: Lease, start_by: Option<Instant>) -> Move {
        Move::On(lease, self.hasten(start_by))
    }

    /// Until when the next send may wait.
    fn hasten(&mut self, start_by: Option<Instant>) -> Option<Instant> {
        // Enough of looking for the best: it waits where it is.
        let start_by = start_by.filter(|_| self.handed_back < MOST_HANDED_BACK);
        self.hurried = start_by.is_some();
        start_by
    }

    fn bench(
        &mut self,
        sentence: &Sentence,
        throttle: &Throttle,
        mut lease: Lease,
        host: Option<&str>,
        now: Instant,
    ) {
        match sentence.next {
            Next::AnyKey => self.tried.add_key(lease.key().clone()),
            Next::Nobody | Next::OtherAccount | Next::EarlierAccount => {
                self.tried.add_account(lease.account().clone());
            }
        }
        if sentence.next == Next::EarlierAccount {
            if let (None, Some(wait)) = (&self.settings.headroom, throttle.wait().known()) {
                lease.pace(crate::bench::far(now, wait), now);
            }
        }
        if let Some((target, term)) = sentence.bench {
            let length = match term {
                Term::Told(length) => length,
                Term::Open => {
                    let key = (sentence.next == Next::AnyKey).then(|| lease.key());
                    let others =
                        self.settings
                            .pool
                            .has_other(lease.account(), key, &self.ask(host, now));
                    open_term(self.settings.pool.shared.probe_every, !others)
                }
            };
            lease.refuse(target, throttle.kind(), length, fastrand::f64(), now);
            if let (Length::OpenEnded(_), Some(headroom)) = (length, &self.settings.headroom) {
                // Who waits below would be sent only to hear the same.
                match (target, self.facts.model()) {
                    (Target::Key, _) => headroom.recall(lease.account(), Some(lease.key()), None),
                    (Target::Account, _) => headroom.recall(lease.account(), None, None),
                    (Target::Model, Some(model)) => {
                        headroom.recall(lease.account(), None, Some(model));
                    }
                    (Target::Model, None) => {}
                }
            }
        }
    }

    /// The refusal of a pool of which nobody can take the request.
    pub(crate) fn throttle(&self, outlook: &Outlook, now: Instant) -> Throttle {
        outlook.throttle(self.facts.model(), now)
    }

    /// Keeps what happened up to a refusal that is not handed up.
    pub(crate) fn keep(
        &mut self,
        mut trail: Trail,
        lease: Option<(&throttle_signal::AccountId, Kind)>,
    ) {
        if let Some(earlier) = self.trail.take() {
            trail.absorb(earlier);
        }
        if let Some((account, kind)) = lease {
            trail.step("key-rotation", format!("account {account} refused: {kind}"));
        }
        self.trail = Some(trail);
    }

    /// Completes the trail of the response that is handed up.
    pub(crate) fn close(&mut self, trail: &mut Trail, lease: Option<&Lease>) {
        if let Some(lease) = lease {
            trail.account.get_or_insert_with(|| lease.account().clone());
            trail.key.get_or_insert_with(|| lease.key().clone());
        }
        if let Some(earlier) = self.trail.take() {
            trail.absorb(earlier);
        }
    }
}

/// The wait until `at`, unless that is what a refusal says: before then the pool would refuse itself.
fn until(at: Instant, said: Wait, now: Instant) -> Option<Wait> {
    let wait = at.saturating_duration_since(now);
    (said.known() != Some(wait)).then_some(Wait::Stated(wait))
}
