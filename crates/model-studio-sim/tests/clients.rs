//! Clients that nobody here wrote work against the simulator: the official `openai` package for
//! Python, and `curl`.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test"
)]

use std::ffi::OsString;

use model_studio_sim::{Limits, RefusalKind, Simulator};
use tokio::process::Command;

/// What is needed is put there by the contributor's command.
const SET_UP: &str = "run `cargo xtask test`, which sets this up";

async fn start(limits: Limits) -> Simulator {
    Simulator::builder()
        .account("a", ["sk-a1"])
        .model("qwen3-max", limits)
        .start()
        .await
        .unwrap()
}

/// Runs a Python script against a simulator: base URL and key are its arguments.
async fn python(simulator: &Simulator, script: &str) {
    let python: OsString = std::env::var_os("TEST_PYTHON")
        .unwrap_or_else(|| panic!("TEST_PYTHON is not set: {SET_UP}"));
    let output = Command::new(python)
        .args(["-c", script, simulator.base_url(), "sk-a1"])
        .env_remove("OPENAI_API_KEY")
        .env("NO_PROXY", "127.0.0.1")
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// The answer's status and body.
async fn curl(simulator: &Simulator, args: &[&str]) -> (String, String) {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "30"])
        .args(["--noproxy", "*", "--write-out", "\n%{http_code}"])
        .args(["--header", "Authorization: Bearer sk-a1"])
        .args(args)
        .arg(format!("{}/chat/completions", simulator.base_url()))
        .kill_on_drop(true)
        .output()
        .await
        .unwrap_or_else(|error| panic!("curl: {error}: {SET_UP}"));
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    let (body, status) = said.rsplit_once('\n').unwrap();
    (status.to_owned(), body.to_owned())
}

const IMPORTS: &str = "
import sys
from openai import APIStatusError, AuthenticationError, OpenAI, RateLimitError
base_url, key = sys.argv[1:]
client = OpenAI(base_url=base_url, api_key=key, max_retries=0)
messages = [{'role': 'user', 'content': 'Why do quotas have windows?'}]
";

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_package_chats_streams_and_embeds() {
    let simulator = start(Limits::unlimited()).await;
    let script = "
whole = client.chat.completions.create(model='qwen3-max', messages=messages)
assert whole.choices[0].finish_reason == 'stop', whole
assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens

text, usage = '', None
options = {'include_usage': True}
for chunk in client.chat.completions.create(
    model='qwen3-max', messages=messages, stream=True, stream_options=options
):
    usage = chunk.usage or usage
    for choice in chunk.choices:
        text += choice.delta.content or ''
assert text == whole.choices[0].message.content, text
assert usage == whole.usage, usage

short = client.chat.completions.create(model='qwen3-max', messages=messages, max_tokens=3)
assert short.choices[0].finish_reason == 'length', short

assert [model.id for model in client.models.list()] == ['qwen3-max']
vector = client.embeddings.create(model='qwen3-max', input='one', dimensions=64).data[0].embedding
assert len(vector) == 64 and abs(sum(x * x for x in vector) - 1) < 1e-6, vector
";
    python(&simulator, &format!("{IMPORTS}{script}")).await;
    assert_eq!(simulator.ledger().requests(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_package_raises_its_own_errors_with_model_studios_codes() {
    let simulator = start(Limits::per_minute(1)).await;
    let script = "
client.chat.completions.create(model='qwen3-max', messages=messages)
for stream in (False, True):
    try:
        client.chat.completions.create(model='qwen3-max', messages=messages, stream=stream)
    except RateLimitError as error:
        assert error.status_code == 429
        assert error.code == 'limit_requests', error
        assert error.body['message'].startswith('Requests rate limit exceeded'), error
        assert 'retry-after' not in error.response.headers
    else:
        raise AssertionError('not refused')
try:
    OpenAI(base_url=base_url, api_key='sk-no', max_retries=0).models.list()
except AuthenticationError as error:
    assert error.code == 'invalid_api_key', error
else:
    raise AssertionError('not refused')
";
    python(&simulator, &format!("{IMPORTS}{script}")).await;
    assert_eq!(simulator.ledger().refused(RefusalKind::RequestRate), 2);

    let simulator = start(Limits::unlimited().tokens_per_minute(1)).await;
    let script = "
client.chat.completions.create(model='qwen3-max', messages=messages)
try:
    client.chat.completions.create(model='qwen3-max', messages=messages)
except RateLimitError as error:
    assert error.code == error.type == 'insufficient_quota', error
else:
    raise AssertionError('not refused')
";
    python(&simulator, &format!("{IMPORTS}{script}")).await;
    assert_eq!(simulator.ledger().refused(RefusalKind::TokenRate), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_chats_streams_and_is_refused() {
    let simulator = start(Limits::per_minute(2)).await;
    let body = r#"{"model":"qwen3-max","messages":[{"role":"user","content":"one"}]}"#;
    let (status, whole) = curl(&simulator, &["--json", body]).await;
    assert_eq!(status, "200");
    assert!(whole.contains(r#""finish_reason":"stop""#), "{whole}");

    let stream = body.replace("}]}", r#"}],"stream":true}"#);
    let (status, events) = curl(&simulator, &["--no-buffer", "--json", &stream]).await;
    assert_eq!(status, "200");
    assert!(events.trim_end().ends_with("data: [DONE]"), "{events}");

    let (status, refusal) = curl(&simulator, &["--json", body]).await;
    assert_eq!(status, "429");
    assert!(refusal.contains(r#""code":"limit_requests""#), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_speaks_http_2_to_it() {
    let simulator = start(Limits::unlimited()).await;
    let body = r#"{"model":"qwen3-max","messages":[{"role":"user","content":"one"}]}"#;
    let (status, whole) = curl(&simulator, &["--http2-prior-knowledge", "--json", body]).await;
    assert_eq!(status, "200");
    assert!(whole.contains(r#""finish_reason":"stop""#), "{whole}");
}
