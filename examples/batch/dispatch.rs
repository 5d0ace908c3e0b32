use std::fmt;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower::Service;

use crate::errand::{self, LeftOver, Outcome, Shared};
use crate::input::Job;
use crate::output::Output;
use crate::progress::Progress;
use crate::stop::Stop;
use crate::tally::Tally;
use crate::wire::{Broken, Counts};

/// Where a run writes, and who watches it.
#[derive(Debug)]
pub(crate) struct Sink<'a> {
    pub(crate) output: &'a mut Output,
    pub(crate) progress: &'a Progress,
}

/// How a run ended.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    pub(crate) tally: Tally,
    /// Why requests were left over, unless it was asked to stop.
    pub(crate) left_over: Option<LeftOver>,
}

/// Takes all jobs through `service`, `concurrency` at a time, and records each as it ends.
///
/// Once `stop` says so nothing more is sent; what is with the endpoint is waited for and recorded.
///
/// # Errors
///
/// Fails if a record cannot be written, or a task panicked.
pub(crate) async fn all<S, B>(
    service: S,
    jobs: Vec<Job>,
    concurrency: usize,
    shared: Shared,
    counts: &Counts,
    stop: &Stop,
    sink: Sink<'_>,
) -> Result<Ended>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Broken, Future: Send>,
    S: Clone + Send + 'static,
    B: Body<Data = Bytes, Error: fmt::Display + Send> + Send + 'static,
{
    let began = Instant::now();
    let mut jobs = jobs.into_iter();
    let mut errands = JoinSet::new();
    let mut ended = Ended::default();
    loop {
        while errands.len() < concurrency && !stop.is_set() {
            let Some(job) = jobs.next() else { break };
            errands.spawn(errand::run(service.clone(), job, shared.clone()));
        }
        let Some(outcome) = errands.join_next().await else {
            break;
        };
        match outcome.context("a request ended in a panic, which is a defect of this program")? {
            Outcome::Done(done) => {
                sink.output.write(&done.record)?;
                ended.tally.add(&done);
                ended.tally.elapsed = began.elapsed();
                sink.progress.advance(counts.refused());
            }
            Outcome::Refused => {
                ended.tally.elapsed = began.elapsed();
                sink.progress.advance(counts.refused());
            }
            Outcome::SetAside => {}
            Outcome::LeftOver(left_over) => {
                if left_over.as_all {
                    stop.set();
                }
                // They may end in another order than that in which they were refused.
                let known = ended.left_over.as_ref();
                if known.is_none_or(|known| left_over.first_hand && !known.first_hand) {
                    ended.left_over = Some(left_over);
                }
            }
        }
    }
    Ok(ended)
}
