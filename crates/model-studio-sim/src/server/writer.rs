use super::random::mix;

const ENGLISH: &str = "A quota is a promise with a clock in it. Whoever sends faster than it allows is \
    told to wait, and whoever waits too long wastes what was promised. The art is to arrive just in \
    time, every time, and to let nobody stand in line longer than the work in front of him takes. \
    Count what you have sent, keep a little distance, and write down what came back. When the answer \
    says later, it means later and not never. When it says never, try another door. Small steps at \
    the start save long pauses afterwards. What was asked once need not be asked again, and what was \
    answered once should be kept. ";

const CHINESE: &str = "配额是一个带时钟的承诺。发得太快，就会被要求等待；等得太久，又浪费了承诺。关键在于每次都恰好准时\
    到达，不让任何人多排一刻队。记下已经发出的，留一点余地，也记下收到的回答。回答说稍后，就是稍后，而不是永远\
    不行。如果说永远不行，那就换一扇门。开始时走小步，可以省去后面的长等。问过一次的不必再问，答过一次的应当保存。";

/// Tokens by a rule of thumb that is close to Qwen's tokenizer and never needs one: four ASCII
/// characters, two of another alphabet, or one and a half Chinese, Japanese or Korean ones.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Weight {
    /// In twelfths of a token.
    twelfths: u64,
    /// The part of it that is Chinese, Japanese or Korean.
    wide: u64,
}

impl Weight {
    pub(super) fn of(text: &str) -> Self {
        if text.is_ascii() {
            return Self {
                twelfths: 3 * text.len() as u64,
                wide: 0,
            };
        }
        text.chars().fold(Self::default(), |weight, char| {
            let (twelfths, wide) = match char {
                '\0'..='\u{7f}' => (3, 0),
                '\u{2e80}'..='\u{d7ff}'
                | '\u{f900}'..='\u{faff}'
                | '\u{ff00}'..='\u{ffef}'
                | '\u{20000}'..='\u{3ffff}' => (8, 8),
                _ => (6, 0),
            };
            weight.and(Self { twelfths, wide })
        })
    }

    pub(super) const fn whole(tokens: u64) -> Self {
        Self {
            twelfths: tokens.saturating_mul(12),
            wide: 0,
        }
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self {
            twelfths: self.twelfths.saturating_add(other.twelfths),
            wide: self.wide.saturating_add(other.wide),
        }
    }

    pub(super) const fn tokens(self) -> u64 {
        self.twelfths.div_ceil(12)
    }

    pub(super) const fn is_mostly_wide(self) -> bool {
        self.wide * 2 > self.twelfths
    }
}

/// Writes answers of a given number of tokens, in English or Chinese.
#[derive(Debug)]
pub(super) struct Writer {
    english: Corpus,
    chinese: Corpus,
}

/// A text of characters of one width, which is read round and round.
#[derive(Debug)]
struct Corpus {
    text: &'static str,
    /// Bytes of every character.
    width: u64,
    /// Characters in two tokens.
    density: u64,
    /// Where sentences begin.
    starts: Vec<u64>,
}

/// A place in a corpus at which an answer begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    corpus: &'a Corpus,
    start: u64,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self {
            english: Corpus::new(ENGLISH, 1, 8, ". "),
            chinese: Corpus::new(CHINESE, 3, 3, "。"),
        }
    }

    /// The text for a prompt: the same for the same `seed`.
    pub(super) fn text(&self, wide: bool, seed: u64) -> Text<'_> {
        let corpus = if wide { &self.chinese } else { &self.english };
        let choices = corpus.starts.len().max(1) as u64;
        let choice = usize::try_from(mix(seed, 3) % choices).unwrap_or_default();
        Text {
            corpus,
            start: corpus.starts.get(choice).copied().unwrap_or_default(),
        }
    }
}

impl Corpus {
    fn new(text: &'static str, width: u64, density: u64, stop: &str) -> Self {
        let starts = text
            .match_indices(stop)
            .map(|(at, stop)| (at + stop.len()) as u64 % text.len() as u64)
            .collect();
        Self {
            text,
            width,
            density,
            starts,
        }
    }
}

impl Text<'_> {
    /// Appends tokens `from` up to `to` of the answer. Needs no escaping in JSON.
    pub(super) fn write(&self, from: u64, to: u64, out: &mut Vec<u8>) {
        let Corpus {
            text,
            width,
            density,
            ..
        } = *self.corpus;
        let length = text.len() as u64;
        let place = |tokens: u64| self.start + tokens * density / 2 * width;
        let (mut at, end) = (place(from), place(to));
        while at < end {
            let begin = at % length;
            let stop = length.min(begin + end - at);
            let piece = usize::try_from(begin)
                .ok()
                .zip(usize::try_from(stop).ok())
                .and_then(|(begin, stop)| text.as_bytes().get(begin..stop));
            out.extend_from_slice(piece.unwrap_or_default());
            at += stop - begin;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_weighs_what_it_was_said_to_weigh() {
        let writer = Writer::new();
        for wide in [false, true] {
            for seed in 0..20 {
                for tokens in [0, 1, 2, 3, 7, 200, 5000] {
                    let mut whole = Vec::new();
                    writer.text(wide, seed).write(0, tokens, &mut whole);
                    let whole = String::from_utf8(whole).unwrap();
                    assert_eq!(Weight::of(&whole).tokens(), tokens, "{whole}");
                    assert!(!whole.contains(['"', '\\', '\n']), "{whole}");

                    let mut parts = Vec::new();
                    for token in 0..tokens {
                        writer.text(wide, seed).write(token, token + 1, &mut parts);
                    }
                    assert_eq!(parts, whole.as_bytes());
                }
            }
        }
    }

    #[test]
    fn chinese_weighs_more_by_the_character_than_english() {
        assert_eq!(Weight::of("count on it!").tokens(), 3);
        assert_eq!(Weight::of("配额是一个承诺。").tokens(), 6);
        assert_eq!(Weight::of("квоты").tokens(), 3);
        assert!(Weight::of("请解释 quota").is_mostly_wide());
        assert!(!Weight::of("what does 配额 mean in this context").is_mostly_wide());
    }
}
