use std::fmt;
use std::hash::{DefaultHasher, Hasher};

use http::{HeaderName, Request};
use replay_body::Replay;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// What tells which requests belong to one conversation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Conversation(By);

#[derive(Clone, Debug, Eq, PartialEq)]
enum By {
    Header(HeaderName),
    User,
    Messages(usize),
}

impl Conversation {
    /// The value of a header, such as `x-session-id`.
    #[must_use]
    pub const fn header(name: HeaderName) -> Self {
        Self(By::Header(name))
    }

    /// The `user` field of a JSON body.
    #[must_use]
    pub const fn user() -> Self {
        Self(By::User)
    }

    /// The first `count` messages of a JSON body, as they are written: two are the system's prompt
    /// and the user's first message, which stay as a conversation grows.
    #[must_use]
    pub const fn messages(count: usize) -> Self {
        Self(By::Messages(count))
    }
}

/// Tells the conversation of a request, where the pool's strategy wants to know it.
#[derive(Clone, Debug)]
pub(crate) struct Sticky {
    conversation: Conversation,
}

impl Sticky {
    pub(crate) const fn new(conversation: Conversation) -> Self {
        Self { conversation }
    }

    /// A number for the conversation `request` belongs to, if it tells one.
    pub(crate) fn conversation<B: Replay>(&self, request: &Request<B>) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        let known = match &self.conversation.0 {
            By::Header(name) => match request.headers().get(name) {
                Some(value) => {
                    hasher.write(value.as_bytes());
                    true
                }
                None => false,
            },
            By::User => hash_body(&request.body().bytes()?, "user", None, &mut hasher),
            By::Messages(count) => hash_body(
                &request.body().bytes()?,
                "messages",
                Some(*count),
                &mut hasher,
            ),
        };
        known.then(|| hasher.finish())
    }
}

impl Default for Sticky {
    fn default() -> Self {
        Self::new(Conversation::user())
    }
}

/// Hashes a field of a JSON object, or the first `items` of it; whether there is one.
fn hash_body(body: &[u8], field: &str, items: Option<usize>, hasher: &mut DefaultHasher) -> bool {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    Field {
        name: field,
        items,
        hasher,
    }
    .deserialize(&mut deserializer)
    .unwrap_or(false)
}

struct Field<'a> {
    name: &'a str,
    items: Option<usize>,
    hasher: &'a mut DefaultHasher,
}

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut found = false;
        while let Some(key) = map.next_key::<Key<'de>>()? {
            if key.0 != self.name {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value: &RawValue = map.next_value()?;
            found = match self.items {
                None => {
                    self.hasher.write(value.get().as_bytes());
                    value.get() != "null"
                }
                Some(items) => {
                    let mut list = serde_json::Deserializer::from_str(value.get());
                    let hashed = list.deserialize_seq(Items {
                        items,
                        hasher: self.hasher,
                    });
                    hashed.unwrap_or(false)
                }
            };
        }
        Ok(found)
    }
}

/// A key of an object, with its escapes resolved.
struct Key<'a>(std::borrow::Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(text.into()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(text.to_owned().into()))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

struct Items<'a> {
    items: usize,
    hasher: &'a mut DefaultHasher,
}

impl<'de> Visitor<'de> for Items<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
        let mut seen = 0;
        while let Some(item) = list.next_element::<&RawValue>()? {
            if seen < self.items {
                self.hasher.write(item.get().as_bytes());
                self.hasher.write_u8(0xff); // so that ["a","b"] is not ["a,b"]
            }
            seen += 1;
        }
        Ok(seen > 0)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::Full;

    use super::*;

    fn told(by: Conversation, body: &'static str) -> Option<u64> {
        let request = Request::builder()
            .header("x-session-id", "s1")
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        Sticky::new(by).conversation(&request)
    }

    #[test]
    fn tells_a_conversation_by_header_user_or_messages() {
        let header = |name| Conversation::header(HeaderName::from_static(name));
        assert!(told(header("x-session-id"), "").is_some());
        assert!(told(header("x-other"), "").is_none());

        let user = |body| told(Conversation::user(), body);
        assert_eq!(
            user(r#"{"user":"u1","n":1}"#),
            user(r#"{"n":2,"user":"u1"}"#)
        );
        assert_ne!(user(r#"{"user":"u1"}"#), user(r#"{"user":"u2"}"#));
        assert_eq!(user(r#"{"inner":{"user":"u1"}}"#), None);
        assert_eq!(user(r#"{"user":null}"#), None);
        assert_eq!(user("not json"), None);

        let messages = |body| told(Conversation::messages(2), body);
        let begun = messages(r#"{"messages":["s","u"]}"#);
        assert!(begun.is_some());
        assert_eq!(messages(r#"{"messages":["s","u","a","u2"]}"#), begun);
        assert_ne!(messages(r#"{"messages":["s","v"]}"#), begun);
        assert_eq!(messages(r#"{"messages":[]}"#), None);
        assert_eq!(messages(r#"{"messages":"text"}"#), None);
    }
}
