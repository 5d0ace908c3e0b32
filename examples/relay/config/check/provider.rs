//! What is said of providers and of the accounts there.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use http::HeaderName;
use key_rotation_layer::{Credential, Strategy};
use serde_spanned::Spanned;
use throttle_signal::Profile;

use super::Check;
use crate::config::{Account, Base, Provider, file};

impl Check<'_> {
    pub(super) fn provider(&mut self, given: file::Provider) -> Provider {
        let base = Base::parse(given.base_url.get_ref().trim()).unwrap_or_else(|wrong| {
            self.problems.at(&given.base_url.span(), wrong);
            Base::nowhere()
        });
        let profile = given.profile.and_then(|name| {
            let found = Profile::named(name.get_ref());
            if found.is_none() {
                let known: Vec<_> = Profile::names().collect();
                let known = known.join("`, `");
                let message = format!(
                    "no profile is named `{}`; known are `{known}`",
                    name.get_ref()
                );
                self.problems.at(&name.span(), message);
            }
            found
        });
        let strategy = match given.strategy.as_ref().map(|name| name.get_ref().as_str()) {
            None | Some("earliest_slot") => Strategy::earliest_slot(),
            Some("round_robin") => Strategy::round_robin(),
            Some("weighted") => Strategy::weighted(),
            Some("least_recently_used") => Strategy::least_recently_used(),
            Some("fill_first") => Strategy::fill_first(),
            Some("sticky") => Strategy::sticky(Duration::from_secs(2)),
            Some(other) => {
                let span = given.strategy.as_ref().map_or(0..0, Spanned::span);
                let known = "`earliest_slot`, `round_robin`, `weighted`, `least_recently_used`, \
                             `fill_first`, `sticky`";
                let message = format!("no strategy is named `{other}`; known are {known}");
                self.problems.at(&span, message);
                Strategy::earliest_slot()
            }
        };
        Provider {
            name: self.name("provider", given.name),
            base,
            credential: self.credential(given.credential),
            profile,
            strategy,
            accounts: Vec::new(),
        }
    }

    fn credential(&mut self, given: Option<Spanned<file::Credential>>) -> Credential {
        let span = given.as_ref().map_or(0..0, Spanned::span);
        match given.map(Spanned::into_inner) {
            None | Some(file::Credential::Bearer) => Credential::bearer(),
            Some(file::Credential::Query(name)) => Credential::query(name),
            Some(file::Credential::Header(name)) => {
                if let Ok(name) = HeaderName::from_str(&name) {
                    return Credential::header(name);
                }
                self.problems
                    .at(&span, format!("`{name}` cannot be the name of a header"));
                Credential::bearer()
            }
        }
    }

    pub(super) fn account(
        &mut self,
        given: file::Account,
        places: &BTreeMap<String, usize>,
        providers: &mut [Provider],
    ) {
        let account = Account {
            name: self.name("account", given.name),
            keys: self.keys(&given.keys),
            weight: self.positive(given.weight.as_ref(), "weight").unwrap_or(1),
        };
        if let Some(place) = self.place(&given.provider, "provider", places) {
            providers[place].accounts.push(account);
        }
    }
}
