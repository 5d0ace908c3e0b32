use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::stop::reset;

/// A connection that can be told to end with a reset rather than in order.
///
/// It fails from then on: over HTTP/2 a request that goes wrong would otherwise end alone.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    fuse: Fuse,
}

/// What tells it.
#[derive(Clone, Debug, Default)]
pub(super) struct Fuse(Arc<AtomicBool>);

impl Fuse {
    pub(super) fn blow(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_blown(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wire {
    pub(super) const fn new(stream: TcpStream, fuse: Fuse) -> Self {
        Self { stream, fuse }
    }

    /// The stream, unless it is to end.
    fn whole(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        if self.fuse.is_blown() {
            return Err(reset());
        }
        Ok(Pin::new(&mut self.stream))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.fuse.is_blown() {
            // A zero linger time makes closing a reset, and never blocks, which is what the
            // deprecation warns of.
            #[allow(
                deprecated,
                reason = "what replaces it is younger than the oldest tokio we take"
            )]
            let _ = self.stream.set_linger(Some(Duration::ZERO));
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().whole()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().whole()?.poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().whole()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().whole()?.poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().whole()?.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
