use std::fmt;

use aho_corasick::Anchored;
use aho_corasick::automaton::Automaton;
use aho_corasick::nfa::contiguous::NFA;

use crate::Rule;
use crate::stated::MARKERS;

/// All patterns of a profile's rules in two automata, so that messages and codes are gone through
/// once, however many rules there are, and only rules of which something was found are asked.
pub(crate) struct Matcher {
    stems: Patterns,
    codes: Patterns,
    rules: Vec<Needs>,
    // Rules that need nothing of the body.
    always: Bits,
}

/// The patterns one rule needs, by number.
#[derive(Default)]
struct Needs {
    code: Vec<usize>,
    text: Vec<usize>,
    and: Vec<usize>,
    without: Vec<usize>,
}

/// What a body was found to contain.
#[derive(Debug)]
pub(crate) struct Found {
    stems: Bits,
    codes: Bits,
    // Rules of which something was found, or that need nothing.
    candidates: Bits,
    /// Where a number may follow that is a wait or a limit: index into [`MARKERS`], text, end.
    pub(crate) markers: Vec<(usize, usize, usize)>,
}

impl Matcher {
    /// The first stems are the [`MARKERS`], so that a number below their count is one.
    pub(crate) fn new(rules: &[Rule]) -> Self {
        let mut stems = Names(MARKERS.iter().map(|marker| marker.stem).collect());
        let mut codes = Names(Vec::new());
        let rules: Vec<_> = rules
            .iter()
            .map(|rule| Needs {
                code: codes.numbers(rule.code, 0),
                text: stems.numbers(rule.text, MARKERS.len()),
                and: stems.numbers(rule.and, MARKERS.len()),
                without: stems.numbers(rule.without, MARKERS.len()),
            })
            .collect();
        let mut stems = Patterns::new(&stems.0);
        let mut codes = Patterns::new(&codes.0);
        let mut always = Bits::new(rules.len());
        for (number, rule) in rules.iter().enumerate() {
            if let Some(needed) = rule.code.first().map(|_| &rule.code) {
                codes.point(needed, number);
            } else if rule.text.is_empty() {
                always.set(number);
            } else {
                stems.point(&rule.text, number);
            }
        }
        Self {
            stems,
            codes,
            rules,
            always,
        }
    }

    pub(crate) fn find<'t>(
        &self,
        codes: impl IntoIterator<Item = &'t str>,
        texts: impl IntoIterator<Item = &'t str>,
    ) -> Found {
        let mut found = Found {
            stems: Bits::new(self.stems.globs.len()),
            codes: Bits::new(self.codes.globs.len()),
            candidates: self.always.clone(),
            markers: Vec::new(),
        };
        let mut last = None;
        for code in codes {
            // A type and a code are often the same.
            if last.replace(code) == Some(code) {
                continue;
            }
            self.codes.each(code, |pattern, whole, _| {
                if whole {
                    found.codes.set(pattern);
                    found.candidates.set_all(&self.codes.rules, pattern);
                }
            });
        }
        for (number, text) in texts.into_iter().enumerate() {
            self.stems.each(text, |stem, _, end| {
                found.stems.set(stem);
                found.candidates.set_all(&self.stems.rules, stem);
                if stem < MARKERS.len() && found.markers.len() < 64 {
                    found.markers.push((stem, number, end));
                }
            });
        }
        found
    }

    /// The first rule, in their order, of which `found` has all it needs and that `applies`.
    pub(crate) fn first(
        &self,
        found: &Found,
        mut applies: impl FnMut(usize) -> bool,
    ) -> Option<usize> {
        found.candidates.ones().find(|number| {
            self.rules.get(*number).is_some_and(|rule| {
                let stems = |needed: &[usize]| needed.iter().any(|stem| found.stems.has(*stem));
                (rule.code.is_empty() || rule.code.iter().any(|code| found.codes.has(*code)))
                    && (rule.text.is_empty() || stems(&rule.text))
                    && (rule.and.is_empty() || stems(&rule.and))
                    && !stems(&rule.without)
            }) && applies(*number)
        })
    }
}

/// An automaton of patterns that may begin or end with a `*`, and the rules each may decide.
struct Patterns {
    // `None` only if the patterns outgrow what the automaton can count, which no table comes near.
    automaton: Option<NFA>,
    globs: Vec<Glob>,
    rules: Vec<Vec<usize>>,
}

#[derive(Clone, Copy)]
struct Glob {
    open_start: bool,
    open_end: bool,
}

impl Patterns {
    fn new(names: &[&'static str]) -> Self {
        let glob = |name: &&str| Glob {
            open_start: name.starts_with('*'),
            open_end: name.ends_with('*'),
        };
        let globs: Vec<_> = names.iter().map(glob).collect();
        let cores = names.iter().map(|name| name.trim_matches('*'));
        Self {
            automaton: NFA::builder()
                .ascii_case_insensitive(true)
                .build(cores)
                .ok(),
            rules: vec![Vec::new(); globs.len()],
            globs,
        }
    }

    fn point(&mut self, needed: &[usize], rule: usize) {
        for pattern in needed {
            if let Some(rules) = self.rules.get_mut(*pattern) {
                rules.push(rule);
            }
        }
    }

    /// Calls `hit` with each pattern found: its number, whether it fits the whole text, and where it
    /// ends.
    fn each(&self, text: &str, mut hit: impl FnMut(usize, bool, usize)) {
        let Some(automaton) = &self.automaton else {
            return;
        };
        let Ok(mut state) = automaton.start_state(Anchored::No) else {
            return;
        };
        // By hand, since a body holds many patterns, and the iterator starts anew at each.
        for (at, byte) in text.bytes().enumerate() {
            state = automaton.next_state(Anchored::No, state, byte);
            if !automaton.is_match(state) {
                continue;
            }
            for index in 0..automaton.match_len(state) {
                let pattern = automaton.match_pattern(state, index);
                let (number, end) = (pattern.as_usize(), at + 1);
                if let Some(glob) = self.globs.get(number) {
                    let starts = end == automaton.pattern_len(pattern);
                    let whole = (glob.open_start || starts) && (glob.open_end || end == text.len());
                    hit(number, whole, end);
                }
            }
        }
    }
}

/// Patterns, the same one once.
struct Names(Vec<&'static str>);

impl Names {
    /// The numbers of these patterns, from `first` on.
    fn numbers(&mut self, patterns: &'static [&'static str], first: usize) -> Vec<usize> {
        let mut number = |pattern: &&'static str| {
            let known = self.0.iter().skip(first).position(|one| one == pattern);
            known.map_or_else(
                || {
                    self.0.push(pattern);
                    self.0.len() - 1
                },
                |at| at + first,
            )
        };
        patterns.iter().map(&mut number).collect()
    }
}

/// A set of small numbers.
#[derive(Clone, Debug)]
struct Bits(Vec<u64>);

impl Bits {
    fn new(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    fn set(&mut self, number: usize) {
        if let Some(word) = self.0.get_mut(number / 64) {
            *word |= 1 << (number % 64);
        }
    }

    fn set_all(&mut self, lists: &[Vec<usize>], list: usize) {
        for number in lists.get(list).into_iter().flatten() {
            self.set(*number);
        }
    }

    fn has(&self, number: usize) -> bool {
        self.0
            .get(number / 64)
            .is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    fn ones(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(word, bits)| {
            let mut bits = *bits;
            std::iter::from_fn(move || {
                let bit = bits.trailing_zeros();
                bits &= bits.wrapping_sub(1);
                (bit < 64).then_some(word * 64 + bit as usize)
            })
        })
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matcher").finish_non_exhaustive()
    }
}
