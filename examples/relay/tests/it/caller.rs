//! A relay to ask, and one who asks.

use std::fs;
use std::path::PathBuf;

use ::http::{Request, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use model_studio_sim::{Builder, Simulator};
use relay::{Args, Relay};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const KEY: &str = "sk-caller";

/// A relay, and the simulator it relays to.
pub(crate) struct Pair {
    pub(crate) relay: Relay,
    pub(crate) simulator: Simulator,
    file: PathBuf,
    _dir: TempDir,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Pair {
    /// Starts both. In the configuration, `BASE_URL` is the simulator's.
    pub(crate) async fn start(simulator: Builder, config: &str) -> Self {
        Self::with(simulator.start().await.unwrap(), config).await
    }

    /// Starts a relay to a simulator that runs.
    pub(crate) async fn with(simulator: Simulator, config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("relay.toml");
        fs::write(&file, config.replace("BASE_URL", simulator.base_url())).unwrap();
        let args = Args {
            config: Some(file.clone()),
            listen: Some(([127, 0, 0, 1], 0).into()),
            ..Args::default()
        };
        Self {
            relay: Relay::start(&args).await.unwrap(),
            simulator,
            file,
            _dir: dir,
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// Starts both as most tests want them.
    pub(crate) async fn usual() -> Self {
        Self::start(Simulator::builder(), CONFIG).await
    }

    /// Writes another configuration.
    pub(crate) fn write(&self, config: &str) {
        let text = config.replace("BASE_URL", self.simulator.base_url());
        fs::write(&self.file, text).unwrap();
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        self.client.request(request).await.unwrap()
    }

    pub(crate) fn post(&self, path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
        Request::post(format!("{}{path}", self.relay.base_url()))
            .header("authorization", format!("Bearer {KEY}"))
            .header("content-type", "application/json")
            .body(Full::new(body.into()))
            .unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Request<Full<Bytes>> {
        let base = self.relay.base_url();
        let url = match path.strip_prefix("/v1") {
            Some(path) => format!("{base}{path}"),
            None => base.replace("/v1", path),
        };
        Request::get(url)
            .header("authorization", format!("Bearer {KEY}"))
            .body(Full::default())
            .unwrap()
    }

    /// Sends a chat and returns the answer with its body.
    pub(crate) async fn chat(&self, body: impl Into<Bytes>) -> Response<Bytes> {
        whole(self.send(self.post("/chat/completions", body)).await).await
    }
}

pub(crate) async fn whole(response: Response<Incoming>) -> Response<Bytes> {
    let (head, body) = response.into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

pub(crate) fn json(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

pub(crate) fn header<'a, B>(response: &'a Response<B>, name: &str) -> Option<&'a str> {
    response
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap())
}

/// Adds up what `metrics` say under a name, of the lines that have a label.
pub(crate) fn sum(metrics: &str, name: &str, label: &str) -> u64 {
    let lines = metrics
        .lines()
        .filter(|line| line.starts_with(name) && line.contains(label));
    lines
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum()
}

pub(crate) fn hello(model: &str) -> String {
    format!(
        r#"{{"model":"{model}","messages":[{{"role":"user","content":"hello"}}],"max_tokens":8}}"#
    )
}

/// Two accounts, a chain, and one who asks.
pub(crate) const CONFIG: &str = r#"
workers = 2

[[provider]]
name = "studio"
base_url = "BASE_URL"
profile = "model-studio"

[[account]]
name = "a"
provider = "studio"
keys = ["sk-a1", "sk-a2"]

[[account]]
name = "b"
provider = "studio"
keys = ["sk-b1"]

[[model]]
name = "qwen3-max"
provider = "studio"
quota = { rps = 10, rpm = 600, tpm = 1_000_000 }
price = { input = 1.0, output = 10.0 }

[[model]]
name = "plus"
upstream = "qwen-plus"
provider = "studio"
quota = { rps = 20, rpm = 1_200, tpm = 1_000_000 }

[[model]]
name = "embedding"
upstream = "qwen-turbo"
provider = "studio"

[[alias]]
name = "best"
chain = ["qwen3-max", "plus"]

[[client]]
name = "caller"
keys = ["sk-caller"]
"#;

/// What an upstream was asked.
pub(crate) type Seen = tokio::sync::mpsc::UnboundedReceiver<(::http::request::Parts, Bytes)>;

impl Pair {
    /// A relay to an upstream that answers with what it was asked, and tells.
    pub(crate) async fn echo(config: &str) -> (Self, Seen) {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let addr = listener.local_addr().unwrap();
        let (tell, seen) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let tell = tell.clone();
                let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                    let tell = tell.clone();
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await?.to_bytes();
                        let _ = tell.send((head, body.clone()));
                        Ok::<_, hyper::Error>(Response::new(Full::new(body)))
                    }
                });
                let io = hyper_util::rt::TokioIo::new(stream);
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(io, service),
                );
            }
        });
        let config = config.replace("BASE_URL", &format!("http://{addr}/v1"));
        (Self::start(Simulator::builder(), &config).await, seen)
    }
}
