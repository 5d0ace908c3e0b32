//! Says of responses what they mean: a JSON line each.
//!
//! ```console
//! $ curl -si https://… | cargo run --release --example classify -- --host dashscope.aliyuncs.com
//! $ cargo run --release --example classify -- responses.json
//! ```
//!
//! It reads a JSON array or lines of `{"id"?, "host", "status", "headers": {…}, "body"}`, or what
//! `curl -i` prints, from a file or stdin.

#![allow(clippy::print_stdout, reason = "it is what the program is for")]

use std::io::{self, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};
use throttle_signal::{Kind, Profile, Reader, Throttle};

/// Says of HTTP responses whether and how they throttle.
#[derive(Parser)]
#[command(name = "classify")]
struct Args {
    /// A JSON array or lines of {"id"?, "host", "status", "headers", "body"}, or the output of
    /// `curl -i`. Without it stdin is read.
    file: Option<PathBuf>,

    /// The host that answered, for input that does not say.
    #[arg(long)]
    host: Option<String>,

    /// The profile to read all of it by, instead of choosing by host.
    #[arg(long)]
    profile: Option<String>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has enough, as `head` has.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("classify: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> io::Result<()> {
    // Dates are turned into waits only by the response's own clock: it states no other.
    let mut reader = Reader::new().without_clock();
    if let Some(name) = &args.profile {
        let profile = Profile::named(name).ok_or_else(|| {
            let names: Vec<_> = Profile::names().collect();
            io::Error::other(format!(
                "no profile is called {name}; there are {}",
                names.join(", ")
            ))
        })?;
        reader = reader.profile(profile);
    }
    let mut stdout = io::stdout().lock();
    let mut failed = 0;
    for (number, case) in cases(&input(args)?)?.iter().enumerate() {
        let id = case.get("id").cloned().unwrap_or_else(|| json!(number + 1));
        let host = case
            .get("host")
            .and_then(Value::as_str)
            .or(args.host.as_deref());
        let status = case.get("status").and_then(Value::as_u64);
        let status = status.and_then(|status| u16::try_from(status).ok());
        let Some(status) = status.and_then(|status| StatusCode::from_u16(status).ok()) else {
            eprintln!(
                "classify: response {id}: its status is missing or not a number from 100 to 999"
            );
            failed += 1;
            continue;
        };
        let headers = headers(&id, case.get("headers"));
        let body = match case.get("body") {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(body)) => body.clone(),
            Some(body) => body.to_string(),
        };
        let throttle = reader.classify(host.unwrap_or_default(), status, &headers, body.as_bytes());
        writeln!(stdout, "{}", line(&id, throttle.as_ref()))?;
    }
    match failed {
        0 => Ok(()),
        _ => Err(io::Error::other(format!(
            "{failed} of the responses could not be read"
        ))),
    }
}

fn line(id: &Value, throttle: Option<&Throttle>) -> Value {
    let stated = throttle.and_then(|throttle| throttle.wait().stated());
    json!({
        "id": id,
        "kind": throttle.map(Throttle::kind).map_or("not_throttle", Kind::as_str),
        "retry": throttle.is_some_and(Throttle::retry),
        // Rounded up: whoever takes it at its word is not early.
        "retry_after_ms": stated.map(|wait| u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)),
        "scope": throttle.map_or("unknown", |throttle| throttle.scope().as_str()),
        "because": throttle.map_or("no rule says it is a refusal", Throttle::because),
    })
}

fn input(args: &Args) -> io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(file) = &args.file {
        let read = std::fs::read(file);
        bytes = read.map_err(|error| {
            io::Error::other(format!("cannot read {}: {error}", file.display()))
        })?;
    } else {
        if io::stdin().is_terminal() {
            eprintln!("classify: reading responses from the terminal; end with Ctrl-D");
        }
        io::stdin().read_to_end(&mut bytes)?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The responses of an input, whichever form it has.
fn cases(input: &str) -> io::Result<Vec<Value>> {
    let input = input.trim_start_matches('\u{feff}').trim_start();
    if input.starts_with("HTTP/") {
        return Ok(vec![from_curl(input)?]);
    }
    let parse = |text: &str, place: &str| {
        serde_json::from_str(text)
            .map_err(|error| io::Error::other(format!("{place} is not JSON: {error}")))
    };
    if input.starts_with('[') {
        return match parse(input, "the input")? {
            Value::Array(cases) => Ok(cases),
            other => Ok(vec![other]),
        };
    }
    if let Ok(one @ Value::Object(_)) = serde_json::from_str(input) {
        return Ok(vec![one]);
    }
    let lines = input
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| parse(line, &format!("line {}", number + 1)))
        .collect()
}

/// What `curl -i` prints: of several heads, as after a redirect or `100 Continue`, the last counts.
fn from_curl(input: &str) -> io::Result<Value> {
    let mut rest = input;
    loop {
        let (head, body) = rest
            .split_once("\r\n\r\n")
            .or_else(|| rest.split_once("\n\n"))
            .unwrap_or((rest.trim_end(), ""));
        if body.starts_with("HTTP/") {
            rest = body;
            continue;
        }
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split_whitespace().nth(1));
        let status: Option<u16> = status.and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("the first line has no status"))?;
        let mut headers = serde_json::Map::new();
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let values = headers
                .entry(name.trim().to_ascii_lowercase())
                .or_insert_with(|| json!([]));
            if let Value::Array(values) = values {
                values.push(json!(value.trim()));
            }
        }
        return Ok(json!({ "status": status, "headers": headers, "body": body }));
    }
}

/// The headers of a response; one that no response can have is passed over.
fn headers(id: &Value, headers: Option<&Value>) -> HeaderMap {
    let mut map = HeaderMap::new();
    let Some(Value::Object(headers)) = headers else {
        return map;
    };
    for (name, value) in headers {
        let values = match value {
            Value::Array(values) => values.as_slice(),
            Value::Null => &[],
            one => std::slice::from_ref(one),
        };
        for value in values {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            // As on the wire, where a value is bytes.
            let value = HeaderValue::from_bytes(text.as_bytes());
            match (HeaderName::try_from(name.as_str()), value) {
                (Ok(name), Ok(value)) => drop(map.append(name, value)),
                _ => eprintln!("classify: response {id}: passing over the header {name:?}"),
            }
        }
    }
    map
}
