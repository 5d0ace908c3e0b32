use relay::{Args, Relay};

use crate::caller::CONFIG;

/// What is said of a configuration.
async fn said(config: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("relay.toml");
    std::fs::write(&file, config).unwrap();
    let args = Args {
        config: Some(file),
        listen: Some(([127, 0, 0, 1], 0).into()),
        ..Args::default()
    };
    match Relay::start(&args).await {
        Ok(relay) => {
            relay.end();
            String::new()
        }
        Err(error) => {
            let dir = format!("{}/", dir.path().display());
            format!("{error:#}").replace(&dir, "")
        }
    }
}

#[tokio::test]
async fn all_that_is_wrong_is_said_at_once_with_its_line() {
    let config = r#"deadline = "soon"

[[provider]]
name = "p"
base_url = "ftp://host"
profile = "nobody"

[[account]]
name = "a"
provider = "q"
keys = ["env:RELAY_TEST_NO_SUCH_VARIABLE"]

[[model]]
name = "m"
provider = "p"
quota = { rpm = 0 }

[[model]]
name = "m"
provider = "p"

[[alias]]
name = "best"
chain = ["m", "n"]

[[client]]
name = "c"
keys = ["sk-1"]

[[client]]
name = "d"
keys = ["sk-1", "file:no-such-file"]
"#;
    let said = said(config).await;
    let lines: Vec<_> = said.lines().collect();
    for (line, part) in [
        ("relay.toml:1: ", "a length of time"),
        ("relay.toml:5: ", "only http and https"),
        ("relay.toml:6: ", "no profile is named `nobody`"),
        ("relay.toml:10: ", "no provider is named `q`"),
        ("relay.toml:11: ", "RELAY_TEST_NO_SUCH_VARIABLE"),
        ("relay.toml:16: ", "`rpm` must be at least 1"),
        ("relay.toml:19: ", "another model is named `m`"),
        ("relay.toml:24: ", "no model is named `n`"),
        ("relay.toml:32: ", "opens for another client"),
        ("relay.toml:32: ", "no-such-file"),
        ("relay.toml: ", "the provider `p` has no account"),
    ] {
        let found = lines
            .iter()
            .any(|it| it.starts_with(line) && it.contains(part));
        assert!(found, "{line}{part} is not in\n{said}");
    }
    assert_eq!(lines.len(), 11, "{said}");
    assert!(!said.contains("sk-1"));
}

#[tokio::test]
async fn what_is_no_toml_or_not_known_is_said_with_its_line() {
    let told = said("log = \"info\"\nlisten = \n").await;
    assert!(told.starts_with("relay.toml:2: "), "{told}");
    let told = said("log = \"info\"\nlisten_on = \"x\"\n").await;
    assert!(
        told.starts_with("relay.toml:2: unknown field `listen_on`"),
        "{told}"
    );
    let told = said("").await;
    assert!(told.contains("there is no `[[model]]`"), "{told}");
}

#[tokio::test]
async fn keys_come_from_files_beside_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("key"), "sk-a1\n").unwrap();
    let file = dir.path().join("relay.toml");
    let config = CONFIG
        .replace("BASE_URL", "http://127.0.0.1:9/v1")
        .replace("\"sk-a1\"", "\"file:key\"");
    std::fs::write(&file, config).unwrap();
    let args = Args {
        config: Some(file),
        listen: Some(([127, 0, 0, 1], 0).into()),
        ..Args::default()
    };
    Relay::start(&args).await.unwrap().end();
}

#[test]
fn the_configuration_that_is_shown_is_right() {
    let shown = concat!(env!("CARGO_MANIFEST_DIR"), "/relay.toml");
    let text = std::fs::read_to_string(shown).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("relay.toml");
    let mut keys = 0;
    let text: Vec<_> = text
        .lines()
        .map(|line| match line.split_once("keys = [") {
            Some((before, _)) => {
                keys += 1;
                format!("{before}keys = [\"sk-{keys}\"]")
            }
            None => line.to_owned(),
        })
        .collect();
    std::fs::write(&file, text.join("\n")).unwrap();
    let args = Args {
        config: Some(file),
        check: true,
        ..Args::default()
    };
    assert_eq!(relay::run(&args), std::process::ExitCode::SUCCESS);
}
