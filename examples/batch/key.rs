use std::fmt;

use anyhow::{Result, bail};
use secrecy::{ExposeSecret, SecretString};

/// The account of keys that name none: they share one quota until told otherwise.
const ACCOUNT: &str = "default";

/// What is shown in place of a key.
const HIDDEN: &str = "***";

/// No provider's keys are as short.
const SHORT: usize = 8;

/// A key and the account whose quota it draws on, from `KEY` or `KEY@ACCOUNT`.
///
/// Reading one never fails, so that no error message repeats what was given; what is wrong with it
/// is found by [`Accounts::collect`].
#[derive(Clone)]
pub(crate) struct Key {
    account: String,
    secret: SecretString,
}

/// Keys by account, in the order in which they were given.
#[derive(Debug)]
pub(crate) struct Accounts(Vec<(String, Vec<SecretString>)>);

impl From<&str> for Key {
    fn from(given: &str) -> Self {
        let (secret, account) = given.rsplit_once('@').unwrap_or((given, ACCOUNT));
        Self {
            account: account.trim().to_owned(),
            secret: secret.trim().to_owned().into(),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

impl Accounts {
    /// Gathers keys by account.
    ///
    /// # Errors
    ///
    /// Fails if there is none, or one is empty or cannot stand in a header. No message holds a key.
    pub(crate) fn collect(keys: impl IntoIterator<Item = Key>) -> Result<Self> {
        let mut accounts: Vec<(String, Vec<SecretString>)> = Vec::new();
        for (index, key) in keys.into_iter().enumerate() {
            let secret = key.secret.expose_secret();
            if secret.is_empty() {
                bail!(
                    "key number {} is empty; give it as KEY or KEY@ACCOUNT",
                    index + 1
                );
            }
            if key.account.is_empty() {
                bail!(
                    "key number {} has no account after the @; give it as KEY or KEY@ACCOUNT",
                    index + 1
                );
            }
            if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
                bail!(
                    "key number {} holds a character that no key has; copy it again from the console",
                    index + 1
                );
            }
            match accounts
                .iter_mut()
                .find(|(account, _)| *account == key.account)
            {
                Some((_, keys)) => keys.push(key.secret),
                None => accounts.push((key.account, vec![key.secret])),
            }
        }
        if accounts.is_empty() {
            bail!(
                "no key: give one by --key KEY[@ACCOUNT] or in the environment as DASHSCOPE_API_KEYS"
            );
        }
        Ok(Self(accounts))
    }

    /// Keys of an environment variable, separated by commas or blanks.
    pub(crate) fn listed(list: &str) -> impl Iterator<Item = Key> {
        list.split([',', ' ', '\t', '\n'])
            .filter(|key| !key.is_empty())
            .map(Key::from)
    }

    /// The accounts with their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &[SecretString])> {
        self.0
            .iter()
            .map(|(account, keys)| (account.as_str(), keys.as_slice()))
    }

    /// `text` with every key in it made unreadable: some endpoints repeat what they were given.
    ///
    /// A key too short to be one, as for a server of one's own, is looked for as a word only: it may
    /// stand in any other.
    pub(crate) fn redact(&self, text: &str) -> String {
        let keys = self.0.iter().flat_map(|(_, keys)| keys);
        let keys = keys.map(ExposeSecret::expose_secret);
        keys.fold(text.to_owned(), |text, key| {
            if key.len() < SHORT {
                replace_word(&text, key)
            } else {
                text.replace(key, HIDDEN)
            }
        })
    }

    /// How many accounts there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

fn replace_word(text: &str, word: &str) -> String {
    let part = |char: char| char.is_alphanumeric() || matches!(char, '-' | '_');
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        replaced += before;
        let alone = !replaced.ends_with(part) && !after.starts_with(part);
        replaced += if alone { HIDDEN } else { word };
        rest = after;
    }
    replaced + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gather(given: &[&str]) -> Result<Vec<(String, Vec<String>)>> {
        let accounts = Accounts::collect(given.iter().copied().map(Key::from))?;
        let expose = |keys: &[SecretString]| {
            keys.iter()
                .map(|key| key.expose_secret().to_owned())
                .collect()
        };
        Ok(accounts
            .iter()
            .map(|(account, keys)| (account.to_owned(), expose(keys)))
            .collect())
    }

    #[test]
    fn keys_of_one_account_stay_together() {
        let accounts = gather(&["sk-1@a", "sk-2@b", "sk-3@a", "sk-4"]).unwrap();
        let expected = [
            ("a", vec!["sk-1", "sk-3"]),
            ("b", vec!["sk-2"]),
            ("default", vec!["sk-4"]),
        ];
        assert_eq!(accounts.len(), expected.len());
        for ((account, keys), (expected, secrets)) in accounts.iter().zip(expected) {
            assert_eq!((account.as_str(), keys.len()), (expected, secrets.len()));
            assert!(keys.iter().zip(secrets).all(|(key, secret)| key == secret));
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_key_and_never_repeats_it() {
        for given in ["", "@a", "sk-hidden@", "sk-hidden\u{e9}", "sk-hidden two"] {
            let error = gather(&["sk-hidden", given]).unwrap_err().to_string();
            assert!(error.contains("number 2"), "{error}");
            assert!(!error.contains("hidden"), "{error}");
        }
        assert!(
            gather(&[])
                .unwrap_err()
                .to_string()
                .contains("DASHSCOPE_API_KEYS")
        );
        assert!(!format!("{:?}", Key::from("sk-hidden@a")).contains("hidden"));
    }

    #[test]
    fn keys_that_an_endpoint_repeats_are_made_unreadable() {
        let accounts = Accounts::collect([Key::from("sk-1@a"), Key::from("sk-2@b")]).unwrap();
        assert_eq!(accounts.redact("no such key: sk-2"), "no such key: ***");

        let short = Accounts::collect([Key::from("k"), Key::from("sk-hidden")]).unwrap();
        let said = "check `k`, k-1 and the network: kk, \"sk-hidden\", k";
        let shown = "check `***`, k-1 and the network: kk, \"***\", ***";
        assert_eq!(short.redact(said), shown);
        assert_eq!(short.redact("Bearersk-hiddenx"), "Bearer***x");
    }

    #[test]
    fn reads_a_list() {
        assert_eq!(Accounts::listed("sk-1@a, sk-2\n sk-3@b,").count(), 3);
    }
}
