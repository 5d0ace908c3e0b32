use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use fallback_layer::{ErrorFn, Fallback};
use http::{Request, Response};
use http_body_util::Full;
use pin_project_lite::pin_project;
use rate_limit_layer::ResponseBody;
use replay_body::PeekBody;
use tower::util::Oneshot;
use tower::{Layer, ServiceExt};

use crate::dispatch::{Dispatch, Sent};
use crate::incoming::Incoming;
use crate::metrics::Metrics;
use crate::names::ByName;
use crate::setup::{Setup, Way};
use crate::upstream::{Broken, Upstream};

/// The ways to the models over the connections of one thread.
#[derive(Debug)]
pub(crate) struct Routes {
    pub(crate) setup: Arc<Setup>,
    dispatch: Dispatch,
    by_model: ByName<String, Route>,
}

/// The way to one model.
#[derive(Clone, Debug)]
pub(crate) enum Route {
    Direct(usize),
    Chain(Fallback<Dispatch, ErrorFn<Broken>>),
}

/// The body of an answer below a chain, and that of one at its top.
type Below = PeekBody<PeekBody<ResponseBody<Incoming>>>;
pub(crate) type AnswerBody = fallback_layer::ResponseBody<Below>;

impl Routes {
    pub(crate) fn new(setup: Arc<Setup>, metrics: &Arc<Metrics>, upstream: &Upstream) -> Self {
        let stacks = setup.lines.iter();
        let stacks = stacks.map(|line| line.stack(metrics, upstream.clone()));
        let dispatch = Dispatch::new(Arc::clone(&setup), stacks.collect());
        let routes = setup.ways.iter().map(|(name, way)| {
            let route = match way {
                Way::Direct(place) => Route::Direct(*place),
                Way::Chain(layer) => Route::Chain(layer.layer(dispatch.clone())),
            };
            (name.clone(), route)
        });
        Self {
            by_model: routes.collect(),
            dispatch,
            setup,
        }
    }

    /// The way to what a caller names as a model.
    pub(crate) fn find(&self, model: &str) -> Option<&Route> {
        self.by_model.get(model)
    }

    /// Sends a request on its way.
    pub(crate) fn send(&self, route: &Route, request: Request<Full<Bytes>>) -> Answering {
        match route {
            Route::Direct(place) => Answering::Direct {
                sent: self.dispatch.send(*place, request),
            },
            Route::Chain(chain) => Answering::Chain {
                sent: chain.clone().oneshot(request),
            },
        }
    }
}

pin_project! {
    /// A request on its way.
    #[project = AnsweringProj]
    #[allow(clippy::large_enum_variant, reason = "a box would be on the path of every request")]
    pub(crate) enum Answering {
        Direct { #[pin] sent: Sent },
        Chain { #[pin] sent: Oneshot<Fallback<Dispatch, ErrorFn<Broken>>, Request<Full<Bytes>>> },
    }
}

impl Future for Answering {
    type Output = Result<Response<AnswerBody>, Broken>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            AnsweringProj::Direct { sent } => {
                let answer = ready!(sent.poll(cx));
                Poll::Ready(
                    answer
                        .map(|response| response.map(|body| AnswerBody::new(PeekBody::new(body)))),
                )
            }
            AnsweringProj::Chain { sent } => sent.poll(cx),
        }
    }
}
