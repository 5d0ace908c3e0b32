//! What the layer costs a request that is answered.

use std::convert::Infallible;
use std::future::ready;
use std::pin::pin;
use std::task::{Context, Waker};

use allocation_counter::measure;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use retry_429_layer::Retry429Layer;
use throttle_signal::KeptRequest;
use tower::{Layer, Service, service_fn};

#[test]
fn an_answered_request_costs_no_allocation_but_those_of_its_copy() {
    let request = || {
        Request::post("https://api.example/v1/things")
            .header("x-request-id", "42")
            .body(Full::from(vec![b'x'; 100]))
            .unwrap()
    };
    let upstream = service_fn(|_: Request<Full<Bytes>>| {
        ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
    });
    let mut service = Retry429Layer::new().layer(upstream);
    let mut cx = Context::from_waker(Waker::noop());

    let one = request();
    let copy = measure(|| drop(KeptRequest::of(&one)));
    let one = request();
    let call = measure(|| {
        let answer = pin!(service.call(one));
        assert!(answer.poll(&mut cx).is_ready());
    });
    assert!(copy.count_total > 0);
    assert_eq!(call.count_total, copy.count_total);
}
