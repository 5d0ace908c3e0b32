//! Bodies that are still compressed, where no layer below has opened them.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::CONTENT_ENCODING;

/// The body as text can be found in it. One that is coded and stays so is empty: its bytes say
/// nothing, and what they happen to spell must not be read.
pub(crate) fn opened<'a>(headers: &HeaderMap, body: &'a [u8]) -> Cow<'a, [u8]> {
    let Some(coding) = headers.get(CONTENT_ENCODING) else {
        return Cow::Borrowed(body);
    };
    // Whoever opened it may have left the header.
    let start = body.get(..body.len().min(32)).unwrap_or_default();
    if start
        .iter()
        .all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~'))
    {
        return Cow::Borrowed(body);
    }
    open(coding.as_bytes(), body).map_or(Cow::Borrowed(&[]), Cow::Owned)
}

/// As much of the data as there is of it, up to what is looked at of any body.
#[cfg(feature = "decompress")]
fn open(coding: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    use std::io::Read;

    const MOST: u64 = 64 * 1024;

    let mut data = Vec::new();
    // A body that was cut off ends in an error; what came before it counts.
    let read = match coding.to_ascii_lowercase().as_slice() {
        b"gzip" | b"x-gzip" => flate2::read::GzDecoder::new(body)
            .take(MOST)
            .read_to_end(&mut data),
        b"deflate" => flate2::read::ZlibDecoder::new(body)
            .take(MOST)
            .read_to_end(&mut data),
        _ => return None,
    };
    (read.is_ok() || !data.is_empty()).then_some(data)
}

#[cfg(not(feature = "decompress"))]
fn open(_: &[u8], _: &[u8]) -> Option<Vec<u8>> {
    None
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn coded(coding: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(coding))])
    }

    #[test]
    fn what_is_not_coded_stays_as_it_is() {
        assert_eq!(opened(&HeaderMap::new(), b"\x1f\x8b").as_ref(), b"\x1f\x8b");
        assert_eq!(
            opened(&coded("gzip"), b"{\"error\":1}").as_ref(),
            b"{\"error\":1}"
        );
    }

    #[test]
    fn what_cannot_be_opened_is_empty() {
        assert_eq!(
            opened(&coded("br"), b"\x1b\x03\x00rate limit").as_ref(),
            b""
        );
        assert_eq!(
            opened(&coded("gzip"), b"\x1f\x8b\x00rate limit").as_ref(),
            b""
        );
    }

    #[cfg(feature = "decompress")]
    #[test]
    fn gzip_and_deflate_are_opened_as_far_as_they_come() {
        use std::io::Write;

        use flate2::Compression;
        use flate2::write::{GzEncoder, ZlibEncoder};

        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        let numbers: Vec<_> = (0..2000_u32)
            .map(|number| number.pow(2).to_string())
            .collect();
        let text = numbers.join(" ");
        gzip.write_all(text.as_bytes()).unwrap();
        let gzip = gzip.finish().unwrap();
        assert_eq!(opened(&coded("gzip"), &gzip).as_ref(), text.as_bytes());
        let part = opened(&coded("gzip"), &gzip[..gzip.len() / 2]);
        assert!(!part.is_empty() && text.as_bytes().starts_with(&part));

        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(text.as_bytes()).unwrap();
        assert_eq!(
            opened(&coded("deflate"), &zlib.finish().unwrap()).as_ref(),
            text.as_bytes()
        );

        // A bomb goes off small.
        let mut bomb = GzEncoder::new(Vec::new(), Compression::default());
        bomb.write_all(&vec![b'x'; 10_000_000]).unwrap();
        assert_eq!(
            opened(&coded("gzip"), &bomb.finish().unwrap()).len(),
            64 * 1024
        );
    }
}
