//! The list of what users of other systems complain of names tests that are there.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

/// The code of all tests below `dir`, one after the other.
fn code(dir: &Path, code: &mut String) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("target") {
                self::code(&path, code);
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            code.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_complaint_has_a_test() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = String::new();
    code(&here.join("../crates"), &mut all);
    code(here, &mut all);
    let list = fs::read_to_string(here.join("complaints.md")).unwrap();
    let rows = list.lines().filter(|line| line.starts_with("| ")).skip(2);
    let mut count = 0;
    for row in rows {
        let name = row.rsplit('`').nth(1).unwrap();
        assert!(all.contains(&format!("fn {name}()")), "no test for: {row}");
        count += 1;
    }
    assert!(count > 50, "{count} rows");
}
