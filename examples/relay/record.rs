use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::StatusCode;
use throttle_signal::{AccountId, Trail};
use tokio::time::Instant;

use crate::gate::Place;
use crate::metrics::{Cell, Fallen, Metrics, TurnedAway};
use crate::setup::Setup;
use crate::usage::{Tail, Usage};

/// What is to be said of one request when it is over. It holds no key and nothing of a prompt.
#[derive(Debug)]
pub(crate) struct Record {
    metrics: Arc<Metrics>,
    pub(crate) id: String,
    client: Arc<str>,
    /// What was asked for.
    model: Arc<str>,
    path: &'static str,
    arrived: Instant,
    status: StatusCode,
    code: Option<&'static str>,
    end: &'static str,
    upstream: Option<Upstream>,
    attempts: u32,
    waited: Duration,
    first_byte: Option<Duration>,
    bytes: u64,
    tail: Option<Tail>,
    place: Option<Place>,
}

/// The name of a client or model that is not known, or not yet.
static NOBODY: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from(""));

/// Who answered.
#[derive(Debug)]
struct Upstream {
    account: AccountId,
    model: Arc<str>,
    key: Option<String>,
    cell: Arc<Cell>,
    setup: Arc<Setup>,
}

impl Record {
    /// Begins the record of a request.
    pub(crate) fn begin(metrics: &Arc<Metrics>, id: String, path: &'static str) -> Self {
        metrics.open.inc();
        Self {
            metrics: Arc::clone(metrics),
            id,
            client: Arc::clone(&NOBODY),
            model: Arc::clone(&NOBODY),
            path,
            arrived: Instant::now(),
            status: StatusCode::OK,
            code: None,
            end: "left",
            upstream: None,
            attempts: 0,
            waited: Duration::ZERO,
            first_byte: None,
            bytes: 0,
            tail: None,
            place: None,
        }
    }

    pub(crate) const fn arrived(&self) -> Instant {
        self.arrived
    }

    pub(crate) fn client(&mut self, client: &Arc<str>, place: Option<Place>) {
        self.client = Arc::clone(client);
        self.place = place;
    }

    pub(crate) fn model(&mut self, model: &Arc<str>) {
        self.model = Arc::clone(model);
    }

    /// Notes that the relay itself says no.
    pub(crate) fn refused(mut self, status: StatusCode, code: &'static str) {
        self.metrics
            .turned_away
            .get_or_create(&TurnedAway { code })
            .inc();
        self.status = status;
        self.code = Some(code);
        self.end = "refused";
    }

    /// Notes who answered.
    pub(crate) fn answered(&mut self, status: StatusCode, trail: &Trail, setup: &Arc<Setup>) {
        self.status = status;
        self.attempts = trail.attempts;
        self.waited = trail.waited;
        if !trail.waited.is_zero() {
            self.metrics.waited.inc_by(trail.waited.as_secs_f64());
        }
        if trail.candidates_tried > 1 {
            if let Some(candidate) = &trail.candidate {
                let fallen = Fallen {
                    from: self.model.to_string(),
                    to: candidate.to_string(),
                };
                self.metrics.fallbacks.get_or_create(&fallen).inc();
            }
        }
        if let (Some(account), Some(model)) = (&trail.account, &trail.model) {
            self.upstream = Some(Upstream {
                cell: self.metrics.cell(account, model),
                account: account.clone(),
                model: Arc::clone(model),
                key: trail.key.as_ref().map(ToString::to_string),
                setup: Arc::clone(setup),
            });
            self.tail = status.is_success().then(Tail::default);
        }
    }

    /// Notes a piece of the answer.
    pub(crate) fn data(&mut self, data: &[u8]) {
        if self.first_byte.is_none() {
            let after = self.arrived.elapsed();
            self.first_byte = Some(after);
            if let Some(upstream) = &self.upstream {
                upstream.cell.first_byte.observe(after.as_secs_f64());
            }
        }
        self.bytes += data.len() as u64;
        if let Some(tail) = &mut self.tail {
            tail.push(data);
        }
    }

    /// Notes that the whole answer was handed on.
    pub(crate) fn complete(mut self) {
        self.end = "complete";
    }

    /// Notes that the upstream broke off within the answer.
    pub(crate) fn broken(mut self) {
        self.end = "broken";
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of tokens are far below 2^52"
    )]
    fn settle(&self) -> Option<Usage> {
        let usage = self.tail.as_ref()?.usage()?;
        let upstream = self.upstream.as_ref()?;
        upstream.cell.input.inc_by(usage.input);
        upstream.cell.output.inc_by(usage.output);
        let price = upstream
            .setup
            .price(upstream.account.as_str(), &upstream.model);
        let cost = usage.input as f64 * price.input + usage.output as f64 * price.output;
        upstream.cell.cost.inc_by(cost / 1e6);
        Some(usage)
    }

    fn log(&self, usage: Option<Usage>) {
        if !tracing::enabled!(tracing::Level::INFO) {
            return;
        }
        let upstream = self.upstream.as_ref();
        tracing::info!(
            request_id = %self.id,
            client = &*self.client,
            endpoint = self.path,
            model = &*self.model,
            status = self.status.as_u16(),
            end = self.end,
            code = self.code,
            account = upstream.map(|upstream| upstream.account.as_str()),
            key = upstream.and_then(|upstream| upstream.key.as_deref()),
            upstream_model = upstream.map(|upstream| &*upstream.model),
            attempts = self.attempts,
            waited_ms = millis(self.waited),
            first_byte_ms = self.first_byte.map(millis),
            total_ms = millis(self.arrived.elapsed()),
            bytes = self.bytes,
            input_tokens = usage.map(|usage| usage.input),
            output_tokens = usage.map(|usage| usage.output),
            "request"
        );
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let metrics = Arc::clone(&self.metrics);
        metrics.open.dec();
        let (client, model) = (Arc::clone(&self.client), Arc::clone(&self.model));
        metrics.over((client, model, self.status.as_u16(), self.end));
        let usage = self.settle();
        self.log(usage);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
