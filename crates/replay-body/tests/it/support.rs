//! Reading a body to its end while holding it to its word.

use std::pin::pin;

use bytes::Bytes;
use http::HeaderMap;
use http_body::Body;
use http_body_util::BodyExt;

/// Everything a body yielded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Read<E> {
    pub(crate) data: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
    pub(crate) error: Option<E>,
}

/// Reads to the end, the trailers or the error.
///
/// What `size_hint` and `is_end_stream` said before each frame is then checked against what came.
/// `honest` is false for a body that fails or lies: it does not yield the least it stated.
pub(crate) async fn read<B>(body: B, honest: bool) -> Read<B::Error>
where
    B: Body<Data = Bytes>,
{
    let mut body = pin!(body);
    let mut said = Vec::new();
    let mut read = Read {
        data: Vec::new(),
        trailers: None,
        error: None,
    };
    loop {
        said.push((body.size_hint(), body.is_end_stream(), read.data.len()));
        match body.frame().await {
            None => break,
            Some(Err(error)) => {
                read.error = Some(error);
                break;
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => read.data.extend_from_slice(&data),
                Err(frame) => {
                    read.trailers = Some(frame.into_trailers().ok().unwrap());
                    said.push((body.size_hint(), body.is_end_stream(), read.data.len()));
                    break;
                }
            },
        }
    }
    let last = said.len() - 1;
    for (at, (hint, ended, yielded)) in said.into_iter().enumerate() {
        let left = (read.data.len() - yielded) as u64;
        if honest {
            assert!(hint.lower() <= left, "promised {hint:?}, {left} came");
        }
        assert!(
            hint.upper().is_none_or(|upper| left <= upper),
            "promised {hint:?}, {left} came"
        );
        let more = left > 0 || at < last || read.error.is_some();
        assert!(!(ended && more), "ended, and yet something came");
    }
    read
}

pub(crate) fn trailers() -> HeaderMap {
    HeaderMap::from_iter([("grpc-status".parse().unwrap(), "8".parse().unwrap())])
}
