use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use subtle::{Choice, ConstantTimeEq};
use throttle_signal::Tenant;

use crate::config;
use crate::refusal::Refusal;

/// Who may ask, and how much.
#[derive(Debug)]
pub(crate) struct Gate {
    clients: Vec<Arc<Client>>,
    admins: Vec<SecretString>,
}

/// One who may ask.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) name: Arc<str>,
    keys: Vec<SecretString>,
    models: Vec<String>,
    pub(crate) priority: i32,
    /// A tenant for each unit of its weight, taken in turn: fair turns for tenants are then turns in
    /// proportion to weights.
    tenants: Vec<Tenant>,
    turn: AtomicUsize,
    rpm: Option<(u32, DefaultDirectRateLimiter)>,
    concurrent: Option<usize>,
    open: Arc<AtomicUsize>,
}

/// One of the requests a client may have open at once.
#[derive(Debug)]
pub(crate) struct Place {
    open: Arc<AtomicUsize>,
}

impl Gate {
    /// A gate for these; limits that stay go on counting where `old` is.
    pub(crate) fn new(
        clients: &[config::Client],
        admins: &[SecretString],
        old: Option<&Self>,
    ) -> Self {
        let clients = clients.iter().map(|client| {
            let old = old.and_then(|old| old.clients.iter().find(|old| *old.name == client.name));
            Arc::new(Client::new(client, old))
        });
        Self {
            clients: clients.collect(),
            admins: admins.to_vec(),
        }
    }

    /// Finds whose key a request carries.
    ///
    /// Every key is compared, each in a time that depends on its length alone.
    ///
    /// # Errors
    ///
    /// It carries none, or nobody's.
    pub(crate) fn open(&self, headers: &HeaderMap) -> Result<&Arc<Client>, Refusal> {
        let key = presented(headers).ok_or(Refusal::WrongKey)?;
        let mut found = None;
        for client in &self.clients {
            if opens(&client.keys, key) {
                found = Some(client);
            }
        }
        found.ok_or(Refusal::WrongKey)
    }

    /// Finds out whether a request carries an operator's key.
    ///
    /// # Errors
    ///
    /// It does not, or there is none.
    pub(crate) fn open_to_admin(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        if self.admins.is_empty() {
            return Err(Refusal::UnknownPath);
        }
        match presented(headers) {
            Some(key) if opens(&self.admins, key) => Ok(()),
            _ => Err(Refusal::WrongKey),
        }
    }
}

/// Whether a key is one of these. Each is compared, in a time that depends on its length alone.
fn opens(keys: &[SecretString], key: &[u8]) -> bool {
    let mut opens = Choice::from(0);
    for known in keys {
        opens |= known.expose_secret().as_bytes().ct_eq(key);
    }
    bool::from(opens)
}

/// The key in `Authorization: Bearer`, or in the headers that Azure's and Anthropic's clients use.
fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(value) = headers.get(AUTHORIZATION) {
        let (scheme, key) = value.as_bytes().split_at_checked(7)?;
        return scheme
            .eq_ignore_ascii_case(b"bearer ")
            .then(|| key.trim_ascii());
    }
    let other = headers.get("api-key").or_else(|| headers.get("x-api-key"));
    other.map(HeaderValue::as_bytes)
}

impl Client {
    fn new(client: &config::Client, old: Option<&Arc<Self>>) -> Self {
        let limiter = |rpm| {
            let quota = Quota::per_minute(NonZeroU32::new(rpm).unwrap_or(NonZeroU32::MIN));
            RateLimiter::direct(quota)
        };
        let tenant = |turn| match turn {
            0 => Tenant::from(client.tenant.as_str()),
            turn => Tenant::new(format!("{}#{turn}", client.tenant)),
        };
        Self {
            name: client.name.as_str().into(),
            keys: client.keys.clone(),
            models: client.models.clone(),
            priority: client.priority,
            tenants: (0..client.weight.max(1)).map(tenant).collect(),
            turn: AtomicUsize::new(0),
            rpm: client.rpm.map(|rpm| (rpm, limiter(rpm))),
            concurrent: client.concurrent,
            open: old.map_or_else(Arc::default, |old| Arc::clone(&old.open)),
        }
    }

    /// Lets one more request in.
    ///
    /// # Errors
    ///
    /// The client has as many as it may, in a minute or at once.
    pub(crate) fn admit(&self) -> Result<Option<Place>, Refusal> {
        let place = match self.concurrent {
            None => None,
            Some(most) => {
                let place = Place::take(&self.open);
                if self.open.load(Ordering::Relaxed) > most {
                    return Err(Refusal::TooManyAtOnce(most));
                }
                Some(place)
            }
        };
        if let Some((_, rpm)) = &self.rpm {
            rpm.check().map_err(|not_until| {
                Refusal::TooFast(not_until.wait_time_from(DefaultClock::default().now()))
            })?;
        }
        Ok(place)
    }

    /// Whether it may use a model by this name.
    pub(crate) fn may_use(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|name| name == model)
    }

    /// Whom its next request is shared among fairly as.
    pub(crate) fn tenant(&self) -> &Tenant {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.tenants.len();
        &self.tenants[turn]
    }
}

impl Place {
    fn take(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self {
            open: Arc::clone(open),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}
