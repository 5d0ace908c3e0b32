use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::turn::Turn;

pub(crate) type Io = MaybeHttpsStream<TokioIo<TcpStream>>;

/// How often both sides of a connection are looked at within one poll. Others want their turn, too.
const LOOKS: usize = 16;

/// A connection to an upstream, driven by whoever waits for its answer.
///
/// A connection is meant to be a task of its own. Each request, each answer and each piece of a body is
/// then handed from task to task, and the scheduler costs more than what is done; here none is.
pub(crate) struct Link {
    sender: SendRequest<Full<Bytes>>,
    // None once it is closed.
    driver: Option<Connection<Io, Full<Bytes>>>,
    turn: Arc<Turn>,
    waker: Waker,
}

impl Link {
    pub(crate) async fn new(io: Io) -> hyper::Result<Self> {
        let (sender, driver) = handshake(io).await?;
        let turn = Arc::new(Turn::default());
        Ok(Self {
            sender,
            driver: Some(driver),
            waker: Waker::from(Arc::clone(&turn)),
            turn,
        })
    }

    /// Looks whether it can take a request, which it cannot if the upstream has closed it, or if the
    /// last answer was not read to its end.
    pub(crate) fn is_ready(&mut self) -> bool {
        self.turn.begin();
        self.drive();
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Sends a request and waits for the head of its answer. Dropped before, it leaves a connection
    /// that is good for nothing.
    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>> {
        let mut answer = pin!(self.sender.try_send_request(request));
        poll_fn(|cx| self.poll(cx, |cx| answer.as_mut().poll(cx))).await
    }

    /// Waits for what comes by this connection, and drives it meanwhile.
    pub(crate) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut wanted: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        for _ in 0..LOOKS {
            self.turn.begin();
            self.drive();
            if let Poll::Ready(wanted) = wanted(&mut Context::from_waker(&self.waker)) {
                return Poll::Ready(wanted);
            }
            if self.turn.end(cx.waker()) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn drive(&mut self) {
        if let Some(driver) = &mut self.driver {
            // How it ends, whoever waits for an answer is told.
            if Pin::new(driver)
                .poll(&mut Context::from_waker(&self.waker))
                .is_ready()
            {
                self.driver = None;
            }
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("closed", &self.driver.is_none())
            .finish_non_exhaustive()
    }
}
