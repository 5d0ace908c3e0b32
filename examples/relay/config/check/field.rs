//! What a single value of the file may be.

use std::collections::BTreeMap;
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_spanned::Spanned;

use super::Check;
use crate::config::secret;

impl Check<'_> {
    pub(super) fn keys(&mut self, given: &Spanned<Vec<Spanned<String>>>) -> Vec<SecretString> {
        if given.get_ref().is_empty() {
            self.problems
                .at(&given.span(), "at least one key is needed");
        }
        let mut keys = Vec::new();
        for key in given.get_ref() {
            match secret::look_up(key.get_ref(), self.path) {
                Ok(key) => keys.push(key),
                Err(wrong) => self.problems.at(&key.span(), wrong),
            }
        }
        keys
    }

    /// Sees to it that no key opens for two.
    pub(super) fn unique(
        &mut self,
        keys: &[SecretString],
        span: &Range<usize>,
        known: &mut Vec<SecretString>,
    ) {
        for key in keys {
            let mut others = known.iter();
            if others.any(|other| other.expose_secret() == key.expose_secret()) {
                let message = "this key opens for another client, too, or stands here twice";
                self.problems.at(span, message);
            }
            known.push(key.clone());
        }
    }

    pub(super) fn name(&mut self, what: &'static str, given: Spanned<String>) -> String {
        let span = given.span();
        let name = given.into_inner();
        if name.is_empty() || name.chars().any(char::is_control) {
            self.problems
                .at(&span, format!("this is no name for a {what}"));
        }
        if !self.names.insert((what, name.clone())) {
            self.problems
                .at(&span, format!("another {what} is named `{name}`, too"));
        }
        name
    }

    pub(super) fn place(
        &mut self,
        name: &Spanned<String>,
        what: &str,
        places: &BTreeMap<String, usize>,
    ) -> Option<usize> {
        let place = places.get(name.get_ref()).copied();
        if place.is_none() {
            let message = format!("no {what} is named `{}`", name.get_ref());
            self.problems.at(&name.span(), message);
        }
        place
    }

    pub(super) fn price(&mut self, given: &Spanned<f64>) -> f64 {
        if !given.get_ref().is_finite() || *given.get_ref() < 0.0 {
            self.problems
                .at(&given.span(), "a price cannot be negative");
        }
        *given.get_ref()
    }

    pub(super) fn positive<T: Copy + Default + PartialEq>(
        &mut self,
        given: Option<&Spanned<T>>,
        name: &str,
    ) -> Option<T> {
        let given = given?;
        if *given.get_ref() == T::default() {
            self.problems
                .at(&given.span(), format!("`{name}` must be at least 1"));
        }
        Some(*given.get_ref())
    }

    pub(super) fn duration(&mut self, given: Option<&Spanned<String>>, usual: u64) -> Duration {
        let usual = Duration::from_secs(usual);
        let Some(given) = given else { return usual };
        match humantime::parse_duration(given.get_ref()) {
            Ok(duration) if !duration.is_zero() => duration,
            _ => {
                self.wrong(
                    &given.span(),
                    "a length of time such as `500ms` or `2m 30s`",
                );
                usual
            }
        }
    }

    pub(super) fn parsed<T: FromStr>(
        &mut self,
        given: Option<&Spanned<String>>,
        expected: &str,
    ) -> Option<T> {
        let given = given?;
        let parsed = given.get_ref().parse().ok();
        if parsed.is_none() {
            self.wrong(&given.span(), expected);
        }
        parsed
    }

    pub(super) fn wrong(&mut self, span: &Range<usize>, expected: &str) {
        self.problems.at(span, format!("this should be {expected}"));
    }
}
