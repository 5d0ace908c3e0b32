use std::fmt;
use std::sync::Arc;

/// The name an account goes by in logs, metrics and partitions. Chosen by the user; never secret.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AccountId(Arc<str>);

/// What a key is shown as: enough to tell it from the others, too little to use it.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Fingerprint(Arc<str>);

/// Whose request this is, among callers that share a quota fairly. Insert it into a request's
/// extensions; without it all requests belong to one tenant.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Tenant(Arc<str>);

macro_rules! name {
    ($($name:ident),+) => {$(
        impl $name {
            /// Takes the name as it is.
            pub fn new(name: impl Into<Arc<str>>) -> Self {
                Self(name.into())
            }

            /// Returns the name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self::new(name)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

name!(AccountId, Fingerprint, Tenant);
