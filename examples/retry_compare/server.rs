//! One scripted server on loopback. What it answers is named by the path: `/scenario/client/number`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE, HeaderValue, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::time::Instant;

/// What the server does, and until when it does it, counted from a request's first arrival.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scenario {
    /// `Retry-After: 7`.
    Seconds,
    /// `Retry-After` as a date five seconds ahead.
    Date,
    /// `retry-after-ms: 1500`.
    Millis,
    /// The wait in the message only.
    Body,
    /// nginx's page, and no wait.
    Html,
    /// `insufficient_quota`, the end of the money.
    Money,
    /// `insufficient_quota`, a limit of tokens that is over in two seconds.
    Tokens,
    /// `Retry-After: 86400`.
    Day,
    /// 503 to everybody while it lasts.
    Outage,
}

impl Scenario {
    /// Those with one request each.
    pub(crate) const SINGLE: [Self; 8] = [
        Self::Seconds,
        Self::Date,
        Self::Millis,
        Self::Body,
        Self::Html,
        Self::Money,
        Self::Tokens,
        Self::Day,
    ];

    /// What it is called.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Seconds => "Retry-After: 7",
            Self::Date => "Retry-After: date, 5 s",
            Self::Millis => "retry-after-ms: 1500",
            Self::Body => "\"try again in 3.2s\"",
            Self::Html => "HTML, no wait (1 s)",
            Self::Money => "insufficient_quota: money",
            Self::Tokens => "insufficient_quota: tokens (2 s)",
            Self::Day => "Retry-After: 86400",
            Self::Outage => "outage",
        }
    }

    /// How long it refuses.
    pub(crate) const fn lasts(self) -> Duration {
        match self {
            Self::Seconds => Duration::from_secs(7),
            Self::Date => Duration::from_secs(5),
            Self::Millis => Duration::from_millis(1500),
            Self::Body => Duration::from_millis(3200),
            Self::Html => Duration::from_secs(1),
            Self::Tokens => Duration::from_secs(2),
            Self::Money | Self::Day | Self::Outage => Duration::MAX,
        }
    }

    /// Whether it says when to come back, so that earlier is too early.
    pub(crate) const fn states_a_wait(self) -> bool {
        matches!(self, Self::Seconds | Self::Date | Self::Millis | Self::Body)
    }

    fn refusal(self) -> Response<Full<Bytes>> {
        const QUOTA: &str = r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#;
        const LIMIT: &str = r#"{"error":{"message":"Rate limit reached on tokens per min (TPM): Limit 30000, Used 29000, Requested 2600. Please try again in 3.2s.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#;
        const BUSY: &str =
            r#"{"error":{"message":"Slow down.","type":"requests","param":null,"code":null}}"#;
        let (status, kind, body) = match self {
            Self::Html => (
                429,
                "text/html",
                "<html><h1>429 Too Many Requests</h1></html>",
            ),
            Self::Money | Self::Tokens => (429, "application/json", QUOTA),
            Self::Body => (429, "application/json", LIMIT),
            Self::Outage => (503, "text/plain", "no upstream"),
            _ => (429, "application/json", BUSY),
        };
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        match self {
            Self::Seconds => drop(headers.insert(RETRY_AFTER, 7.into())),
            Self::Day => drop(headers.insert(RETRY_AFTER, 86_400.into())),
            Self::Millis => drop(headers.insert("retry-after-ms", 1500.into())),
            Self::Date => {
                // A date has whole seconds: the server's clock stands where its date does.
                let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_625_570);
                let date = |at| HeaderValue::try_from(httpdate::fmt_http_date(at));
                if let (Ok(now), Ok(then)) = (date(now), date(now + Duration::from_secs(5))) {
                    headers.insert(DATE, now);
                    headers.insert(RETRY_AFTER, then);
                }
            }
            _ => {}
        }
        response
    }
}

/// When each request arrived, by its path.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    arrivals: Arc<Mutex<HashMap<String, Vec<Instant>>>>,
    outage_ends: Arc<Mutex<Instant>>,
}

impl Server {
    /// Starts to serve on a free port, for as long as the runtime lives.
    ///
    /// # Errors
    ///
    /// If no port can be had.
    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let server = Self {
            address: listener.local_addr()?,
            arrivals: Arc::default(),
            outage_ends: Arc::new(Mutex::new(Instant::now())),
        };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = serving.clone();
                let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                    let response = server.answer(request.uri().path());
                    async move { Ok::<_, Infallible>(response) }
                });
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(server)
    }

    /// The URL of one request.
    pub(crate) fn url(&self, scenario: Scenario, client: &str, number: usize) -> String {
        format!("http://{}/{scenario:?}/{client}/{number}", self.address)
    }

    /// Begins the outage.
    pub(crate) fn fail_for(&self, time: Duration) {
        *lock(&self.outage_ends) = Instant::now() + time;
    }

    /// When the requests whose URL begins so arrived.
    pub(crate) fn arrivals(&self, url: &str) -> Vec<Instant> {
        let path = url
            .split_once(&self.address.to_string())
            .map_or("", |(_, path)| path);
        let arrivals = lock(&self.arrivals);
        let of_path = arrivals.iter().filter(|(one, _)| one.starts_with(path));
        of_path
            .flat_map(|(_, times)| times.iter().copied())
            .collect()
    }

    fn answer(&self, path: &str) -> Response<Full<Bytes>> {
        let now = Instant::now();
        let first = {
            let mut arrivals = lock(&self.arrivals);
            let times = arrivals.entry(path.to_owned()).or_default();
            times.push(now);
            times.first().copied().unwrap_or(now)
        };
        let name = path.split('/').nth(1).unwrap_or_default();
        let scenario = Scenario::SINGLE
            .into_iter()
            .find(|one| format!("{one:?}") == name);
        let (scenario, refused) = match scenario {
            // The clocks of two hosts that agree to a millisecond are good clocks.
            Some(scenario) => (
                scenario,
                now - first + Duration::from_millis(1) < scenario.lasts(),
            ),
            None => (Scenario::Outage, now < *lock(&self.outage_ends)),
        };
        if refused {
            scenario.refusal()
        } else {
            Response::new(Full::from("done"))
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
