use std::fmt::Write;

/// How much of a message is kept: enough for a log line.
const LENGTH: usize = 200;

/// What ids and keys of the providers begin with.
const PREFIXES: [&str; 22] = [
    "sk-", "pk-", "rk-", "ak-", "sk_", "gsk_", "xai-", "hf_", "AIza", "AKIA", "ASIA", "LTAI",
    "Bearer", "org-", "org_", "proj-", "proj_", "user-", "user_", "acct_", "req_", "team-",
];

/// As much of a message as is needed to show its beginning whole.
pub(crate) fn beginning(text: &str) -> &str {
    let mut end = text.len().min(4 * LENGTH);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// A message of an upstream, cut to a line, with everything in it that looks like an id or a key
/// masked: `org-a1b2c3` becomes `org-…`.
pub(crate) fn redacted(text: &str) -> String {
    let mut clean = String::with_capacity(text.len().min(LENGTH + 8));
    let mut rest = text;
    while !rest.is_empty() {
        if clean.len() >= LENGTH {
            clean.push('…');
            break;
        }
        let end = rest
            .find(|letter: char| !is_of_word(letter))
            .unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        match prefix(word) {
            _ if after.starts_with('@') => clean.push('…'),
            Some(prefix) if word.len() > prefix.len() + 2 => {
                let _ = write!(clean, "{prefix}…");
            }
            _ if is_id(word) => clean.push('…'),
            _ => clean.push_str(word),
        }
        let mut letters = after.chars();
        match letters.next() {
            Some(letter) if letter.is_control() => clean.push(' '),
            Some(letter) => clean.push(letter),
            None => {}
        }
        rest = letters.as_str();
    }
    clean
}

fn is_of_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.')
}

fn prefix(word: &str) -> Option<&'static str> {
    PREFIXES.into_iter().find(|prefix| word.starts_with(prefix))
}

/// Whether a word looks drawn rather than written: a part of it is long and mixes digits with
/// letters, or is a number longer than any limit. Names of models have short parts and dates.
fn is_id(word: &str) -> bool {
    word.split(['-', '_', '.']).any(|part| {
        let digits = part.bytes().filter(u8::is_ascii_digit).count();
        digits >= 10 || (part.len() >= 10 && digits >= 2 && digits < part.len())
    }) || is_uuid(word)
}

fn is_uuid(word: &str) -> bool {
    word.len() == 36
        && word.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn masks_ids_and_keys_and_nothing_else() {
        for (text, clean) in [
            (
                "in organization org-AbC123xyz on tokens",
                "in organization org-… on tokens",
            ),
            (
                "Your account org-1a2b3c<ak-9z8y7x> reached",
                "Your account org-…<ak-…> reached",
            ),
            (
                "Incorrect API key: sk-proj-abcDEF012345.",
                "Incorrect API key: sk-…",
            ),
            (
                "team 01234567-89ab-cdef-0123-456789abcdef and model grok-4",
                "team … and model grok-4",
            ),
            ("account [2100000000] has", "account […] has"),
            ("mail to jane.doe@example.com", "mail to …@example.com"),
            (
                "for gpt-4o-2024-08-06, claude-3-5-sonnet-20241022, qwen3-max-2025-09-23",
                "for gpt-4o-2024-08-06, claude-3-5-sonnet-20241022, qwen3-max-2025-09-23",
            ),
            (
                "Limit 1500000, Used 1526210. Try again in 9m38.016s",
                "Limit 1500000, Used 1526210. Try again in 9m38.016s",
            ),
            ("two\nlines", "two lines"),
        ] {
            assert_eq!(redacted(text), clean);
        }
    }

    #[test]
    fn a_long_message_is_cut() {
        let clean = redacted(&"word ".repeat(100));
        assert!(clean.len() < 220 && clean.ends_with('…'), "{clean}");
    }

    proptest! {
        #[test]
        fn survives_every_text(text in "\\PC{0,80}") {
            redacted(&text);
        }

        #[test]
        fn no_key_gets_through(key in "[A-Za-z0-9]{20,48}") {
            let text = format!("key sk-{key} was refused");
            prop_assert!(!redacted(&text).contains(&key));
        }
    }
}
