use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::random::mix;
use super::writer::Weight;

/// Tokens around every message, for its role and its end, and once for the start of the answer.
const PER_MESSAGE: u64 = 4;
const PER_PROMPT: u64 = 3;

/// What a picture, a sound or a film counts for, however large.
const PER_MEDIUM: u64 = 256;

/// All the text of a JSON value, weighed as it is read and not kept.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Prompt {
    weight: Weight,
    hash: u64,
    items: u64,
    is_number: bool,
}

impl Prompt {
    /// Tokens as a chat counts them.
    pub(super) const fn tokens(&self) -> u64 {
        self.weight.tokens() + self.items * PER_MESSAGE + PER_PROMPT
    }

    /// Tokens of the text alone.
    pub(super) const fn bare_tokens(&self) -> u64 {
        self.weight.tokens()
    }

    pub(super) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) const fn is_wide(&self) -> bool {
        self.weight.is_mostly_wide()
    }

    /// Entries of the outermost list, 1 for a single text.
    pub(super) const fn items(&self) -> u64 {
        self.items
    }

    fn text(text: &str) -> Self {
        let hash = text
            .as_bytes()
            .chunks(8)
            .fold(text.len() as u64, |hash, chunk| {
                let mut word = [0; 8];
                for (to, from) in word.iter_mut().zip(chunk) {
                    *to = *from;
                }
                mix(hash, u64::from_le_bytes(word))
            });
        Self {
            weight: Weight::of(text),
            hash,
            items: 1,
            is_number: false,
        }
    }

    const fn number(number: u64) -> Self {
        Self {
            weight: Weight::whole(1),
            hash: number,
            items: 1,
            is_number: true,
        }
    }

    fn add(&mut self, other: Self) {
        self.weight = self.weight.and(other.weight);
        self.hash = mix(self.hash, other.hash);
    }
}

impl<'de> Deserialize<'de> for Prompt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Prompt;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or messages")
    }

    fn visit_str<E>(self, text: &str) -> Result<Prompt, E> {
        Ok(Prompt::text(text))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Prompt, E> {
        Ok(Prompt::default())
    }

    fn visit_unit<E>(self) -> Result<Prompt, E> {
        Ok(Prompt::default())
    }

    // Numbers: token ids, in an embeddings request.
    fn visit_u64<E>(self, number: u64) -> Result<Prompt, E> {
        Ok(Prompt::number(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Prompt, E> {
        Ok(Prompt::number(number.unsigned_abs()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Prompt, E> {
        Ok(Prompt::number(number.to_bits()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Prompt, A::Error> {
        let mut all = Prompt::default();
        let mut numbers = false;
        while let Some(one) = seq.next_element::<Prompt>()? {
            all.add(one);
            all.items += 1;
            numbers |= one.is_number;
        }
        if numbers {
            // Token ids: one text, already cut up.
            all.items = 1;
        }
        Ok(all)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Prompt, A::Error> {
        let mut all = Prompt::default();
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Text => all.add(map.next_value()?),
                Key::Medium => {
                    map.next_value::<IgnoredAny>()?;
                    all.weight = all.weight.and(Weight::whole(PER_MEDIUM));
                }
                Key::Form => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(all)
    }
}

/// What the value behind a key is.
enum Key {
    Text,
    Medium,
    Form,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyReader;

        impl Visitor<'_> for KeyReader {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E>(self, key: &str) -> Result<Key, E> {
                Ok(match key {
                    "role" | "type" | "id" | "tool_call_id" => Key::Form,
                    "image_url" | "image" | "input_audio" | "audio" | "video" | "video_url" => {
                        Key::Medium
                    }
                    _ => Key::Text,
                })
            }
        }

        deserializer.deserialize_identifier(KeyReader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Prompt {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_prompt_is_its_text_and_four_tokens_a_message() {
        let one = read(r#"[{"role":"user","content":"count on it!"}]"#);
        assert_eq!(one.tokens(), 3 + 4 + 3);
        let parts = read(r#"[{"role":"user","content":[{"type":"text","text":"count on it!"}]}]"#);
        assert_eq!(parts.tokens(), one.tokens());
        let two =
            read(r#"[{"role":"system","content":null},{"role":"user","content":"count on it!"}]"#);
        assert_eq!(two.tokens(), one.tokens() + 4);
    }

    #[test]
    fn a_picture_counts_the_same_however_large() {
        let of = |url: &str| {
            read(&format!(
                r#"[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"{url}"}}}}]}}]"#
            ))
        };
        assert_eq!(of("x").tokens(), 256 + 4 + 3);
        assert_eq!(of(&"x".repeat(10_000)).tokens(), 256 + 4 + 3);
    }

    #[test]
    fn other_words_are_another_prompt() {
        let of = |text: &str| read(&format!(r#"[{{"role":"user","content":"{text}"}}]"#)).hash();
        assert_eq!(of("one"), of("one"));
        assert_ne!(of("one"), of("two"));
        assert_ne!(of("0123456701234567"), of("01234567"));
    }
}
