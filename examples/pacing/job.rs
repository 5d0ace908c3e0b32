use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Uri};
use http_body_util::Full;
use throttle_signal::{StartBy, Tenant};
use tokio::time::Instant;

use crate::draw::{Draw, LogNormal};

/// The model that all jobs ask.
pub(crate) const MODEL: &str = "qwen3-max";

/// What jobs are like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    /// Tokens of the prompt.
    pub(crate) prompt: LogNormal,
    /// Prompt and `max_tokens` together are no less and no more than this.
    pub(crate) size: (f64, f64),
    /// Tokens of the answer.
    pub(crate) answer: Answer,
    /// How long an answer takes, apart from its tokens; in seconds.
    pub(crate) service: LogNormal,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// Of a known length, which is taken off the prompt: the size of the job is known beforehand.
    Known(u64),
    /// Unknown beforehand but for `max_tokens`, and written at so many tokens a second.
    Open {
        length: LogNormal,
        max_tokens: u64,
        per_second: f64,
    },
}

/// One request that a worker wants answered, however often it has to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) id: u64,
    pub(crate) born: Instant,
    /// Whose it is, as we count.
    pub(crate) tenant: usize,
    /// Whose it is, as the client is told.
    pub(crate) mark: Option<Tenant>,
    /// When it is too late to send it.
    pub(crate) start_by: Option<Instant>,
    pub(crate) prompt: u64,
    pub(crate) max_tokens: u64,
    pub(crate) answer: u64,
    pub(crate) service: Duration,
    attempts: Arc<AtomicU32>,
}

impl Job {
    pub(crate) fn new(workload: &Workload, seed: u64, id: u64, born: Instant) -> Self {
        let (least, most) = workload.size;
        let size = workload.prompt.sample(&mut Draw::Size.of(seed, id));
        let size = size.clamp(least, most).round() as u64;
        let service = workload.service.duration(&mut Draw::Service.of(seed, id));
        let (prompt, max_tokens, answer, writing) = match workload.answer {
            Answer::Known(answer) => {
                let answer = answer.min(size - 1);
                (size - answer, answer, answer, Duration::ZERO)
            }
            Answer::Open {
                length,
                max_tokens,
                per_second,
            } => {
                let answer = length.sample(&mut Draw::Answer.of(seed, id));
                let answer = (answer.round() as u64).clamp(1, max_tokens);
                let writing = Duration::from_secs_f64(answer as f64 / per_second);
                (size, max_tokens, answer, writing)
            }
        };
        Self {
            id,
            born,
            tenant: 0,
            mark: None,
            start_by: None,
            prompt,
            max_tokens,
            answer,
            service: service + writing,
            attempts: Arc::default(),
        }
    }

    /// What the job uses in the end.
    pub(crate) const fn tokens(&self) -> u64 {
        self.prompt + self.answer
    }

    /// What an upstream that charges beforehand takes.
    pub(crate) const fn most_tokens(&self) -> u64 {
        self.prompt + self.max_tokens
    }

    /// Counts an attempt, the first as 0.
    pub(crate) fn attempt(&self) -> u32 {
        self.attempts.fetch_add(1, Ordering::Relaxed)
    }

    /// The request as a caller of Model Studio writes it, with the job as an extension.
    pub(crate) fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() =
            Uri::from_static("https://dashscope.aliyuncs.com/compatible-mode/v1/chat/completions");
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        if let Some(tenant) = &self.mark {
            request.extensions_mut().insert(tenant.clone());
        }
        if let Some(at) = self.start_by {
            request.extensions_mut().insert(StartBy(at));
        }
        request.extensions_mut().insert(self.clone());
        request
    }

    fn body(&self) -> Bytes {
        let head = format!(
            r#"{{"model":"{MODEL}","max_tokens":{},"messages":[{{"role":"user","content":""#,
            self.max_tokens
        );
        let text = usize::try_from(self.prompt).unwrap_or(usize::MAX);
        let text = text.saturating_mul(BYTES_PER_TOKEN).min(PROSE.len());
        let mut body = BytesMut::with_capacity(head.len() + text + 4);
        body.put(head.as_bytes());
        body.put(&PROSE.as_bytes()[..text]);
        body.put(r#""}]}"#.as_bytes());
        body.freeze()
    }
}

/// What English comes to.
const BYTES_PER_TOKEN: usize = 4;

static PROSE: LazyLock<String> =
    LazyLock::new(|| "the quick brown fox jumps over a lazy dog and ".repeat(6_000));

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(answer: Answer) -> Workload {
        Workload {
            prompt: LogNormal {
                median: 500.0,
                sigma: 0.8,
            },
            size: (20.0, 60_000.0),
            answer,
            service: LogNormal {
                median: 1.5,
                sigma: 0.6,
            },
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_of_known_length_costs_the_same_before_and_after() {
        let workload = workload(Answer::Known(16));
        for id in 0..1_000 {
            let job = Job::new(&workload, 1, id, Instant::now());
            assert_eq!(job.tokens(), job.most_tokens());
            assert!((20..=60_000).contains(&job.tokens()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_answer_stays_within_max_tokens() {
        let length = LogNormal {
            median: 4_000.0,
            sigma: 0.9,
        };
        let workload = workload(Answer::Open {
            length,
            max_tokens: 4_096,
            per_second: 80.0,
        });
        let jobs = (0..1_000).map(|id| Job::new(&workload, 1, id, Instant::now()));
        assert!(jobs.clone().all(|job| job.answer <= 4_096));
        assert!(jobs.clone().any(|job| job.answer == 4_096));
        assert!(jobs.clone().any(|job| job.answer < 4_096));
    }

    #[tokio::test(start_paused = true)]
    async fn the_body_is_json_and_as_long_as_the_prompt() {
        let job = Job::new(&workload(Answer::Known(16)), 1, 1, Instant::now());
        let body: serde_json::Value = serde_json::from_slice(&job.body()).unwrap();
        assert_eq!(body["max_tokens"], 16);
        let text = body["messages"][0]["content"].as_str().unwrap();
        assert_eq!(text.len() as u64, job.prompt * 4);
    }
}
