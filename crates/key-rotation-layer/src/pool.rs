use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use throttle_signal::AccountId;

use crate::account::Account;
use crate::member::Member;
use crate::{InvalidPool, KeyPoolBuilder, Strategy};

/// Accounts and their keys, and what was learned of them: who is out, and until when.
///
/// A cheap handle: clones share the pool, in the layer and beside it. Changes take effect with the
/// next request; requests in flight keep the key they went with.
///
/// # Example
///
/// ```
/// use key_rotation_layer::{Account, KeyPool};
///
/// # fn main() -> Result<(), key_rotation_layer::InvalidPool> {
/// let pool = KeyPool::builder()
///     .account("a", ["sk-a1", "sk-a2"])
///     .account("b", ["sk-b1"])
///     .build()?;
/// pool.replace(Account::new("b").key("sk-b2"))?; // the old key leaked
/// pool.disable(&"a".into())?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct KeyPool {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    members: RwLock<Members>,
    pub(crate) strategy: Strategy,
    pub(crate) probe_every: Duration,
    // How many choices were made.
    pub(crate) count: AtomicU64,
    // The place after the account chosen last.
    pub(crate) cursor: AtomicUsize,
    // Where the weighted choice stands, see `Member`'s `served`.
    served: Mutex<u128>,
    // The model of requests that name none.
    pub(crate) unnamed: Arc<str>,
}

/// The accounts at one moment, in the order they were added.
pub(crate) type Members = Arc<[Arc<Member>]>;

impl KeyPool {
    /// Creates a builder without accounts.
    pub const fn builder() -> KeyPoolBuilder {
        KeyPoolBuilder::new()
    }

    pub(crate) fn from_builder(builder: KeyPoolBuilder) -> Result<Self, InvalidPool> {
        let mut members: Vec<Arc<Member>> = Vec::with_capacity(builder.accounts.len());
        for account in builder.accounts {
            if members.iter().any(|member| member.id == account.id) {
                return Err(InvalidPool::Duplicate(account.id));
            }
            members.push(Arc::new(Member::new(account)?));
        }
        if members.is_empty() {
            return Err(InvalidPool::NoAccount);
        }
        let shared = Shared {
            members: RwLock::new(members.into()),
            strategy: builder.strategy,
            probe_every: builder.probe_every,
            count: AtomicU64::new(0),
            cursor: AtomicUsize::new(0),
            served: Mutex::new(0),
            unnamed: Arc::from(""),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Adds an account.
    ///
    /// # Errors
    ///
    /// An account of this name is there already, or its keys are missing or not usable. The pool is
    /// then as it was.
    pub fn add(&self, account: Account) -> Result<(), InvalidPool> {
        self.edit(|members| {
            if members.iter().any(|member| member.id == account.id) {
                return Err(InvalidPool::Duplicate(account.id));
            }
            members.push(Arc::new(Member::new(account)?));
            Ok(())
        })
    }

    /// Puts an account in the place of the one of the same name.
    ///
    /// A key that stays is known as it was, and what requests in flight hear of it counts; a new one
    /// starts afresh, and so does the account if none stays. What is disabled stays disabled.
    ///
    /// # Errors
    ///
    /// There is no account of this name, or its keys are missing or not usable. The pool is then as
    /// it was.
    pub fn replace(&self, account: Account) -> Result<(), InvalidPool> {
        self.edit(|members| {
            let place = members.iter_mut().find(|member| member.id == account.id);
            let place = place.ok_or_else(|| InvalidPool::Unknown(account.id.clone()))?;
            *place = Member::succeeding(place, account)?;
            Ok(())
        })
    }

    /// Forgets why an account, its models and keys are out: the bill is paid, the key unlocked.
    ///
    /// # Errors
    ///
    /// There is no account of this name.
    pub fn reset(&self, account: &AccountId) -> Result<(), InvalidPool> {
        self.member(account)?.reset();
        Ok(())
    }

    /// Removes an account. The last one may go, too; requests are then refused until one is added.
    ///
    /// # Errors
    ///
    /// There is no account of this name.
    pub fn remove(&self, account: &AccountId) -> Result<(), InvalidPool> {
        self.edit(|members| {
            let before = members.len();
            members.retain(|member| member.id != *account);
            if members.len() == before {
                return Err(InvalidPool::Unknown(account.clone()));
            }
            Ok(())
        })
    }

    /// Lets requests go to an account again.
    ///
    /// # Errors
    ///
    /// There is no account of this name.
    pub fn enable(&self, account: &AccountId) -> Result<(), InvalidPool> {
        self.set_enabled(account, true)
    }

    /// Sends nothing more to an account, and keeps what was learned of it.
    ///
    /// # Errors
    ///
    /// There is no account of this name.
    pub fn disable(&self, account: &AccountId) -> Result<(), InvalidPool> {
        self.set_enabled(account, false)
    }

    fn set_enabled(&self, account: &AccountId, enabled: bool) -> Result<(), InvalidPool> {
        self.member(account)?.lock().enabled = enabled;
        Ok(())
    }

    fn member(&self, account: &AccountId) -> Result<Arc<Member>, InvalidPool> {
        let members = self.members();
        let member = members.iter().find(|member| member.id == *account);
        let member = member.ok_or_else(|| InvalidPool::Unknown(account.clone()))?;
        Ok(Arc::clone(member))
    }

    /// Whether a refused request could go with another key.
    pub(crate) fn has_choice(&self) -> bool {
        match &*self.members() {
            [] => false,
            [only] => only.keys.len() > 1,
            _ => true,
        }
    }

    pub(crate) fn members(&self) -> Members {
        Arc::clone(
            &self
                .shared
                .members
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    fn edit(
        &self,
        change: impl FnOnce(&mut Vec<Arc<Member>>) -> Result<(), InvalidPool>,
    ) -> Result<(), InvalidPool> {
        let mut members = self
            .shared
            .members
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let mut changed = members.to_vec();
        change(&mut changed)?;
        *members = changed.into();
        Ok(())
    }
}

impl Shared {
    pub(crate) fn served(&self) -> MutexGuard<'_, u128> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for KeyPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = self.members();
        let accounts = members.iter().map(|member| (&member.id, &member.keys));
        f.debug_map().entries(accounts).finish()
    }
}
