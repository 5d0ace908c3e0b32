use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// Where a member of the top level is.
pub(crate) struct Member<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) key: Range<usize>,
    pub(crate) value: Range<usize>,
}

/// The members of the top level; `None` if `body` is not one whole JSON object.
pub(crate) fn members(body: &[u8]) -> Option<Vec<Member<'_>>> {
    let text = std::str::from_utf8(body).ok()?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let members = deserializer
        .deserialize_map(Members {
            base: text.as_ptr() as usize,
        })
        .ok()?;
    deserializer.end().ok()?;
    Some(members)
}

struct Members {
    // Where the text begins, to tell where its parts are.
    base: usize,
}

impl<'de> Visitor<'de> for Members {
    type Value = Vec<Member<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let span = |raw: &RawValue| {
            let start = raw.get().as_ptr() as usize - self.base;
            start..start + raw.get().len()
        };
        let mut members = Vec::new();
        while let Some(key) = map.next_key::<&RawValue>()? {
            let value = map.next_value::<&RawValue>()?;
            members.push(Member {
                name: unescape(key.get()),
                key: span(key),
                value: span(value),
            });
        }
        Ok(members)
    }
}

/// The text of a JSON string. Only a key with escapes is copied.
fn unescape(json: &str) -> Cow<'_, str> {
    let bare = json
        .strip_prefix('"')
        .and_then(|json| json.strip_suffix('"'));
    match bare {
        Some(bare) if !bare.contains('\\') => Cow::Borrowed(bare),
        _ => serde_json::from_str::<String>(json).map_or(Cow::Borrowed(json), Cow::Owned),
    }
}
