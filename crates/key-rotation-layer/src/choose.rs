use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use throttle_signal::{AccountId, Headroom, Kind, RequestFacts};
use tokio::time::Instant;

use crate::KeyPool;
use crate::account::allows;
use crate::best::Best;
use crate::lease::Lease;
use crate::member::Member;
use crate::outlook::Outlook;
use crate::rank::{Candidate, Wish};
use crate::standing::Standing;
use crate::strategy::Pick;
use crate::tried::Tried;

/// How much later than the second-best account a request may still be sent on the best. Forecasts
/// race with other requests; without it, a request would be handed back for a few milliseconds.
const SLACK: Duration = Duration::from_millis(100);

/// One request that looks for an account.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) facts: &'a RequestFacts,
    pub(crate) model: &'a Arc<str>,
    pub(crate) host: Option<&'a str>,
    pub(crate) conversation: Option<u64>,
    pub(crate) headroom: Option<&'a dyn Headroom>,
    pub(crate) tried: &'a Tried,
    /// Only an account that can send before this moment is of use.
    pub(crate) before: Option<Instant>,
    pub(crate) now: Instant,
}

/// What the pool answers.
#[derive(Debug)]
pub(crate) enum Choice {
    /// Send with this key, and no later than this, when another account has its slot.
    Send(Lease, Option<Instant>),
    /// Nobody can take it now.
    Nobody(Outlook),
    /// No account's keys are for the request's host.
    Foreign,
}

impl KeyPool {
    /// Picks an account and takes a key of it.
    pub(crate) fn choose(&self, ask: &Ask<'_>) -> Choice {
        let members = self.members();
        let pinned = ask
            .facts
            .account()
            .filter(|id| members.iter().any(|member| member.id == **id));
        if let Some(choice) = self.choose_rested(&members, pinned, ask) {
            return choice;
        }
        // Another thread may take the probe between the look and the grip; then look again.
        for _ in 0..=members.len() {
            let (best, outlook, foreign) = self.look(&members, pinned, ask);
            if foreign {
                return Choice::Foreign;
            }
            let Some((_, slot, index, member)) = best.chosen else {
                return Choice::Nobody(outlook);
            };
            if let Some(lease) = self.grip(member, index, members.len(), ask) {
                let start_by = match (slot, best.other) {
                    (Some(slot), Some(other)) if ask.headroom.is_some() => {
                        Some(slot.max(other) + SLACK)
                    }
                    _ => None,
                };
                return Choice::Send(lease, start_by);
            }
        }
        Choice::Nobody(Outlook {
            passes: Some((ask.now + SLACK, Kind::RequestRate)),
            probe: None,
        })
    }

    /// Picks the account that rested longest if it has room now: none has an earlier slot. The others
    /// need not be asked for theirs, which is most of the cost where nothing is scarce.
    fn choose_rested(
        &self,
        members: &[Arc<Member>],
        pinned: Option<&AccountId>,
        ask: &Ask<'_>,
    ) -> Option<Choice> {
        let headroom = ask.headroom?;
        if self.shared.strategy.0 != Pick::EarliestSlot
            || ask.before.is_some()
            || !ask.tried.is_empty()
        {
            return None;
        }
        let mut usable = 0;
        let mut rested: Option<(u64, usize)> = None;
        for (index, member) in members.iter().enumerate() {
            if pinned.is_some_and(|id| *id != member.id) || !allows(&member.hosts, ask.host) {
                continue;
            }
            let state = member.lock();
            match member.standing(&state, ask.model, ask.tried, ask.now) {
                Standing::Usable { busy: false, .. } => {
                    usable += 1;
                    let candidate = (state.last_used, index);
                    rested = Some(rested.map_or(candidate, |rested| rested.min(candidate)));
                }
                Standing::Usable { .. } => usable += 1,
                Standing::Shut { .. } | Standing::Asked | Standing::Off => {}
            }
        }
        let (_, index) = rested?;
        let member = &members[index];
        let slot = headroom.earliest(&member.id, ask.facts, ask.now)?;
        if slot > ask.now {
            return None;
        }
        let lease = self.grip(member, index, members.len(), ask)?;
        // Should another request be faster, this one comes back and all are asked.
        let start_by = (usable > 1).then(|| ask.now + SLACK);
        Some(Choice::Send(lease, start_by))
    }

