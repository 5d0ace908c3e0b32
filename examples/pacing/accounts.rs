use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Request;
use http::header::{AUTHORIZATION, HeaderValue};
use http_body_util::Full;
use rate_limit_layer::{Limiter, Quota, RateLimit, RateLimitLayer};
use throttle_signal::{AccountId, Headroom, RequestFacts};
use tokio::time::Instant;
use tower::{Layer, Service};

use crate::network::Network;

/// An account with one key and a quota of its own.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) key: String,
    pub(crate) per_minute: u32,
}

impl Account {
    pub(crate) fn all(per_minute: &[u32]) -> Vec<Self> {
        let accounts = per_minute.iter().enumerate();
        let accounts = accounts.map(|(index, &per_minute)| Self {
            id: AccountId::new(format!("account-{index}")),
            key: format!("sk-of-account-{index}"),
            per_minute,
        });
        accounts.collect()
    }

    pub(crate) fn credential(&self) -> HeaderValue {
        HeaderValue::try_from(format!("Bearer {}", self.key))
            .unwrap_or(HeaderValue::from_static(""))
    }
}

/// A limiter for each account: one limiter's quotas are the same for all accounts, and these are not.
#[derive(Clone, Debug)]
pub(crate) struct Limiters(Arc<[(AccountId, Limiter)]>);

impl Limiters {
    pub(crate) fn new(accounts: &[Account]) -> Self {
        let limiters = accounts.iter().map(|account| {
            let quota = Quota::new().requests_per_minute(account.per_minute.into());
            (account.id.clone(), Limiter::new(quota))
        });
        Self(limiters.collect())
    }

    pub(crate) fn over(&self, network: &Network) -> PerAccount {
        let limited = self.0.iter().map(|(id, limiter)| {
            let layer = RateLimitLayer::new(limiter.clone());
            (id.clone(), layer.layer(network.clone()))
        });
        PerAccount(limited.collect())
    }
}

impl Headroom for Limiters {
    fn earliest(&self, account: &AccountId, facts: &RequestFacts, now: Instant) -> Option<Instant> {
        let (_, limiter) = self.0.iter().find(|(id, _)| id == account)?;
        limiter.earliest(account, facts, now)
    }
}

/// Sends a request through the limiter of the account it was given.
#[derive(Clone, Debug)]
pub(crate) struct PerAccount(Vec<(AccountId, RateLimit<Network>)>);

impl Service<Request<Full<Bytes>>> for PerAccount {
    type Response = <RateLimit<Network> as Service<Request<Full<Bytes>>>>::Response;
    type Error = <RateLimit<Network> as Service<Request<Full<Bytes>>>>::Error;
    type Future = <RateLimit<Network> as Service<Request<Full<Bytes>>>>::Future;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // The network always is.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let account = RequestFacts::get(request.extensions()).and_then(RequestFacts::account);
        let index = self.0.iter().position(|(id, _)| Some(id) == account);
        self.0[index.unwrap_or_default()].1.call(request)
    }
}

/// What people write by hand: the next key for the next request.
#[derive(Clone, Debug)]
pub(crate) struct ByHand {
    accounts: Arc<[Account]>,
    next: Arc<AtomicUsize>,
    inner: PerAccount,
}

impl ByHand {
    pub(crate) fn new(accounts: Vec<Account>, inner: PerAccount) -> Self {
        Self {
            accounts: accounts.into(),
            next: Arc::default(),
            inner,
        }
    }
}

impl Service<Request<Full<Bytes>>> for ByHand {
    type Response = <PerAccount as Service<Request<Full<Bytes>>>>::Response;
    type Error = <PerAccount as Service<Request<Full<Bytes>>>>::Error;
    type Future = <PerAccount as Service<Request<Full<Bytes>>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Full<Bytes>>) -> Self::Future {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let account = &self.accounts[turn % self.accounts.len()];
        request
            .headers_mut()
            .insert(AUTHORIZATION, account.credential());
        let mut facts = RequestFacts::ensure(&mut request, Instant::now());
        facts.set_account(Some(account.id.clone()), None);
        request.extensions_mut().insert(facts);
        self.inner.call(request)
    }
}
