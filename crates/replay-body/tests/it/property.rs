//! Whatever the frames, the limits and the place of an error: what comes out equals what went in.

use bytes::Bytes;
use http::Request;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use replay_body::{Peek, Replay, ReplayBody, ReplayLayer};
use test_support::{BodyError, Steps};
use tower::{Layer, ServiceExt, service_fn};

use crate::support::{Read, read, trailers};

/// How a body ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Plain,
    Trailers,
    Error,
}

/// A body, as data, so that it can be made twice.
#[derive(Clone, Debug)]
struct Plan {
    frames: Vec<Vec<u8>>,
    end: End,
    states_its_size: bool,
}

impl Plan {
    fn body(&self) -> Steps {
        let frames = self.frames.iter().cloned();
        let steps = frames.fold(Steps::new(), Steps::data);
        let steps = match self.end {
            End::Plain => steps,
            End::Trailers => steps.trailers(trailers()),
            End::Error => steps.error("reset"),
        };
        match (self.states_its_size, self.end) {
            (false, _) => steps,
            (true, End::Error) => steps.stating(self.len() as u64 + 7), // what never came
            (true, _) => steps.stating_its_size(),
        }
    }

    fn len(&self) -> usize {
        self.frames.iter().map(Vec::len).sum()
    }

    fn honest(&self) -> bool {
        !matches!(self.end, End::Error)
    }

    fn expected(&self) -> Read<BodyError> {
        Read {
            data: self.frames.concat(),
            trailers: matches!(self.end, End::Trailers).then(trailers),
            error: matches!(self.end, End::Error).then_some(BodyError("reset")),
        }
    }
}

fn plan() -> impl Strategy<Value = Plan> {
    let end = prop_oneof![Just(End::Plain), Just(End::Trailers), Just(End::Error)];
    let frames = vec(vec(any::<u8>(), 0..5), 0..6);
    (frames, end, any::<bool>()).prop_map(|(frames, end, states_its_size)| Plan {
        frames,
        end,
        states_its_size,
    })
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

proptest! {
    #[test]
    fn a_peeked_body_is_whole(
        plan in plan(),
        limit in 0..24_usize,
        stop in option::of(0..24_usize),
    ) {
        let peek = Peek::new(plan.body(), limit);
        let peeked = block_on(peek.until(|head| stop.is_some_and(|stop| head.len() >= stop)));
        let expected = plan.expected();

        prop_assert!(expected.data.starts_with(peeked.head()));
        if peeked.is_complete() {
            prop_assert_eq!(&peeked.head()[..], &expected.data[..]);
            prop_assert_eq!(peeked.trailers(), expected.trailers.as_ref());
        }
        let enough = limit.min(stop.unwrap_or(limit).max(1));
        let ended = peeked.is_complete() || peeked.error().is_some();
        prop_assert!(ended || peeked.head().len() >= enough);

        prop_assert_eq!(block_on(read(peeked.into_body(), plan.honest())), expected);
    }

    #[test]
    fn a_recorded_body_is_whole_twice_or_once(plan in plan(), cap in 0..24_usize) {
        let body = ReplayBody::tee(plan.body(), cap);
        let kept = body.keep();
        let expected = plan.expected();
        prop_assert_eq!(&block_on(read(body, plan.honest())), &expected);

        let fits = plan.len() <= cap && plan.honest();
        match kept.replay() {
            None => prop_assert!(!fits),
            Some(again) => {
                prop_assert!(fits);
                prop_assert_eq!(&again.bytes().unwrap()[..], &expected.data[..]);
                prop_assert_eq!(block_on(read(again, true)), expected);
            }
        }
    }

    #[test]
    fn a_body_passes_the_layer_whole(plan in plan(), cap in 0..32_usize) {
        let inner = service_fn(|request: Request<ReplayBody<Steps>>| async {
            let body = request.into_body();
            let bytes: Option<Bytes> = body.bytes();
            Ok::<_, BodyError>((bytes, read(body, plan.honest()).await))
        });
        let client = ReplayLayer::new(cap).layer(inner);
        let (bytes, all) = block_on(client.oneshot(Request::new(plan.body()))).unwrap();

        let expected = plan.expected();
        let collected = plan.states_its_size && plan.len() <= cap && plan.honest();
        prop_assert_eq!(bytes.is_some(), collected);
        if let Some(bytes) = bytes {
            prop_assert_eq!(&bytes[..], &expected.data[..]);
        }
        prop_assert_eq!(all, expected);
    }
}
