use serde_json::Value;

use crate::support::{batch, closed, file, quick, records, run};

const SECRET: &str = "sk-do-not-show-me";

/// The run ended at once, in one sentence that holds `words` and no key.
async fn ends(args: &[&str], words: &[&str]) {
    let run = run(args).await;
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    let error = run.stderr.lines().last().unwrap_or_default();
    assert!(error.starts_with("error: "), "{}", run.stderr);
    for word in words {
        assert!(error.contains(word), "{error:?} lacks {word:?}");
    }
    assert!(!(run.stdout + &run.stderr).contains(SECRET));
}

fn at<'a>(url: &'a str, key: &'a str, output: &'a str) -> [&'a str; 6] {
    ["--base-url", url, "--key", key, "--output", output]
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_nothing_starts() {
    let url = "http://127.0.0.1:9/v1";
    ends(
        &["--base-url", url],
        &["no key", "--key", "DASHSCOPE_API_KEYS"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_accepted_ends_the_run_with_nothing_recorded() {
    let simulator = quick(|builder| builder).await;
    let (_folder, out) = file("out.jsonl", "");
    let args = at(simulator.base_url(), SECRET, out.to_str().unwrap());
    ends(&args, &["not accepted", "account default"]).await;
    assert_eq!(records(&out).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_cannot_be_reached_is_named() {
    let (_closed, addr) = closed();
    let (_folder, out) = file("out.jsonl", "");
    let url = format!("http://{addr}/v1");
    ends(
        &at(&url, SECRET, out.to_str().unwrap()),
        &["cannot reach", &addr.to_string()],
    )
    .await;
    assert_eq!(records(&out).len(), 0);
}

/// In a folder where nothing was, nothing is left of a run that got nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_got_nowhere_leaves_no_file_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (_closed, addr) = closed();
    let url = format!("http://{addr}/v1");
    let mut batch = batch(&["--base-url", &url, "--key", "k"]);
    let output = batch.current_dir(folder.path()).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    // The key is too short to be looked for in every word.
    assert!(
        stderr.contains("check --base-url and the network; 200 are still to do: run again\n"),
        "{stderr}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_are_all_bad_are_recorded() {
    let (folder, input) = file("in.jsonl", "{\"custom_id\":\"a\"}\n{}\n");
    let out = folder.path().join("out.jsonl");
    let paths = [input.to_str().unwrap(), "--output", out.to_str().unwrap()];
    let run = run(&[&paths[..], &["--json"]].concat()).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(
        (&run.report()["failed"], &run.report()["sends"]),
        (&2.into(), &0.into())
    );
    assert_eq!(records(&out)["a"]["error"]["code"], "invalid_line");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_says_why_and_is_no_use_of_the_quota() {
    let run = run(&["--requests", "2", "--tpm", "1", "--json"]).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let report = run.report();
    assert_eq!(
        (&report["failed"], &report["utilisation"]),
        (&2.into(), &Value::Null)
    );
    assert!(
        run.stderr.starts_with("note: first to fail: "),
        "{}",
        run.stderr
    );
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_enough_is_no_error() {
    let mut child = batch(&["--requests", "1", "--json"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_keys_that_is_empty_gives_way_to_the_one_key() {
    let simulator = quick(|builder| builder).await;
    let (_folder, out) = file("out.jsonl", "");
    let args = [
        "--base-url",
        simulator.base_url(),
        "--requests",
        "1",
        "--output",
    ];
    let mut batch = batch(&[&args[..], &[out.to_str().unwrap()]].concat());
    batch
        .env("DASHSCOPE_API_KEYS", " ")
        .env("DASHSCOPE_API_KEY", "sk-a1");
    let output = batch.output().await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(records(&out).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_that_cannot_be_written_is_named() {
    let (folder, _) = file("out.jsonl", "");
    let out = folder.path().join("missing/out.jsonl");
    let out = out.to_str().unwrap();
    ends(&["--output", out], &["cannot write to", out]).await;
    // One that is full, which shows only once there is something to write.
    #[cfg(target_os = "linux")]
    ends(
        &["--requests", "1", "--output", "/dev/full"],
        &["cannot write to /dev/full"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_is_never_written_to() {
    let (_folder, path) = file("in.jsonl", "Why is the sky blue?\n");
    let path = path.to_str().unwrap();
    ends(&[path, "--output", path], &["is the input"]).await;
    assert_eq!(
        std::fs::read_to_string(path).unwrap(),
        "Why is the sky blue?\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_lines_are_recorded_with_their_number_and_the_rest_is_done() {
    let good = |id: &str| {
        format!(
            r#"{{"custom_id":"{id}","method":"POST","url":"/v1/chat/completions","body":{{"model":"qwen3-max","messages":[{{"role":"user","content":"Hi"}}]}}}}"#
        )
    };
    let lines = [
        &good("one"),
        "{\"custom_id\":",
        &good("one"),
        "",
        &good("two"),
    ];
    let (folder, input) = file("in.jsonl", &lines.join("\n"));
    let out = folder.path().join("out.jsonl");
    let run = run(&[
        input.to_str().unwrap(),
        "--output",
        out.to_str().unwrap(),
        "--json",
    ])
    .await;

    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let report = run.report();
    assert_eq!(
        (&report["requests"], &report["completed"]),
        (&4.into(), &2.into())
    );
    assert_eq!((&report["failed"], &report["lost"]), (&2.into(), &0.into()));
    let records = records(&out);
    assert_eq!(records["one"]["response"]["status_code"], 200);
    assert!(records["two"]["response"]["body"]["choices"][0]["message"]["content"].is_string());
    for line in ["2", "3"] {
        let error = &records[&format!("line-{line}")]["error"];
        assert_eq!(error["code"], "invalid_line");
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("line {line}: ")), "{message}");
    }
}
