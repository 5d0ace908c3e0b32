//! The relay with the clients people have. Each has two settings changed and nothing else.

use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::types::chat::{
    ChatCompletionRequestUserMessageArgs, CreateChatCompletionRequestArgs,
};
use model_studio_sim::{Latency, Limits, Simulator};
use test_support::process::find;
use tokio::process::Command;

use crate::caller::{CONFIG, KEY, Pair};

const SET_UP: &str = "run `cargo xtask test`, which prepares it";

/// How long a script may take on a busy machine.
const LONGEST: Duration = Duration::from_secs(600);

/// Where a tool is, as `cargo xtask test` says; `None` passes the test over, where that is allowed.
fn tool(variable: &str) -> Option<OsString> {
    let found = std::env::var_os(variable);
    let required = std::env::var_os("TEST_TOOLS").is_some_and(|value| value == "required");
    assert!(
        found.is_some() || !required,
        "{variable} is not set: {SET_UP}"
    );
    found
}

/// Runs a script against the relay and returns what it wrote.
async fn output(pair: &Pair, mut command: Command) -> String {
    command
        .env("OPENAI_BASE_URL", pair.relay.base_url())
        .env("OPENAI_API_KEY", KEY)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(LONGEST, command.output()).await;
    let output = output.expect("it ends in time").unwrap();
    let (out, err) = (output.stdout, output.stderr);
    let (out, err) = (String::from_utf8_lossy(&out), String::from_utf8_lossy(&err));
    assert!(output.status.success(), "{out}\n{err}");
    out.into_owned()
}

fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it")
        .join(name)
}

#[tokio::test]
async fn the_openai_package_of_python() {
    let Some(python) = tool("TEST_PYTHON") else {
        return;
    };
    let pair = Pair::usual().await;
    let mut command = Command::new(python);
    command.arg(script("openai_plain.py"));
    assert_eq!(
        output(&pair, command).await.trim(),
        "plain stream tools embeddings models errors"
    );
}

#[tokio::test]
async fn the_openai_package_of_npm() {
    let Some(modules) = tool("TEST_NODE_MODULES") else {
        return;
    };
    let Some(node) = find("node") else { return };
    let pair = Pair::usual().await;
    let mut command = Command::new(node);
    command.env("NODE_PATH", modules).arg(script("openai.cjs"));
    assert_eq!(
        output(&pair, command).await.trim(),
        "plain stream tools embeddings models errors"
    );
}

#[tokio::test]
async fn curl() {
    let Some(curl) = find("curl") else { return };
    let pair = Pair::usual().await;
    let url = format!("{}/chat/completions", pair.relay.base_url());
    let mut command = Command::new(curl);
    command
        .args(["--silent", "--show-error", "--fail", "--no-buffer", &url])
        .args(["-H", &format!("Authorization: Bearer {KEY}"), "-d"])
        .arg(r#"{"model":"best","stream":true,"messages":[{"role":"user","content":"hello"}]}"#);
    let text = output(&pair, command).await;
    assert!(
        text.starts_with("data: {") && text.ends_with("data: [DONE]\n\n"),
        "{text}"
    );
}

#[tokio::test]
async fn async_openai_of_rust() {
    let pair = Pair::usual().await;
    let config = OpenAIConfig::new()
        .with_api_base(pair.relay.base_url())
        .with_api_key(KEY);
    let message = ChatCompletionRequestUserMessageArgs::default()
        .content("hello")
        .build()
        .unwrap();
    let request = CreateChatCompletionRequestArgs::default()
        .model("best")
        .messages([message.into()])
        .build()
        .unwrap();
    let answer = Client::with_config(config)
        .chat()
        .create(request)
        .await
        .unwrap();
    assert!(answer.choices[0].message.content.is_some());
    assert_eq!(answer.model, "qwen3-max");
}

/// Twice the quota of one account, with two accounts and a model to fall back on. The quotas are six
/// times those of Model Studio, so that it takes 17 s on a machine that keeps up. On one that does not,
/// the relay waits as long for what the script sends as the script waits for answers.
#[tokio::test]
async fn of_2000_mixed_requests_at_twice_the_quota_of_one_account_none_fails() {
    let Some(python) = tool("TEST_PYTHON") else {
        return;
    };
    let limits = |rps: u64, tpm| {
        Limits::per_minute(60 * rps)
            .per_second(rps)
            .tokens_per_minute(tpm)
    };
    let simulator = Simulator::builder()
        .model("qwen3-max", limits(60, 6_000_000))
        .model("qwen-plus", limits(120, 6_000_000))
        .latency(Latency::uniform(
            Duration::from_millis(20),
            Duration::from_millis(80),
        ));
    let config = CONFIG
        .replace(
            "rps = 10, rpm = 600, tpm = 1_000_000",
            "rps = 60, rpm = 3_600, tpm = 6_000_000",
        )
        .replace(
            "rps = 20, rpm = 1_200, tpm = 1_000_000",
            "rps = 120, rpm = 7_200, tpm = 6_000_000",
        )
        + "[limits]\nhead_within = \"5m\"\nbody_within = \"5m\"\nunread = \"5m\"\n";
    let pair = Pair::start(simulator, &config).await;
    let mut command = Command::new(python);
    command.arg(script("openai_load.py")).args(["2000", "120"]);
    assert_eq!(
        output(&pair, command).await.trim(),
        "2000 answered, 0 failed",
        "{}",
        pair.relay.metrics()
    );
    let ledger = pair.simulator.ledger();
    assert_eq!(ledger.requests(), 2_000, "{}", pair.relay.metrics());
}
