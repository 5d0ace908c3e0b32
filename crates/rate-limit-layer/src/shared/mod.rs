//! One quota for a fleet: instances that share accounts through Redis or Valkey.
//!
//! Several instances of a service that use the same accounts would each believe that it owns the quota. With a
//! [`SharedStore`] they take turns: the store hands out *slots*, each the right to send one request from a
//! certain moment on, in every window of the quota at once.
//!
//! ```no_run
//! use rate_limit_layer::shared::SharedStore;
//! use rate_limit_layer::{Limiter, Quota, RateLimitLayer};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let (store, driver) = SharedStore::connect("redis://127.0.0.1:6379").await?;
//! tokio::spawn(driver);
//! let limiter = Limiter::builder()
//!     .model("qwen3-max", Quota::new().requests_per_second(10).requests_per_minute(600))
//!     .shared(store)
//!     .build();
//! let layer = RateLimitLayer::new(limiter);
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//!
//! * **No window is exceeded by the whole fleet**, as by one [`Limiter`](crate::Limiter) alone. Clocks of
//!   instances do not matter: slots lie on the store's clock, which each instance knows as well as the
//!   fastest of its calls tells, and by what may be wrong with that all keep more distance.
//! * **Slots are granted in order, and each instance takes turns.** A slot is granted at most a second ahead,
//!   and more than two to a call only within a quarter of a second for all together, so what an instance holds that
//!   dies, or has no use for it any more, is little. A slot not used within 20 ms of its time, or of its coming, is
//!   given back.
//! * **A refusal holds back all**, and so does a quota that is exhausted; the guard is learned from everybody's
//!   answers. Tokens are settled in batches that no request waits for.
//! * **One call at a time** asks for the slots of all who wait at a partition of one instance.
//! * **[`set_quota`](crate::Limiter::set_quota) reaches every instance** that uses the same account and model:
//!   the one that was set last holds. The instance it is set on has to know the account: because it used the
//!   model with it, or by [`set_account_quota`](crate::Limiter::set_account_quota). Those who heard of it keep it for
//!   as long as they live, the store for twice the longest window after the last use: who joins later begins with the
//!   quota it was built with, until one who knows better uses the model. Instances that are built with different
//!   quotas agree on one of them.
//! * **Without the store they go on** as the [`Outage`] says: with their fair shares of what all wanted, unless set
//!   otherwise. It takes one [time limit] to find out, and not one for each request; what was granted is sent
//!   meanwhile. Then the store is tried up to ten times a second. Whoever waits goes on as well, also if the
//!   [`StoreDriver`] was dropped.
//! * **A store that forgot lets nobody exceed the quota.** Wiped, failed over or back from an outage, it
//!   grants nothing until every instance has told what it sent in its windows, or for a second and a half; for those
//!   that do not come it takes their part of the quota as used.
//! * **A clock that is set back reopens nothing.** That of the store counts on from where it was in what it keeps, and
//!   so does one of another server that takes over. That of an instance does not matter at all: what is measured
//!   there is time that passed.
//!
//! # What it needs
//!
//! Redis 6 or Valkey, alone or in a cluster, with Lua scripts, and not with a `maxmemory-policy` of `allkeys-…`,
//! which forgets what is in use. `rediss://` takes the feature `redis-tls`. It keeps 1 to 70 KB for each account and
//! model, for twice the longest window. Each instance calls it once a second for each of them that it uses, beside what
//! slots take, and seven times less often in a fleet of hundreds. All keys of one begin with the same hash tag, `{prefix:account:model}`, and go on with the version of the scripts.
//! A policy of `volatile-…`, as many services come with, may forget it as well once memory is full, since each key has its
//! time to live: that is taken for a wipe.
//!
//! Each instance should reach the store within a few milliseconds: a request that could go at once waits for
//! one call, and half of what a call takes is added to the guard. How long a call may take is the [time limit].
//!
//! `cargo bench -p rate-limit-layer --features redis --bench store` measures how many slots one core of a server grants.
//!
//! [time limit]: SharedStoreBuilder::time_limit

#![allow(
    clippy::float_cmp,
    reason = "scripts know no other numbers than doubles, and these are whole ones"
)]

mod answers;
mod builder;
mod calls;
mod clock;
mod driver;
mod error;
mod failure;
mod link;
mod local;
mod log;
mod member;
mod model;
mod number;
mod outage;
mod script;
mod server;
mod settling;
mod shape;
mod share;
mod store;
mod trust;
#[cfg(test)]
mod twin;
mod unrolled;
mod wire;

pub use self::builder::SharedStoreBuilder;
pub(crate) use self::calls::Kind;
pub use self::driver::StoreDriver;
pub use self::error::ConnectError;
pub use self::local::LocalStore;
pub(crate) use self::member::Member;
pub use self::outage::Outage;
pub(crate) use self::store::Inner;
pub use self::store::{SharedStore, StoreStats};
pub(crate) use self::wire::{Call, Reply};
