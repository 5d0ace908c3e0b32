//! Runs each example as a reader would, without arguments and without a network, and checks what it
//! shows.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Where cargo puts the examples of this package: beside the folder of this test.
fn path(name: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    profile
        .join("examples")
        .join(format!("{name}{}", env::consts::EXE_SUFFIX))
}

/// Runs an example to its end and returns what it printed.
fn run(name: &str) -> String {
    let path = path(name);
    let output = Command::new(&path)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (shown, complaint) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert!(
        output.status.success(),
        "{name}: {}\n{shown}{complaint}",
        output.status
    );
    shown
}

/// Runs an example until what it shows is right, five times at most: quotas live in real time, and on a machine that does
/// much else what is sent at once may take so long that more is answered, or arrive closer together than it was paced.
fn shows(name: &str, right: impl Fn(&str)) {
    for _ in 0..4 {
        let shown = run(name);
        if catch_unwind(AssertUnwindSafe(|| right(&shown))).is_ok() {
            return;
        }
    }
    right(&run(name));
}

fn lines<'a>(shown: &'a str, with: &'a str) -> impl Iterator<Item = &'a str> {
    shown.lines().filter(move |line| line.contains(with))
}

#[test]
fn one_layer_hyper() {
    shows("one_layer_hyper", |shown| {
        assert_eq!(
            lines(shown, "as they come: 10 answered, 30 refused").count(),
            1,
            "{shown}"
        );
        assert_eq!(
            lines(shown, "paced: 40 answered,  0 refused").count(),
            1,
            "{shown}"
        );
    });
}

#[test]
fn reqwest_middleware() {
    shows("reqwest_middleware", |shown| {
        assert_eq!(lines(shown, ": 200 OK").count(), 4 + 12, "{shown}");
        assert!(
            lines(shown, "sent 2x").count() > 0,
            "nothing was sent again: {shown}"
        );
        for account in ["account team", "account spare"] {
            assert!(lines(shown, account).count() > 0, "{shown}");
        }
    });
}

#[test]
fn async_openai() {
    shows("async_openai", |shown| {
        assert_eq!(lines(shown, "tokens from qwen3-max").count(), 1, "{shown}");
        assert_eq!(lines(shown, "8 streams to their end").count(), 1, "{shown}");
        assert_eq!(
            lines(shown, "; 0 refusals").count(),
            0,
            "nothing was refused: {shown}"
        );
    });
}

#[test]
fn axum_service() {
    shows("axum_service", |shown| {
        assert_eq!(lines(shown, "10000 ms to wait: 200").count(), 6, "{shown}");
        let refused: Vec<_> = lines(shown, " 1000 ms to wait: 429").collect();
        assert_eq!(refused.len(), 4, "{shown}");
        assert!(
            refused.iter().all(|line| line.contains("again in")),
            "{shown}"
        );
    });
}

#[test]
fn custom_stack() {
    let shown = run("custom_stack");
    assert!(
        shown.contains("answered after 3 sends, held back 60"),
        "{shown}"
    );
    assert!(shown.contains(" of 1000 tokens used"), "{shown}");
}

#[test]
fn tonic_client() {
    shows("tonic_client", |shown| {
        assert_eq!(
            lines(shown, "first refuses, for 300ms").count(),
            2,
            "{shown}"
        );
        assert_eq!(
            lines(shown, "\"first says: Will it rain? Perhaps.\"").count(),
            1,
            "{shown}"
        );
        assert_eq!(lines(shown, "first refuses, for 60s").count(), 1, "{shown}");
        assert_eq!(
            lines(shown, "\"second says: Will it snow? Perhaps.\"").count(),
            1,
            "{shown}"
        );
    });
}

#[test]
fn axum_inbound() {
    shows("axum_inbound", |shown| {
        for said in [
            "ann, all at once: 5 answered, 3 refused",
            "ben, two a second: 8 answered, 0 refused, 8 sends",
            "coming back when told: 8 answered, 0 refused",
            "a made-up key: 5 answered, 3 refused",
            "another, from the same address: 0 answered, 8 refused",
            "on the route without a limit: 8 answered, 0 refused",
            "    429 Too Many Requests after",
            "    ratelimit-policy: \"default\";q=2;w=1",
            "    ratelimit: \"default\";r=0;t=1",
            "    retry-after: 1",
        ] {
            assert_eq!(lines(shown, said).count(), 1, "{said}: {shown}");
        }
    });
}

#[test]
fn tonic_server() {
    shows("tonic_server", |shown| {
        for said in [
            "ann, all at once: 5 answered, 3 refused",
            "ben, two a second: 8 answered, 0 refused",
            "coming back when told: 8 answered, 0 refused",
            "a made-up key: 5 answered, 3 refused",
            "a stream: one call, 3 answers",
            "    ResourceExhausted: ",
            "    grpc-retry-pushback-ms: ",
        ] {
            assert_eq!(lines(shown, said).count(), 1, "{said}: {shown}");
        }
    });
}
