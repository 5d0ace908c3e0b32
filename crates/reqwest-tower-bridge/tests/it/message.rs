//! The parts of a request and a response that `http` messages have no place for, or that a careless
//! conversion loses.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request as Incoming;
use axum::http::Uri;
use axum::response::Redirect;
use axum::routing::{get, post};
use http::{Extensions, HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::Full;
use reqwest::Client;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use reqwest_tower_bridge::{LayerMiddleware, NextService, RequestBody};
use tower::ServiceBuilder;
use tower::layer::layer_fn;
use tower::layer::util::Identity;
use tower::service_fn;
use tower::util::{MapRequestLayer, MapResponseLayer};
use tower_http::set_header::{SetRequestHeaderLayer, SetResponseHeaderLayer};

use crate::server::serve;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Mark(u32);

fn client(middleware: impl Middleware) -> ClientWithMiddleware {
    ClientBuilder::new(Client::new()).with(middleware).build()
}

async fn echo(request: Incoming) -> String {
    let headers = request.headers();
    let header = |name| {
        headers
            .get(name)
            .map_or("-", |value: &HeaderValue| value.to_str().unwrap())
    };
    format!(
        "{} {} {:?} {} {}",
        request.method(),
        request.uri(),
        request.version(),
        header("x-own"),
        header("x-layer")
    )
}

#[tokio::test]
async fn method_path_headers_and_version_reach_the_server() {
    let addr = serve(Router::new().fallback(echo)).await;
    let layer = SetRequestHeaderLayer::overriding(
        http::HeaderName::from_static("x-layer"),
        HeaderValue::from_static("b"),
    );
    let seen = Arc::new(Mutex::new(None));
    let versions = Arc::clone(&seen);
    let below = move |request: reqwest::Request, _: &mut Extensions| {
        *versions.lock().unwrap() = Some(request.version());
    };

    let client = ClientBuilder::new(Client::new())
        .with(LayerMiddleware::new(layer))
        .with(Spy(below))
        .build();
    let url = format!("http://{addr}/a%20b?q=1&r=%E4%BD%A0");
    let request = client
        .put(url)
        .header("x-own", "a")
        .version(Version::HTTP_11);
    let text = request.send().await.unwrap().text().await.unwrap();
    assert_eq!(text, "PUT /a%20b?q=1&r=%E4%BD%A0 HTTP/1.1 a b");
    assert_eq!(*seen.lock().unwrap(), Some(Version::HTTP_11));
}

/// Middleware that looks at what goes down and passes it on.
struct Spy<F>(F);

#[async_trait::async_trait]
impl<F> Middleware for Spy<F>
where
    F: Fn(reqwest::Request, &mut Extensions) + Send + Sync + 'static,
{
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        (self.0)(request.try_clone().unwrap(), extensions);
        next.run(request, extensions).await
    }
}

#[tokio::test]
async fn layers_see_what_came_with_extension() {
    let addr = serve(Router::new().fallback(echo)).await;
    let seen = Arc::new(Mutex::new(None));
    let layer = {
        let seen = Arc::clone(&seen);
        MapRequestLayer::new(move |request: Request<RequestBody>| {
            *seen.lock().unwrap() = request.extensions().get::<Mark>().copied();
            request
        })
    };

    let request = client(LayerMiddleware::new(layer)).get(format!("http://{addr}/"));
    request.with_extension(Mark(7)).send().await.unwrap();
    assert_eq!(*seen.lock().unwrap(), Some(Mark(7)));
}

#[tokio::test]
async fn middleware_below_sees_what_came_with_extension_and_middleware_above_what_it_leaves() {
    let addr = serve(Router::new().fallback(echo)).await;
    let (above, below) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(None)));
    let down = {
        let below = Arc::clone(&below);
        Spy(move |_, extensions: &mut Extensions| {
            *below.lock().unwrap() = extensions.replace_mark(8);
        })
    };
    let up = After(Arc::clone(&above));

    let client = ClientBuilder::new(Client::new())
        .with(up)
        .with(LayerMiddleware::new(Identity::new()))
        .with(down)
        .build();
    let request = client
        .get(format!("http://{addr}/"))
        .with_extension(Mark(7));
    request.send().await.unwrap();
    assert_eq!(*below.lock().unwrap(), Some(Mark(7)));
    assert_eq!(*above.lock().unwrap(), Some(Mark(8)));
}

trait ReplaceMark {
    fn replace_mark(&mut self, mark: u32) -> Option<Mark>;
}

impl ReplaceMark for Extensions {
    fn replace_mark(&mut self, mark: u32) -> Option<Mark> {
        self.insert(Mark(mark))
    }
}

/// Middleware that notes what is left in the extensions once the answer is there.
struct After(Arc<Mutex<Option<Mark>>>);

