use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::Rule;
use crate::matcher::Matcher;
use crate::profiles;
use crate::rule::Place;

/// How one provider puts its refusals: a table of [`Rule`]s, and the hosts it is for.
///
/// The same bytes mean different things at different providers, so the host chooses the profile.
/// Where it cannot (loopback, a relay, a tonic channel) name it: [`Reader::profile`](crate::Reader::profile). After the
/// rules of a profile come those of [`generic`](Self::generic), which reads strangers carefully.
///
/// The built-in profiles and their names: see [`Profile::names`].
///
/// # Example
///
/// ```
/// use throttle_signal::{Kind, Profile, Reader, Rule, Scope};
///
/// // A relay that speaks like Model Studio, but has a code of its own.
/// let relay = Profile::named("model-studio")
///     .unwrap_or_else(Profile::generic)
///     .rename("our-relay")
///     .rule(Rule::new("night shift").code(&["closed_at_night"]).means(Kind::Overloaded, Scope::Server))
///     .host("relay.example");
/// let reader = Reader::new().also(relay);
/// # let _ = reader;
/// ```
#[derive(Clone)]
pub struct Profile(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    name: Cow<'static, str>,
    hosts: Vec<Cow<'static, str>>,
    own: usize,
    rules: Vec<Rule>,
    in_success: bool,
    compiled: OnceLock<Arc<Compiled>>,
}

/// What is made of the rules when they are first asked.
struct Compiled {
    matcher: Matcher,
    // What each rule is called in a verdict.
    because: Vec<Arc<str>>,
}

/// A built-in profile.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) hosts: &'static [&'static str],
    pub(crate) rules: &'static [&'static [Rule]],
    /// Whether errors come with a success's status.
    pub(crate) in_success: bool,
}

impl Profile {
    /// Creates a profile without rules or hosts of its own: what [`generic`](Self::generic) says.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self::generic().rename(name)
    }

    /// The profile for strangers.
    ///
    /// It decides by codes and words that mean the same nearly everywhere, then by the status. An
    /// `insufficient_quota` from a stranger is read as a token rate: taking a limit of a minute for
    /// the end of the money stops a job, the reverse costs a few refusals.
    #[must_use]
    pub fn generic() -> Self {
        profiles::generic()
    }

    /// The built-in profile of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        profiles::all()
            .iter()
            .find(|one| one.name() == name)
            .cloned()
    }

    /// The names of all built-in profiles.
    pub fn names() -> impl Iterator<Item = &'static str> {
        profiles::tables().map(|table| table.name)
    }

    /// The profile's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Gives it another name, and takes its hosts away.
    #[must_use]
    pub fn rename(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        let inner = self.edit();
        inner.name = name.into();
        inner.hosts.clear();
        self
    }

    /// Adds a host: itself and everything below it, so that `example.com` is also for
    /// `api.example.com` and `eu-west-api.example.com`.
    #[must_use]
    pub fn host(mut self, host: impl Into<Cow<'static, str>>) -> Self {
        self.edit().hosts.push(host.into());
        self
    }

    /// Adds a rule. It is tried before the profile's own, after those added earlier.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        let inner = self.edit();
        inner.rules.insert(inner.own, rule);
        inner.own += 1;
        self
    }

    /// Sets whether errors may come with a success's status, so that the beginning of a success is
    /// looked at, too. It costs a copy of up to 8 KiB and delays such an answer to its first part.
    #[must_use]
    pub fn errors_in_success(mut self, in_success: bool) -> Self {
        self.edit().in_success = in_success;
        self
    }

    pub(crate) fn from_table(table: &Table) -> Self {
        let (last, first): (Vec<_>, Vec<_>) = table
            .rules
            .concat()
            .into_iter()
            .partition(|rule| rule.place == Place::Last);
        let rules = [
            profiles::generic::LIBRARY,
            &first,
            &profiles::generic::RULES.concat(),
            &last,
            &profiles::generic::LATE.concat(),
        ];
        Self(Arc::new(Inner {
            name: Cow::Borrowed(table.name),
            hosts: table
                .hosts
                .iter()
                .map(|host| Cow::Borrowed(*host))
                .collect(),
            own: 0,
            rules: rules.concat(),
            in_success: table.in_success,
            compiled: OnceLock::new(),
        }))
    }

    pub(crate) fn hides_errors(&self) -> bool {
        self.0.in_success
    }

    pub(crate) fn is_for(&self, host: &str) -> bool {
        self.0.hosts.iter().any(|one| is_below(one, host))
    }

    pub(crate) fn rules(&self) -> &[Rule] {
        &self.0.rules
    }

    pub(crate) fn matcher(&self) -> &Matcher {
        &self.compiled().matcher
    }

    /// What rule `number` is called: profile and rule.
    pub(crate) fn because(&self, number: usize) -> Arc<str> {
        let because = self.compiled().because.get(number).cloned();
        because.unwrap_or_else(|| Arc::from(self.name()))
    }

    fn compiled(&self) -> &Compiled {
        let Inner { rules, name, .. } = &*self.0;
        self.0.compiled.get_or_init(|| {
            let because = rules
                .iter()
                .map(|rule| format!("{name}: {}", rule.name).into());
            Arc::new(Compiled {
                matcher: Matcher::new(rules),
                because: because.collect(),
            })
        })
    }

    fn edit(&mut self) -> &mut Inner {
        let inner = Arc::make_mut(&mut self.0);
        inner.compiled = OnceLock::new();
        inner
    }
}

/// Whether `host` is `of` or ends in it behind a `.` or `-`. Ports are no part of either.
pub(crate) fn is_below(of: &str, host: &str) -> bool {
    let (of, host) = (of.as_bytes(), host.as_bytes());
    let Some(at) = host.len().checked_sub(of.len()) else {
        return false;
    };
    host[at..].eq_ignore_ascii_case(of) && (at == 0 || matches!(host[at - 1], b'.' | b'-'))
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile")
            .field("name", &self.0.name)
            .field("hosts", &self.0.hosts)
            .field("rules", &self.0.rules.len())
            .finish_non_exhaustive()
    }
}
