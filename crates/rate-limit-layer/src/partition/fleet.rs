//! A partition as the store's driver sees it.

use std::sync::Arc;

use throttle_signal::AccountId;
use tokio::time::Instant;

use super::Partition;
use crate::shared::{Call, Inner, Kind, Member, Reply};

impl Partition {
    /// Joins the fleet that shares `store`, unless it has.
    pub(crate) fn join(self: &Arc<Self>, store: &Arc<Inner>) {
        self.joined.get_or_init(|| {
            let id = store.enlist(self);
            self.with(|state, now, _| state.core.join(now, Arc::clone(store), id));
        });
    }

    /// What its keys in the store begin with.
    pub(crate) fn store_key(&self, prefix: &str) -> String {
        let account = self.account.as_ref().map(AccountId::as_str);
        store_key(
            prefix,
            account.unwrap_or_default(),
            self.model.as_deref().unwrap_or_default(),
        )
    }

    /// What is to be asked of the store now, if anything is.
    pub(crate) fn next_store_call(&self) -> Option<(Kind, Call)> {
        self.with(|state, now, _| state.next_store_call(now))
    }

    /// When something is to be asked, if that is known.
    pub(crate) fn store_call_due(&self) -> Option<Instant> {
        let due = self.with(|state, now, _| state.store_call_due(now));
        due.map(|due| self.clock.instant(due))
    }

    /// The store answered what it was asked then, or did not.
    pub(crate) fn store_answered(&self, began: Instant, kind: Kind, reply: Option<&Reply>) {
        let began = self.clock.nanos(began);
        self.with(|state, now, wakes| state.store_answered(now, began, kind, reply, wakes));
    }

    /// There is nobody to ask the store any more.
    pub(crate) fn store_lost(&self) {
        self.with(|state, now, wakes| {
            state
                .core
                .with_member(|member, core| member.go_out(now, now, core, false));
            state.changed(now, wakes);
        });
    }

    /// Whether it goes on without the store.
    pub(crate) fn is_out(&self) -> bool {
        let state = self.state.lock();
        state.core.member().is_some_and(Member::is_out)
    }
}

/// What keys in the store begin with. All of it is one hash tag, so that a cluster keeps what belongs together on one
/// node; braces in names would end that early.
pub(crate) fn store_key(prefix: &str, account: &str, model: &str) -> String {
    let [prefix, account, model] =
        [prefix, account, model].map(|name| name.replace(['{', '}', ':'], "_"));
    format!("{{{prefix}:{account}:{model}}}")
}
