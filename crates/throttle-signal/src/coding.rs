//! Bodies that are still compressed, where no layer below has opened them.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::CONTENT_ENCODING;

/// How much of a body is opened: as much as is looked at of any.
#[cfg(any(feature = "decompress", feature = "brotli", feature = "zstd"))]
const MOST: usize = 64 * 1024;

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

fn open(coding: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    let _ = body; // not asked for without a feature
    match coding.trim_ascii().to_ascii_lowercase().as_slice() {
        #[cfg(feature = "decompress")]
        b"gzip" | b"x-gzip" => read(flate2::read::GzDecoder::new(body)),
        #[cfg(feature = "decompress")]
        b"deflate" => read(flate2::read::ZlibDecoder::new(body)),
        #[cfg(feature = "brotli")]
        b"br" => read(brotli_decompressor::Decompressor::new(body, 4096)),
        #[cfg(feature = "zstd")]
        b"zstd" => zstd(body),
        _ => None,
    }
}

/// As much of the data as there is of it.
#[cfg(any(feature = "decompress", feature = "brotli"))]
fn read(from: impl std::io::Read) -> Option<Vec<u8>> {
    use std::io::Read;

    let mut data = Vec::new();
    // A body that was cut off ends in an error; what came before it counts.
    let read = from.take(MOST as u64).read_to_end(&mut data);
    (read.is_ok() || !data.is_empty()).then_some(data)
}

/// The data of a frame that is whole. Its decoder gives nothing away before a window is full, and a
/// frame may declare any window, so it is stopped by the number of blocks, of 128 KiB at most.
#[cfg(feature = "zstd")]
fn zstd(mut body: &[u8]) -> Option<Vec<u8>> {
    use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

    let mut frame = FrameDecoder::new();
    frame.init(&mut body).ok()?;
    frame
        .decode_blocks(&mut body, BlockDecodingStrategy::UptoBlocks(8))
        .ok()?;
    let mut data = frame.collect()?;
    data.truncate(MOST);
    (!data.is_empty()).then_some(data)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const CODINGS: [&str; 4] = ["gzip", "deflate", "br", "zstd"];

    /// A refusal, and what the reference encoders make of it.
    #[cfg(any(feature = "brotli", feature = "zstd"))]
    const REFUSAL: &[u8] = br#"{"error":{"code":"limit_requests"}}"#;
    const BROTLI: &[u8] = b"\x1b\x22\x00\xf8\x8d\xd3\x15\xf3\x23\x84\x75\x2f\x45\xbe\xf6\x4a\xa7\x0f\x36\xe0\x04\x2c\xc9\xda\x6e\x10\x66\x60\x85\x17\xce\x33\x86\x42\x7f\x06";
    const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd\x04\x58\x19\x01\x00\x7b\x22\x65\x72\x72\x6f\x72\x22\x3a\x7b\x22\x63\x6f\x64\x65\x22\x3a\x22\x6c\x69\x6d\x69\x74\x5f\x72\x65\x71\x75\x65\x73\x74\x73\x22\x7d\x7d\xa2\x38\x6a\x00";

    fn coded(coding: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(coding))])
    }

    /// Of numbers, so that it can be told where it was cut, and longer than a compressor's window.
    #[cfg(any(feature = "decompress", feature = "zstd"))]
    fn text() -> String {
        let numbers: Vec<_> = (0..2000_u32)
            .map(|number| number.pow(2).to_string())
            .collect();
        numbers.join(" ")
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
        for (coding, body) in [
            ("br", &b"\x1f\xff\xffrate limit"[..]),
            ("zstd", b"\x28\xb5\x2f\xfd\xffrate limit"),
            ("gzip", b"\x1f\x8b\x00rate limit"),
            ("compress", b"\x1f\x9drate limit"),
            ("gzip, br", b"\x1b\x03\x00rate limit"),
        ] {
            assert_eq!(opened(&coded(coding), body).as_ref(), b"", "{coding}");
        }
    }

    #[cfg(feature = "decompress")]
    #[test]
    fn gzip_and_deflate_are_opened_as_far_as_they_come() {
        use std::io::Write;

        use flate2::Compression;
        use flate2::write::{GzEncoder, ZlibEncoder};

        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        let text = text();
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
        assert_eq!(opened(&coded("gzip"), &bomb.finish().unwrap()).len(), MOST);
    }

    #[cfg(feature = "brotli")]
    #[test]
    fn brotli_is_opened_as_far_as_it_comes() {
        // Ten million times an x.
        let bomb = b"\xcb\xff\xff\x3f\xf8\x25\xf0\xe2\xb1\x40\x20\xf7\xfe\x2f\xff\x2c\x31\xf0\x4b\x00\xc4\x61\x11\x80\x8e\x23\x06";
        assert_eq!(opened(&coded("br"), BROTLI).as_ref(), REFUSAL);
        let part = opened(&coded("br"), &BROTLI[..BROTLI.len() - 2]);
        assert!(REFUSAL.starts_with(&part));
        assert_eq!(opened(&coded("br"), bomb).len(), MOST);
    }

    #[cfg(feature = "zstd")]
    #[test]
    fn zstd_is_opened_whole() {
        use ruzstd::encoding::{CompressionLevel, compress_to_vec};

        assert_eq!(opened(&coded("zstd"), ZSTD).as_ref(), REFUSAL);

        let text = text();
        let frame = compress_to_vec(text.as_bytes(), CompressionLevel::Fastest);
        assert_eq!(opened(&coded("zstd"), &frame).as_ref(), text.as_bytes());
        // What was cut off gives nothing away.
        assert_eq!(
            opened(&coded("zstd"), &frame[..frame.len() / 2]).as_ref(),
            b""
        );
        // A bomb goes off small, or not at all.
        let bomb = compress_to_vec(&vec![b'x'; 10_000_000][..], CompressionLevel::Fastest);
        assert!(opened(&coded("zstd"), &bomb).len() <= MOST);
    }

    proptest! {
        #[test]
        fn survives_every_body(coding in 0..CODINGS.len(), body in vec(any::<u8>(), 0..300)) {
            prop_assert!(opened(&coded(CODINGS[coding]), &body).len() <= 64 * 1024);
        }

        #[test]
        fn survives_every_damage(damage in vec((0..48_usize, any::<u8>()), 1..6), cut in 0..48_usize) {
            for (coding, whole) in [("br", BROTLI), ("zstd", ZSTD)] {
                let mut body = whole.to_vec();
                for (at, byte) in &damage {
                    let at = at % body.len();
                    body[at] = *byte;
                }
                body.truncate(body.len().max(1) - cut.min(body.len() - 1) / 4);
                prop_assert!(opened(&coded(coding), &body).len() <= 64 * 1024);
            }
        }
    }
}
