use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::hygiene::{MAX_TREE, crates, slim, tree_size};
use crate::run::{Outcome, cargo, read, root, show, target};

/// What a layer must not bring into a program that asked for a layer.
const UNWANTED: [&str; 7] = [
    "aws-lc-rs",
    "native-tls",
    "openssl",
    "openssl-sys",
    "ring",
    "rustls",
    "serde_derive",
];

/// Uses each crate as its README says and no more, in a package outside of this workspace: the
/// dependencies are those the README lists, and its examples have to build and pass with them.
///
/// Where `all` is false, only the crates with small trees: reqwest comes with its TLS, whose C takes
/// longer to compile than all the rest.
pub(crate) fn check(all: bool) -> Outcome {
    let names: Vec<_> = crates()?
        .into_iter()
        .filter(|name| published(name))
        .collect();
    for name in names.iter().filter(|name| all || slim(name)) {
        let package = write(name, &names)?;
        let manifest = package.join("Cargo.toml");
        let manifest = ["--manifest-path", &*manifest.to_string_lossy()];

        let tree = ["tree", "--quiet", "-e", "normal,build", "--prefix", "none"];
        let tree = read(cargo(&tree).args(manifest))?;
        println!(
            "{name}: {} crates with what its README adds",
            tree_size(&tree)
        );
        if slim(name) {
            judge(name, &tree)?;
        }

        let mut test = cargo(&["test", "--quiet", "--doc"]);
        test.args(manifest).arg("--target-dir").arg(target());
        show(&mut test).map_err(|error| format!("the README of {name}: {error}"))?;
    }
    Ok(())
}

fn judge(name: &str, tree: &str) -> Outcome {
    let size = tree_size(tree);
    if size > MAX_TREE {
        return Err(format!(
            "{name}: {size} crates in the tree of its README, {MAX_TREE} at most"
        ));
    }
    let crates: BTreeSet<_> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    match UNWANTED.iter().find(|unwanted| crates.contains(*unwanted)) {
        Some(unwanted) => Err(format!("{name}: brings {unwanted}")),
        None => Ok(()),
    }
}

/// Writes a package whose dependencies and whose documentation are those of the crate's README.
fn write(name: &str, ours: &[String]) -> Outcome<PathBuf> {
    let readme = folder(name).join("README.md");
    let text = text_of(&readme)?;
    let dependencies = dependencies(&text)
        .ok_or_else(|| format!("{name}: its README lists no `[dependencies]`"))?;
    let mut needed = BTreeSet::new();
    for name in ours {
        if lists(dependencies, name) {
            need(name, ours, &mut needed)?;
        }
    }
    // Until they are published, and so that they are those of this commit.
    let patches: Vec<_> = needed
        .iter()
        .map(|name| format!("{name} = {{ path = '{}' }}", folder(name).display()))
        .collect();
    let patches = patches.join("\n");
    // With other profiles everything would be built anew.
    let workspace = text_of(&root().join("Cargo.toml"))?;
    let profiles = text_from(&workspace, "[profile.dev]");
    let manifest = format!(
        "[package]\nname = \"by-readme-{name}\"\nedition = \"2024\"\n\n{dependencies}\n\
         [workspace]\n\n[patch.crates-io]\n{patches}\n\n{profiles}"
    );

    let package = target().join("readmes").join(name);
    let write = || -> std::io::Result<()> {
        fs::create_dir_all(package.join("src"))?;
        fs::write(package.join("Cargo.toml"), manifest)?;
        // The versions that are here already; cargo drops what is not needed.
        if root().join("Cargo.lock").exists() {
            fs::copy(root().join("Cargo.lock"), package.join("Cargo.lock"))?;
        }
        fs::write(
            package.join("src/lib.rs"),
            format!("#![doc = include_str!(r#\"{}\"#)]\n", readme.display()),
        )
    };
    write().map_err(|error| format!("{}: {error}", package.display()))?;
    Ok(package)
}

/// Adds a crate of ours and those it needs.
fn need(name: &str, ours: &[String], needed: &mut BTreeSet<String>) -> Outcome {
    if !needed.insert(name.to_owned()) {
        return Ok(());
    }
    let manifest = text_of(&folder(name).join("Cargo.toml"))?;
    let dependencies = text_from(&manifest, "[dependencies]");
    let dependencies = dependencies.split("\n[").next().unwrap_or(dependencies);
    for other in ours.iter().filter(|other| lists(dependencies, other)) {
        need(other, ours, needed)?;
    }
    Ok(())
}

/// The block of a README that goes into a manifest.
fn dependencies(readme: &str) -> Option<&str> {
    let blocks = readme.split("```toml\n").skip(1);
    blocks
        .filter_map(|rest| rest.split("```").next())
        .find(|block| block.starts_with("[dependencies]\n"))
}

/// Whether a table of dependencies has one of this name.
fn lists(dependencies: &str, name: &str) -> bool {
    dependencies
        .lines()
        .filter_map(|line| line.strip_prefix(name))
        .any(|rest| rest.starts_with([' ', '.']))
}

fn published(name: &str) -> bool {
    folder(name).join("README.md").is_file()
}

fn folder(name: &str) -> PathBuf {
    root().join("crates").join(name)
}

fn text_of(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The rest of a text from where a heading stands.
fn text_from<'a>(text: &'a str, heading: &str) -> &'a str {
    text.find(heading).map_or("", |at| &text[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_dependencies_among_other_blocks() {
        let readme =
            "# it\n```toml\nkey = 1\n```\n```toml\n[dependencies]\nit = \"1\"\n```\nmore\n";
        assert_eq!(dependencies(readme), Some("[dependencies]\nit = \"1\"\n"));
        assert_eq!(dependencies("```rust\n[dependencies]\n```"), None);
    }

    #[test]
    fn a_dependency_is_listed_by_its_whole_name() {
        let table = "[dependencies]\nreplay-body.workspace = true\ntower-http = \"1\"\n";
        assert!(lists(table, "replay-body"));
        assert!(!lists(table, "tower"));
        assert!(!lists(table, "body"));
    }

    #[test]
    fn a_layer_needs_what_the_layers_share() {
        let ours = crates().unwrap();
        let mut needed = BTreeSet::new();
        need("retry-429-layer", &ours, &mut needed).unwrap();
        assert!(needed.contains("throttle-signal") && needed.contains("replay-body"));
        assert!(
            !needed.contains("rate-limit-layer"),
            "dev-dependencies do not count"
        );
    }

    #[test]
    fn a_tree_is_judged_by_size_and_by_name() {
        assert_eq!(judge("it", "it v1\nserde v1\n"), Ok(()));
        let error = judge("it", "it v1\nserde_derive v1 (proc-macro)\n").unwrap_err();
        assert!(error.contains("brings serde_derive"), "{error}");
        let tree: Vec<_> = (0..=MAX_TREE).map(|n| format!("c{n} v1")).collect();
        assert!(
            judge("it", &tree.join("\n"))
                .unwrap_err()
                .contains("at most")
        );
    }
}
