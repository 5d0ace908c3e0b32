//! The project's own vectors, see `vectors.txt`.

use crate::classify;

/// What is expected of a response, or was read: kind, scope, and whether waiting helps.
type Verdict<'a> = Option<(&'a str, &'a str, bool)>;

/// Host, status, verdict and body of a line.
fn vector(line: &str) -> Option<(&str, u16, Verdict<'_>, &str)> {
    let mut words = line.splitn(6, ' ');
    let host = words.next()?;
    let status = words.next()?.parse().ok()?;
    let (kind, scope, retry) = (words.next()?, words.next()?, words.next()?);
    let verdict = (kind != "-").then_some((kind, scope, retry == "retry"));
    Some((host, status, verdict, words.next().unwrap_or_default()))
}

#[test]
fn every_vector_is_read_as_it_is_meant() {
    let mut count = 0;
    for line in include_str!("vectors.txt").lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (host, status, expected, body) = vector(line).unwrap();
        let throttle = classify(host, status, &[], body);
        let read = throttle
            .as_ref()
            .map(|it| (it.kind().as_str(), it.scope().as_str(), it.retry()));
        assert_eq!(read, expected, "{line}\n{throttle:?}");
        count += 1;
    }
    assert!(count > 100, "{count}");
}