    fn look<'a>(
        &self,
        members: &'a [Arc<Member>],
        pinned: Option<&AccountId>,
        ask: &Ask<'_>,
    ) -> (Best<'a>, Outlook, bool) {
        let strategy = &self.shared.strategy.0;
        let wish = Wish {
            now: ask.now,
            cursor: self.shared.cursor.load(Relaxed),
            conversation: ask.conversation,
        };
        let weighs = *strategy == Pick::Weighted;
        let virtual_time = if weighs { *self.shared.served() } else { 0 };
        let mut best = Best::default();
        let mut outlook = Outlook::default();
        let mut foreign = !members.is_empty();
        for (index, member) in members.iter().enumerate() {
            if pinned.is_some_and(|id| *id != member.id) || !allows(&member.hosts, ask.host) {
                continue;
            }
            foreign = false;
            let state = member.lock();
            let asked = ask.tried.has_account(&member.id);
            let tried = if asked { &Tried::nobody() } else { ask.tried };
            let busy = match member.standing(&state, ask.model, tried, ask.now) {
                Standing::Usable { busy, .. } => busy,
                Standing::Shut { until, kind } => {
                    outlook.add(until, kind);
                    continue;
                }
                Standing::Asked | Standing::Off => continue,
            };
            let paced = Member::paced_until(&state, ask.model);
            let last_used = state.last_used;
            let ahead = state.served.saturating_sub(virtual_time);
            drop(state); // the forecast is foreign code
            let slot = match ask.headroom {
                Some(headroom) => headroom.earliest(&member.id, ask.facts, ask.now),
                None => Some(paced.unwrap_or(ask.now).max(ask.now)),
            };
            if asked {
                outlook.add(slot.unwrap_or(ask.now), Kind::RequestRate);
                best.beat(slot);
                continue;
            }
            if let Some(before) = ask.before {
                if slot.is_none_or(|slot| slot >= before) {
                    outlook.add(slot.unwrap_or(before), Kind::RequestRate);
                    continue;
                }
            }
            let candidate = Candidate {
                id: member.id.as_str(),
                index,
                of: members.len(),
                weight: member.weight,
                last_used,
                ahead: u64::try_from(ahead).unwrap_or(u64::MAX),
                busy,
                slot,
            };
            best.offer(strategy.rank(&candidate, &wish), slot, index, member);
        }
        (best, outlook, foreign)
    }

    /// When the pool can take such a request again, without taking a key.
    pub(crate) fn outlook(&self, ask: &Ask<'_>) -> Outlook {
        let members = self.members();
        let (best, mut outlook, _) = self.look(&members, None, ask);
        if let Some((_, slot, ..)) = best.chosen {
            outlook.add(slot.unwrap_or(ask.now), Kind::RequestRate);
        }
        outlook
    }

    /// Takes a key of an account that was usable a moment ago.
    fn grip(&self, member: &Arc<Member>, index: usize, of: usize, ask: &Ask<'_>) -> Option<Lease> {
        let mut state = member.lock();
        let Standing::Usable { key, .. } = member.standing(&state, ask.model, ask.tried, ask.now)
        else {
            return None;
        };
        let count = self.shared.count.fetch_add(1, Relaxed) + 1;
        self.shared.cursor.store((index + 1) % of, Relaxed);
        if self.shared.strategy.0 == Pick::Weighted {
            let mut served = self.shared.served();
            *served = state.served.max(*served);
            // Fine enough to tell any two weights apart.
            state.served = *served + (1 << 48) / u128::from(member.weight);
        }
        let probes = Member::send(&mut state, key, ask.model, count, ask.now);
        drop(state);
        Some(Lease::new(
            Arc::clone(member),
            key,
            Arc::clone(ask.model),
            ask.now,
            probes,
        ))
    }

    /// Whether, apart from a key of `account`, somebody can take such a request, or could if time
    /// passed: less than until the next rare probe.
    pub(crate) fn has_other(
        &self,
        account: &AccountId,
        key: Option<&throttle_signal::Fingerprint>,
        ask: &Ask<'_>,
    ) -> bool {
        let mut without = Tried::nobody();
        if let Some(key) = key {
            without.add_key(key.clone());
        }
        self.members().iter().any(|member| {
            let itself = member.id == *account;
            if (itself && key.is_none()) || !allows(&member.hosts, ask.host) {
                return false;
            }
            let state = member.lock();
            match member.standing(&state, ask.model, &without, ask.now) {
                Standing::Usable { .. } => true,
                Standing::Shut { until, kind } => {
                    kind.passes_with_time() && until < ask.now + self.shared.probe_every
                }
                Standing::Asked | Standing::Off => false,
            }
        })
    }
}
