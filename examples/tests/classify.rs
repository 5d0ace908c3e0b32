//! Every form of input the example `classify` takes, and what it makes of it.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::env;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

/// Runs it with these arguments and this on its stdin.
fn run(args: &[&str], input: &str) -> Output {
    let test = env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    let name = format!("classify{}", env::consts::EXE_SUFFIX);
    let mut child = Command::new(profile.join("examples").join(name))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that reads a file, or refuses its arguments, may have ended.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn lines(args: &[&str], input: &str) -> Vec<Value> {
    let output = run(args, input);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

fn complaint(args: &[&str], input: &str) -> String {
    let output = run(args, input);
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn case() -> Value {
    json!({
        "id": "a",
        "host": "dashscope.aliyuncs.com",
        "status": 429,
        "headers": {"retry-after-ms": "1500", "content-type": ["application/json"]},
        "body": r#"{"error":{"message":"x","code":"limit_burst_rate"}}"#,
    })
}

#[test]
fn an_array_an_object_and_lines_are_read_alike() {
    let mut second = case();
    second.as_object_mut().unwrap().remove("id");
    second["status"] = json!(200);
    let array = json!([case(), second]).to_string();
    let by_line = format!("{}\n\n{second}\n", case());
    for input in [&array, &by_line] {
        let [first, second]: [Value; 2] = lines(&[], input).try_into().unwrap();
        assert_eq!(first["id"], "a");
        assert_eq!(first["kind"], "burst");
        assert_eq!(first["retry"], true);
        assert_eq!(first["retry_after_ms"], 1500);
        assert_eq!(first["scope"], "model");
        let because = first["because"].as_str().unwrap();
        assert!(because.starts_with("model-studio: "), "{because}");
        // One without an id is called by its number.
        assert_eq!(second["id"], 2);
    }
    assert_eq!(lines(&[], &case().to_string()).len(), 1);
}

#[test]
fn a_file_is_read_as_stdin_is() {
    let folder = env::temp_dir().join(format!("classify-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("responses.json");
    std::fs::write(&file, json!([case()]).to_string()).unwrap();
    let read = lines(&[file.to_str().unwrap()], "");
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(read, lines(&[], &case().to_string()));
    assert!(complaint(&["no such file"], "").contains("cannot read no such file"));
}

#[test]
fn what_curl_prints_is_read_by_the_host_that_is_named() {
    let printed = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\n\r\n\
        {\"error\":{\"message\":\"You exceeded your current quota\",\"code\":\"insufficient_quota\"}}";
    for (args, kind) in [
        (["--host", "dashscope.aliyuncs.com"], "token_rate"),
        (["--host", "api.openai.com"], "quota_exhausted"),
        (["--profile", "model-studio"], "token_rate"),
    ] {
        let [read]: [Value; 1] = lines(&args, printed).try_into().unwrap();
        assert_eq!(read["kind"], kind, "{args:?}");
        assert_eq!(read["retry_after_ms"], 7000);
    }
}

#[test]
fn what_is_no_refusal_says_so_and_what_cannot_be_read_is_named() {
    let fine = json!({"status": 404, "body": {"error": "no such model"}}).to_string();
    let [read]: [Value; 1] = lines(&[], &fine).try_into().unwrap();
    assert_eq!(
        read,
        json!({
            "id": 1, "kind": "not_throttle", "retry": false, "retry_after_ms": null,
            "scope": "unknown", "because": "no rule says it is a refusal",
        })
    );
    assert!(complaint(&[], r#"{"id":"b"}"#).contains(r#"response "b": its status is missing"#));
    assert!(complaint(&[], "{}\n{").contains("line 2 is not JSON"));
    assert!(complaint(&["--profile", "nobody"], "").contains("no profile is called nobody"));
}
