//! The stack behind tower's boxes, for those who would rather not name it.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceBuilder, ServiceExt};
use tower_http::map_response_body::MapResponseBodyLayer;

use crate::hyper::{answers, client};
use crate::layers::stack;
use crate::studio::{chat, studio};

type Boxed =
    BoxCloneSyncService<Request<Full<Bytes>>, Response<UnsyncBoxBody<Bytes, BoxError>>, BoxError>;

#[tokio::test]
async fn a_stack_is_boxed() {
    let studio = studio(0.2).await;
    let stack = ServiceBuilder::new()
        .layer(MapResponseBodyLayer::new(|body| {
            BodyExt::map_err(body, BoxError::from).boxed_unsync()
        }))
        .service(stack().service(client()));
    let boxed: Boxed = BoxCloneSyncService::new(stack.map_err(BoxError::from));
    answers(boxed, (0..10).map(|_| chat(&studio)).collect()).await;
}
