use std::time::Duration;

use crate::support::{batch, grows_to, quick, records, run};

const REQUESTS: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_loses_nothing_and_repeats_nothing() {
    let simulator = quick(|builder| builder).await;
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.jsonl");
    let args = [
        ["--base-url", simulator.base_url()],
        ["--key", "sk-a1@a"],
        ["--output", out.to_str().unwrap()],
    ];
    let args = args.as_flattened();

    // Slow, so that it is far from its end when it is killed.
    let slowly = [args, &["--rps", "10"]].concat();
    let mut killed = batch(&slowly).spawn().unwrap();
    grows_to(&out, REQUESTS / 20).await;
    // Not asked to end: killed.
    killed.kill().await.unwrap();
    let before = std::fs::read_to_string(&out).unwrap().matches('\n').count();
    assert!(before < REQUESTS, "killed too late to show anything");

    let run = run(&[args, &["--rps", "200", "--json"]].concat()).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(records(&out).len(), REQUESTS);
    let report = run.report();
    assert_eq!(report["recorded_before"], before);
    assert_eq!(report["completed"], REQUESTS - before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_run_has_nothing_left_to_do() {
    let simulator = quick(|builder| builder).await;
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.jsonl");
    let args = [
        ["--base-url", simulator.base_url()],
        ["--key", "sk-a1@a"],
        ["--rps", "200"],
        ["--requests", "20"],
        ["--output", out.to_str().unwrap()],
    ];
    let args = [args.as_flattened(), &["--json"]].concat();
    assert_eq!(run(&args).await.report()["completed"], 20);
    let again = run(&args).await;
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert_eq!(again.report()["sends"], 0);
    assert_eq!(again.report()["recorded_before"], 20);
    assert_eq!(simulator.ledger().requests(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_records_what_was_sent_and_says_how_to_go_on() {
    let simulator = quick(|builder| builder.latency(Duration::from_millis(300))).await;
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.jsonl");
    let out_name = out.to_str().unwrap();
    let args = [
        ["--base-url", simulator.base_url()],
        ["--key", "sk-a1@a"],
        ["--rps", "20"],
        ["--output", out_name],
    ];

    let interrupted = batch(args.as_flattened()).spawn().unwrap();
    grows_to(&out, 3).await;
    let id = interrupted.id().unwrap().to_string();
    let signal = tokio::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(signal.await.unwrap().success());
    let output = interrupted.wait_with_output().await.unwrap();

    assert_eq!(output.status.code(), Some(130));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains(&format!("--output {out_name} to go on")),
        "{stderr}"
    );
    // All that was sent came back and is there.
    let recorded = records(&out).len();
    assert_eq!(simulator.ledger().requests(), recorded as u64);
    assert!(recorded < REQUESTS);
}
