use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::task::yield_now;
use tokio::time::sleep;
use tower::{Service, ServiceExt};

use crate::incoming::Incoming;
use crate::link::Link;
use crate::upstream::Broken;

/// How long a host may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// How long an unused connection is kept, in ticks: 50 s to 55 s. Model Studio and most load balancers
/// close after 60 s or later; a connection they close first is a request that fails.
const IDLE: u32 = 10;
const TICK: Duration = Duration::from_secs(5);

/// The connections of one thread to its upstreams.
pub(crate) struct Pool {
    connector: HttpsConnector<HttpConnector>,
    origins: Mutex<Vec<Arc<Origin>>>,
}

/// One upstream, and its connections that nobody uses.
pub(crate) struct Origin {
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
    idle: Mutex<Vec<Idle>>,
    ticks: AtomicU32,
}

/// A connection that nobody uses, and since when.
struct Idle {
    link: Box<Link>,
    since: u32,
}

impl Pool {
    /// None yet. It must be called within a tokio runtime, in which those too long unused are closed.
    pub(crate) fn new() -> Arc<Self> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        let https = HttpsConnectorBuilder::new()
            .with_webpki_roots()
            .https_or_http()
            .enable_http1();
        let pool = Arc::new(Self {
            connector: https.wrap_connector(connector),
            origins: Mutex::default(),
        });
        tokio::spawn(close_idle(Arc::downgrade(&pool)));
        pool
    }

    /// Sends a request over a connection that is there or is made, and waits for the head of the answer.
    pub(crate) async fn send(
        self: Arc<Self>,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Broken> {
        let origin = self.origin(request.uri())?;
        if let Some(path) = request.uri().path_and_query() {
            *request.uri_mut() = path.clone().into();
        }
        let headers = request.headers_mut();
        headers.entry(HOST).or_insert_with(|| origin.host.clone());
        loop {
            let (mut link, fresh) = match origin.take().await {
                Some(link) => (link, false),
                None => (self.connect(&origin).await?, true),
            };
            match link.send(request).await {
                Ok(response) => {
                    return Ok(response.map(|body| Incoming::new(body, link, origin)));
                }
                // The upstream closed it before it was sent the request.
                Err(mut error) => match error.take_message() {
                    Some(unsent) if !fresh => request = unsent,
                    Some(_) => return Err(Broken::Connect(error.into_error().into())),
                    None => return Err(Broken::Link(error.into_error())),
                },
            }
        }
    }

    fn origin(&self, uri: &Uri) -> Result<Arc<Origin>, Broken> {
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(Broken::Connect("a request without a host".into()));
        };
        let mut origins = lock(&self.origins);
        let mut known = origins.iter();
        let known = known.find(|it| it.authority == *authority && it.scheme == *scheme);
        if let Some(known) = known {
            return Ok(Arc::clone(known));
        }
        let origin = Arc::new(Origin::new(scheme.clone(), authority.clone())?);
        origins.push(Arc::clone(&origin));
        Ok(origin)
    }

    async fn connect(&self, origin: &Origin) -> Result<Box<Link>, Broken> {
        let uri = Uri::builder()
            .scheme(origin.scheme.clone())
            .authority(origin.authority.clone())
            .path_and_query("/")
            .build()
            .map_err(|error| Broken::Connect(error.into()))?;
        // A clone is not ready; both are so at once.
        let mut connector = self.connector.clone();
        let connector = connector.ready().await.map_err(Broken::Connect)?;
        let io = connector.call(uri).await.map_err(Broken::Connect)?;
        let link = Link::new(io).await;
        Ok(Box::new(
            link.map_err(|error| Broken::Connect(error.into()))?,
        ))
    }
}

impl Origin {
    fn new(scheme: Scheme, authority: Authority) -> Result<Self, Broken> {
        let usual = if scheme == Scheme::HTTPS { 443 } else { 80 };
        let host = match authority.port_u16() {
            Some(port) if port != usual => format!("{}:{port}", authority.host()),
            _ => authority.host().to_owned(),
        };
        Ok(Self {
            host: HeaderValue::try_from(host).map_err(|error| Broken::Connect(error.into()))?,
            scheme,
            authority,
            idle: Mutex::default(),
            ticks: AtomicU32::new(0),
        })
    }

