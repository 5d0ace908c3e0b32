use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Request;
use http::header::{AUTHORIZATION, HeaderValue};
use http_body_util::Full;
use rate_limit_layer::{Limiter, Quota, RateLimit};
use throttle_signal::{AccountId, RequestFacts};
use tokio::time::Instant;
use tower::Service;

use crate::job::MODEL;
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

/// One limiter, which knows what each account may use.
pub(crate) fn limiter(accounts: &[Account]) -> Limiter {
    let accounts = accounts.iter();
    let builder = accounts.fold(Limiter::builder(), |builder, account| {
        let quota = Quota::new().requests_per_minute(account.per_minute.into());
        builder.account_model(account.id.clone(), MODEL, quota)
    });
    builder.build()
}

/// What people write by hand: the next key for the next request.
#[derive(Clone, Debug)]
pub(crate) struct ByHand {
    accounts: Arc<[Account]>,
    next: Arc<AtomicUsize>,
    inner: RateLimit<Network>,
}

impl ByHand {
    pub(crate) fn new(accounts: Vec<Account>, inner: RateLimit<Network>) -> Self {
        Self {
            accounts: accounts.into(),
            next: Arc::default(),
            inner,
        }
    }
}

impl Service<Request<Full<Bytes>>> for ByHand {
    type Response = <RateLimit<Network> as Service<Request<Full<Bytes>>>>::Response;
    type Error = <RateLimit<Network> as Service<Request<Full<Bytes>>>>::Error;
    type Future = <RateLimit<Network> as Service<Request<Full<Bytes>>>>::Future;

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
