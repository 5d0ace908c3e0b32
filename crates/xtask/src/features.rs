use std::fs;

use crate::hygiene::{crates, slim};
use crate::run::{Outcome, cargo, root, show};

/// Checks that each crate people put into their own programs builds with each of its features alone,
/// and without any. What is neither slim nor has features is built by clippy of the workspace as it is.
pub(crate) fn check() -> Outcome {
    for name in &crates()? {
        let path = root().join("crates").join(name).join("Cargo.toml");
        let manifest =
            fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        if !slim(name) && features(&manifest).next().is_none() {
            continue;
        }
        for feature in std::iter::once("").chain(features(&manifest)) {
            let mut clippy = cargo(&["clippy", "--quiet", "--no-default-features"]);
            clippy.args([
                "--package",
                name,
                "--features",
                feature,
                "--",
                "-D",
                "warnings",
            ]);
            show(&mut clippy)?;
        }
    }
    Ok(())
}

/// The names in a manifest's table of features, but for the default.
fn features(manifest: &str) -> impl Iterator<Item = &str> {
    let table = manifest
        .split_once("\n[features]\n")
        .map_or("", |(_, rest)| rest);
    let table = table.split("\n[").next().unwrap_or(table);
    let entries = table.lines().filter(|line| !line.starts_with('#'));
    let names = entries.filter_map(|line| Some(line.split_once(" = ")?.0));
    names.filter(|name| *name != "default")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_names_of_features() {
        let manifest = "[package]\nname = \"it\"\n\n[features]\ndefault = []\n## Why = so.\n\
            one = [\"dep:one\"]\ntwo = []\n\n[dependencies]\nhttp = \"1\"\n";
        assert_eq!(features(manifest).collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(features("[package]\nname = \"it\"\n").count(), 0);
    }
}