    /// Takes the connection that was used last, of those that are still open.
    async fn take(&self) -> Option<Box<Link>> {
        loop {
            let mut idle = lock(&self.idle).pop()?;
            if idle.since != self.ticks.load(Ordering::Relaxed) {
                // The upstream may have closed it since the runtime last looked, which on a busy machine is
                // long ago. By the end of a yield it has looked again.
                yield_now().await;
            }
            if idle.link.is_ready() {
                return Some(idle.link);
            }
        }
    }

    /// Takes back a connection, if it is good for another request.
    pub(crate) fn give_back(&self, mut link: Box<Link>) {
        if link.is_ready() {
            let since = self.ticks.load(Ordering::Relaxed);
            lock(&self.idle).push(Idle { link, since });
        }
    }

    /// Closes what nobody has used for long.
    fn tick(&self) {
        let now = self.ticks.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        lock(&self.idle).retain(|idle| now.wrapping_sub(idle.since) <= IDLE);
    }
}

/// Closes what nobody has used for long, for as long as the pool is there.
async fn close_idle(pool: Weak<Pool>) {
    loop {
        sleep(TICK).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut origins = lock(&pool.origins);
        origins.iter().for_each(|origin| origin.tick());
        // Those of a configuration that was in force before.
        origins.retain(|it| Arc::strong_count(it) > 1 || !lock(&it.idle).is_empty());
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin")
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::sync::atomic::AtomicUsize;

    use http_body_util::BodyExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::mpsc;

    use super::*;

    const SHORT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    const CHUNKED: &str =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    const CUT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nthe beginning";
    const CLOSING: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

    /// An upstream that gives these answers, in order, whatever it is asked, and tells when a connection
    /// to it has ended. `""` is the end of the connection.
    struct Upstream {
        url: String,
        connections: Arc<AtomicUsize>,
        ended: mpsc::UnboundedReceiver<()>,
    }

    impl Upstream {
        async fn start(answers: &'static [&'static str]) -> Self {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            let url = format!("http://{}/v1", listener.local_addr().unwrap());
            let connections = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&connections);
            let (tell, ended) = mpsc::unbounded_channel();
            tokio::spawn(async move {
                let given = Arc::new(AtomicUsize::new(0));
                while let Ok((stream, _)) = listener.accept().await {
                    counted.fetch_add(1, Ordering::Relaxed);
                    let (given, tell) = (Arc::clone(&given), tell.clone());
                    tokio::spawn(async move {
                        answer(stream, &given, answers).await;
                        let _ = tell.send(());
                    });
                }
            });
            Self {
                url,
                connections,
                ended,
            }
        }

        fn connections(&self) -> usize {
            self.connections.load(Ordering::Relaxed)
        }

        fn request(&self) -> Request<Full<Bytes>> {
            Request::post(&self.url).body(Full::from("hello")).unwrap()
        }
    }

    async fn answer(mut stream: TcpStream, given: &AtomicUsize, answers: &[&str]) {
        let mut seen = Vec::new();
        let mut buffer = [0; 1024];
        while let Ok(length @ 1..) = stream.read(&mut buffer).await {
            seen.extend_from_slice(&buffer[..length]);
            if seen.ends_with(b"hello") {
                seen.clear();
                let answer = answers[given.fetch_add(1, Ordering::Relaxed) % answers.len()];
                if answer.is_empty() || stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    }

    async fn text(response: Response<Incoming>) -> String {
        let body = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_connection_serves_one_request_after_the_other() {
        let upstream = Upstream::start(&[SHORT, CHUNKED]).await;
        let pool = Pool::new();
        for _ in 0..3 {
            for said in ["ok", "abcde"] {
                let response = Arc::clone(&pool).send(upstream.request()).await.unwrap();
                assert_eq!(text(response).await, said);
            }
        }
        assert_eq!(upstream.connections(), 1);
    }

    #[tokio::test]
    async fn requests_at_once_have_a_connection_each() {
        let upstream = Upstream::start(&[SHORT]).await;
        let pool = Pool::new();
        let one = Arc::clone(&pool).send(upstream.request()).await.unwrap();
        let other = Arc::clone(&pool).send(upstream.request()).await.unwrap();
        assert_eq!(
            (text(one).await, text(other).await),
            ("ok".into(), "ok".into())
        );
        assert_eq!(upstream.connections(), 2);
    }

    #[tokio::test]
    async fn an_answer_that_is_here_and_not_read_is_skipped() {
        let upstream = Upstream::start(&[SHORT]).await;
        let pool = Pool::new();
        for _ in 0..3 {
            let response = Arc::clone(&pool).send(upstream.request()).await.unwrap();
            assert_eq!(response.status(), 200);
        }
        assert_eq!(upstream.connections(), 1);
    }

    #[tokio::test]
    async fn an_answer_given_up_within_ends_its_connection() {
        let mut upstream = Upstream::start(&[CUT, SHORT]).await;
        let pool = Pool::new();
        let response = Arc::clone(&pool).send(upstream.request()).await.unwrap();
        drop(response);
        upstream.ended.recv().await.unwrap();
        let response = Arc::clone(&pool).send(upstream.request()).await.unwrap();
        assert_eq!(text(response).await, "ok");
        assert_eq!(upstream.connections(), 2);
    }

    #[tokio::test]
    async fn a_request_given_up_ends_its_connection() {
        let mut upstream = Upstream::start(&["HTTP/1.1 200 OK\r\n", SHORT]).await;
        let pool = Pool::new();
        let mut sent = Box::pin(Arc::clone(&pool).send(upstream.request()));
        while upstream.connections() == 0 {
            let given_up = tokio::time::timeout(Duration::ZERO, &mut sent).await;
            assert!(given_up.is_err());
        }
        drop(sent);
        upstream.ended.recv().await.unwrap();
    }

    #[tokio::test]
    async fn what_the_upstream_has_closed_is_not_used_again() {
        let mut upstream = Upstream::start(&[CLOSING, SHORT, "", SHORT]).await;
        let pool = Pool::new();
        for _ in 0..2 {
            let response = Arc::clone(&pool).send(upstream.request()).await.unwrap();
            assert_eq!(text(response).await, "ok");
        }
        upstream.ended.recv().await.unwrap();
        assert_eq!(upstream.connections(), 2);
        // It may have read what it was asked before it ended: that is not sent again.
        let broken = Arc::clone(&pool)
            .send(upstream.request())
            .await
            .unwrap_err();
        assert!(!broken.is_unsent());
        let response = Arc::clone(&pool).send(upstream.request()).await.unwrap();
        assert_eq!(text(response).await, "ok");
        assert_eq!(upstream.connections(), 3);
    }

    #[tokio::test]
    async fn what_was_closed_while_the_runtime_did_not_look_is_not_used() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let request = || Request::post(&url).body(Full::from("hello")).unwrap();
        let (close, told) = std::sync::mpsc::channel();
        let (tell, closed) = std::sync::mpsc::channel();
        let upstream = std::thread::spawn(move || {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().unwrap();
                let (mut seen, mut buffer) = (Vec::new(), [0; 1024]);
                while !seen.ends_with(b"hello") {
                    let length = stream.read(&mut buffer).unwrap();
                    seen.extend_from_slice(&buffer[..length]);
                }
                stream.write_all(SHORT.as_bytes()).unwrap();
                told.recv().unwrap();
                drop(stream);
                tell.send(()).unwrap();
            }
        });
        let pool = Pool::new();
        for _ in 0..2 {
            let response = Arc::clone(&pool).send(request()).await.unwrap();
            assert_eq!(text(response).await, "ok");
            let origin = Arc::clone(&lock(&pool.origins)[0]);
            origin.tick();
            // This thread, which is the runtime's, does nothing meanwhile.
            close.send(()).unwrap();
            closed.recv().unwrap();
        }
        upstream.join().unwrap();
    }

    #[tokio::test]
    async fn nobody_there_is_said_so() {
        let nobody = test_support::process::ClosedPort::new();
        let url = format!("http://{}/v1", nobody.addr());
        let request = Request::post(url).body(Full::default()).unwrap();
        let broken = Pool::new().send(request).await.unwrap_err();
        assert!(broken.is_unsent());
        assert!(broken.to_string().contains("refused"), "{broken}");
    }

    #[tokio::test]
    async fn what_is_unused_for_long_is_closed() {
        let mut upstream = Upstream::start(&[SHORT]).await;
        let pool = Pool::new();
        let response = Arc::clone(&pool).send(upstream.request()).await.unwrap();
        assert_eq!(text(response).await, "ok");
        let origin = Arc::clone(&lock(&pool.origins)[0]);
        (0..IDLE).for_each(|_| origin.tick());
        assert_eq!(lock(&origin.idle).len(), 1);
        origin.tick();
        upstream.ended.recv().await.unwrap();
    }
}
