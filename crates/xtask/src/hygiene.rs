use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::run::{Outcome, cargo, command, read, root};

/// Longer files hold more than one noun.
const MAX_CODE_LINES: usize = 300;

/// Tests are short stories one after another; a file of them may be longer.
const MAX_TEST_LINES: usize = 700;

/// A layer is a line in someone else's manifest; it must not bring a framework with it.
pub(crate) const MAX_TREE: usize = 40;

/// Checks what neither the compiler nor clippy does, and reports every finding.
pub(crate) fn check() -> Outcome {
    let tracked = read(&mut command("git", &["ls-files"]))?;
    let files: Vec<_> = tracked.lines().collect();
    let mut findings = lockfiles(&files);
    findings.extend(sources(&files).filter_map(too_long));
    findings.extend(deep_trees()?);
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        n => Err(format!("hygiene: {n} to put right, listed above")),
    }
}

fn lockfiles(files: &[&str]) -> Vec<String> {
    let locks = files
        .iter()
        .filter(|file| file.rsplit('/').next() == Some("Cargo.lock"));
    locks
        .map(|file| format!("{file}: is tracked; libraries are tested with what users get"))
        .collect()
}

fn sources<'a>(files: &'a [&'a str]) -> impl Iterator<Item = (&'a str, String)> {
    files
        .iter()
        .filter(|file| Path::new(file).extension() == Some("rs".as_ref()))
        // A file may be deleted and not yet committed so.
        .filter_map(|file| Some((*file, fs::read_to_string(root().join(file)).ok()?)))
}

fn too_long((file, text): (&str, String)) -> Option<String> {
    let lines = code_lines(&text);
    let is_test = file.starts_with("tests/") || file.contains("/tests/");
    let most = if is_test {
        MAX_TEST_LINES
    } else {
        MAX_CODE_LINES
    };
    (lines > most).then(|| format!("{file}: {lines} lines of code, {most} at most"))
}

/// Lines that are neither blank nor comment, without the unit tests at the end: what a file is
/// about, not how well it is tested.
fn code_lines(text: &str) -> usize {
    let subject = text
        .split_once("\n#[cfg(test)]\nmod tests {")
        .map_or(text, |(subject, _)| subject);
    subject
        .lines()
        .map(str::trim_start)
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .count()
}

fn deep_trees() -> Outcome<Vec<String>> {
    let mut findings = Vec::new();
    for name in crates()?.iter().filter(|name| slim(name)) {
        let args = ["tree", "--quiet", "-e", "normal,build", "--prefix", "none"];
        let size = tree_size(&read(cargo(&args).args(["--package", name]))?);
        if size > MAX_TREE {
            findings.push(format!(
                "{name}: {size} crates in its tree, {MAX_TREE} at most"
            ));
        }
    }
    Ok(findings)
}

/// The names of the crates here, which are those of their folders.
pub(crate) fn crates() -> Outcome<Vec<String>> {
    let manifests = read(&mut command("git", &["ls-files", "crates/*/Cargo.toml"]))?;
    let names = manifests.lines().filter_map(|file| {
        let name = file.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?;
        (!name.contains('/')).then(|| name.to_owned())
    });
    Ok(names.collect())
}

/// Whether a crate is one whose tree is kept small.
pub(crate) fn slim(name: &str) -> bool {
    name.ends_with("-layer") || ["replay-body", "throttle-signal"].contains(&name)
}

/// How many crates `cargo tree --prefix none` lists; it lists one once for each that needs it.
pub(crate) fn tree_size(tree: &str) -> usize {
    let crates = tree.lines().filter(|line| !line.is_empty());
    let names: BTreeSet<_> = crates
        .map(|line| line.split_whitespace().take(2).collect::<Vec<_>>())
        .collect();
    names.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_neither_blank_lines_nor_comments() {
        assert_eq!(
            code_lines("//! Docs.\n\nfn it() {\n    // Why.\n    it() // so\n}\n"),
            3
        );
    }

    #[test]
    fn counts_no_unit_tests() {
        let text = "fn it() {}\n\n#[cfg(test)]\nmod tests {\n    fn tested() {}\n}\n";
        assert_eq!(code_lines(text), 1);
        // A module by itself is a file by itself.
        assert_eq!(code_lines("#[cfg(test)]\nmod oracle;\nfn it() {}\n"), 3);
    }

    #[test]
    fn finds_a_lockfile_at_any_depth() {
        assert_eq!(lockfiles(&["Cargo.lock", "a/Cargo.lock"]).len(), 2);
        assert!(lockfiles(&["Cargo.toml", "NotCargo.lock"]).is_empty());
    }

    #[test]
    fn keeps_the_trees_of_layers_and_of_what_they_share_small() {
        let crates = crates().unwrap();
        let slim: Vec<_> = crates.iter().filter(|name| slim(name)).collect();
        assert!(slim.contains(&&"retry-429-layer".to_owned()), "{slim:?}");
        assert!(slim.contains(&&"replay-body".to_owned()), "{slim:?}");
        assert!(!slim.contains(&&"xtask".to_owned()), "{slim:?}");
        assert!(crates.contains(&"xtask".to_owned()), "{crates:?}");
    }

    #[test]
    fn counts_a_crate_once_and_its_versions_apart() {
        let tree = "a v1.0.0 (/somewhere)\nb v1.0.0\nb v2.0.0\n\nb v1.0.0 (*)\n";
        assert_eq!(tree_size(tree), 3);
    }

    #[test]
    fn a_file_is_too_long_by_its_code_alone() {
        let long = "x\n".repeat(MAX_CODE_LINES);
        assert_eq!(too_long(("it.rs", format!("{long}// why\n\n"))), None);
        let found = too_long(("it.rs", format!("{long}x\n"))).unwrap();
        assert!(found.starts_with("it.rs: 301 lines"), "{found}");
        assert_eq!(too_long(("a/tests/it/b.rs", format!("{long}x\n"))), None);
        assert!(too_long(("a/tests/it/b.rs", long.repeat(3))).is_some());
    }

    #[test]
    fn reads_rust_files_that_are_there() {
        let files = ["Cargo.toml", "crates/xtask/src/hygiene.rs", "gone.rs"];
        let found: Vec<_> = sources(&files).map(|(file, _)| file).collect();
        assert_eq!(found, ["crates/xtask/src/hygiene.rs"]);
    }
}