#[async_trait::async_trait]
impl Middleware for After {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        let answer = next.run(request, extensions).await;
        *self.0.lock().unwrap() = extensions.get().copied();
        answer
    }
}

#[tokio::test]
async fn extensions_a_layer_adds_reach_the_layers_below_and_the_caller() {
    let addr = serve(Router::new().fallback(echo)).await;
    let seen = Arc::new(Mutex::new(None));
    let outer = ServiceBuilder::new()
        .layer(MapRequestLayer::new(|mut request: Request<RequestBody>| {
            request.extensions_mut().insert(Mark(1));
            request
        }))
        .layer(MapResponseLayer::new(
            |mut response: Response<reqwest::Body>| {
                response.extensions_mut().insert(Mark(2));
                response
            },
        ));
    let inner = {
        let seen = Arc::clone(&seen);
        MapRequestLayer::new(move |request: Request<RequestBody>| {
            *seen.lock().unwrap() = request.extensions().get::<Mark>().copied();
            request
        })
    };

    let client = ClientBuilder::new(Client::new())
        .with(LayerMiddleware::new(outer))
        .with(LayerMiddleware::new(inner))
        .build();
    let response = client.get(format!("http://{addr}/")).send().await.unwrap();
    assert_eq!(*seen.lock().unwrap(), Some(Mark(1)));
    assert_eq!(response.extensions().get(), Some(&Mark(2)));
}

#[tokio::test]
async fn response_keeps_url_address_headers_and_length() {
    let router = Router::new()
        .route("/old", get(async || Redirect::temporary("/new?x=1")))
        .route("/new", get(async || ([("x-server", "s")], "hello")));
    let addr = serve(router).await;
    let layer = SetResponseHeaderLayer::overriding(
        http::HeaderName::from_static("x-layer"),
        HeaderValue::from_static("b"),
    );

    let client = client(LayerMiddleware::new(layer));
    let response = client
        .get(format!("http://{addr}/old"))
        .send()
        .await
        .unwrap();
    assert_eq!(response.url().as_str(), format!("http://{addr}/new?x=1"));
    assert_eq!(response.remote_addr(), Some(addr));
    assert_eq!(response.headers()["x-server"], "s");
    assert_eq!(response.headers()["x-layer"], "b");
    assert_eq!(response.content_length(), Some(5));
    assert_eq!(response.version(), Version::HTTP_11);
    assert_eq!(response.text().await.unwrap(), "hello");
}

#[tokio::test]
async fn a_url_keeps_what_a_uri_has_no_place_for() {
    let seen = Arc::new(Mutex::new(None));
    let below = {
        let seen = Arc::clone(&seen);
        Spy(move |request: reqwest::Request, _: &mut Extensions| {
            *seen.lock().unwrap() = Some(request.url().to_string());
        })
    };
    let client = ClientBuilder::new(Client::new())
        .with(LayerMiddleware::new(Identity::new()))
        .with(below)
        .build();
    let addr = serve(Router::new().fallback(echo)).await;
    let url = format!("http://{addr}/?q=a#part");
    client.get(&url).send().await.unwrap();
    assert_eq!(*seen.lock().unwrap(), Some(url));
}

#[tokio::test]
async fn answer_of_a_layer_has_the_url_of_the_request() {
    let layer = layer_fn(|_: NextService<'_>| {
        service_fn(async |_: Request<RequestBody>| {
            let mut response = Response::new(Full::new(Bytes::from("no")));
            *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            Ok::<_, std::convert::Infallible>(response)
        })
    });

    let client = client(LayerMiddleware::new(layer));
    let response = client
        .get("http://nobody.invalid/v1?x=1")
        .send()
        .await
        .unwrap();
    assert_eq!(response.url().as_str(), "http://nobody.invalid/v1?x=1");
    let error = response.error_for_status().unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::TOO_MANY_REQUESTS));
}

#[tokio::test]
async fn a_request_without_a_body_goes_without_one() {
    async fn lengths(uri: Uri, headers: http::HeaderMap) -> String {
        let has = |name| headers.contains_key(name);
        format!(
            "{} {} {}",
            uri.path(),
            has("content-length"),
            has("transfer-encoding")
        )
    }
    let addr = serve(
        Router::new()
            .route("/", get(lengths))
            .route("/post", post(lengths)),
    )
    .await;
    let plain = ClientBuilder::new(Client::new()).build();
    let layered = client(LayerMiddleware::new(Identity::new()));
    for path in ["", "post"] {
        let mut said = Vec::new();
        for client in [&plain, &layered] {
            let url = format!("http://{addr}/{path}");
            let request = if path.is_empty() {
                client.get(url)
            } else {
                client.post(url)
            };
            said.push(request.send().await.unwrap().text().await.unwrap());
        }
        assert_eq!(said[0], said[1]);
    }
}
