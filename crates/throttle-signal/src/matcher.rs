use std::fmt;

use aho_corasick::AhoCorasick;

use crate::Rule;
use crate::stated::MARKERS;

/// All stems of a profile's rules in one automaton, so that a text is gone through once, however
/// many rules there are.
pub(crate) struct Matcher {
    // `None` only if the stems outgrow what the automaton can count, which no table comes near.
    stems: Option<AhoCorasick>,
    words: usize,
    rules: Vec<Stems>,
}

/// The stems of one rule, by number.
struct Stems {
    text: Vec<usize>,
    and: Vec<usize>,
    without: Vec<usize>,
}

/// What a text was found to contain.
#[derive(Debug, Default)]
pub(crate) struct Found {
    stems: Vec<u64>,
    /// Where a number may follow that is a wait or a limit: index into [`MARKERS`], text, end.
    pub(crate) markers: Vec<(usize, usize, usize)>,
}

impl Matcher {
    /// The first stems are the [`MARKERS`], so that a number below their count is one.
    pub(crate) fn new(rules: &[Rule]) -> Self {
        let mut stems: Vec<&'static str> = MARKERS.iter().map(|marker| marker.stem).collect();
        let rules = rules
            .iter()
            .map(|rule| Stems {
                text: numbers(&mut stems, rule.text),
                and: numbers(&mut stems, rule.and),
                without: numbers(&mut stems, rule.without),
            })
            .collect();
        Self {
            stems: AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .build(&stems)
                .ok(),
            words: stems.len().div_ceil(64),
            rules,
        }
    }

    pub(crate) fn find<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> Found {
        let mut found = Found {
            stems: vec![0; self.words],
            markers: Vec::new(),
        };
        let Some(stems) = &self.stems else {
            return found;
        };
        for (number, text) in texts.into_iter().enumerate() {
            for hit in stems.find_overlapping_iter(text) {
                let stem = hit.pattern().as_usize();
                if let Some(word) = found.stems.get_mut(stem / 64) {
                    *word |= 1 << (stem % 64);
                }
                if stem < MARKERS.len() {
                    found.markers.push((stem, number, hit.end()));
                }
            }
        }
        found
    }

    /// Whether the texts are as rule `number` requires.
    pub(crate) fn holds(&self, number: usize, found: &Found) -> bool {
        let Some(rule) = self.rules.get(number) else {
            return false;
        };
        let any = |stems: &[usize]| stems.iter().any(|stem| found.has(*stem));
        (rule.text.is_empty() || any(&rule.text))
            && (rule.and.is_empty() || any(&rule.and))
            && !any(&rule.without)
    }
}

impl Found {
    fn has(&self, stem: usize) -> bool {
        self.stems
            .get(stem / 64)
            .is_some_and(|word| word & (1 << (stem % 64)) != 0)
    }
}

/// Gives every stem a number, the same to the same.
fn numbers(all: &mut Vec<&'static str>, stems: &'static [&'static str]) -> Vec<usize> {
    stems
        .iter()
        .map(|stem| {
            let known = all.iter().skip(MARKERS.len()).position(|one| one == stem);
            known.map_or_else(
                || {
                    all.push(stem);
                    all.len() - 1
                },
                |position| position + MARKERS.len(),
            )
        })
        .collect()
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matcher").finish_non_exhaustive()
    }
}
