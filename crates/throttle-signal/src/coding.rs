//! Bodies that are still compressed, where no layer below has opened them.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::CONTENT_ENCODING;

/// How much of a body is opened: as much as is looked at of any.
#[cfg(any(feature = "decompress", feature = "brotli", feature = "zstd"))]
const MOST: usize = 64 * 1024;

/// How many codings are taken off. Two come of a proxy that codes what came coded; more come of nobody.
const DEEPEST: usize = 3;

/// The body as text can be found in it. One that is coded and stays so is empty: its bytes say
/// nothing, and what they happen to spell must not be read.
pub(crate) fn opened<'a>(headers: &HeaderMap, body: &'a [u8]) -> Cow<'a, [u8]> {
    let mut codings = codings(headers);
    if codings.len() > DEEPEST {
        codings.clear();
        codings.push(""); // nothing opens it
    }
    let mut data = Cow::Borrowed(body);
    // They are named in the order they were put on in (RFC 9110, section 8.4).
    while let Some(coding) = codings.pop() {
        // Whoever opened it may have left the header.
        if is_text(&data) {
            break;
        }
        data = open(coding, &data).map_or(Cow::Borrowed(&[]), Cow::Owned);
    }
    data
}

/// The codings of a body, the outermost last. A field may come twice, and name several.
fn codings(headers: &HeaderMap) -> Vec<&str> {
    let fields = headers.get_all(CONTENT_ENCODING).into_iter();
    fields
        .flat_map(|field| field.to_str().unwrap_or("?").split(','))
        .map(str::trim)
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"))
        .collect()
}

/// Whether it begins as a text does. What is coded has other bytes soon.
fn is_text(body: &[u8]) -> bool {
    let start = body.get(..body.len().min(32)).unwrap_or_default();
    start
        .iter()
        .all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~'))
}

fn open(coding: &str, body: &[u8]) -> Option<Vec<u8>> {
    let _ = body; // not asked for without a feature
    match coding.to_ascii_lowercase().as_str() {
        #[cfg(feature = "decompress")]
        "gzip" | "x-gzip" => read(flate2::read::MultiGzDecoder::new(body)),
        // By the name it is zlib's; some send what is inside of that.
        #[cfg(feature = "decompress")]
        "deflate" => read(flate2::read::ZlibDecoder::new(body))
            .or_else(|| read(flate2::read::DeflateDecoder::new(body))),
        #[cfg(feature = "brotli")]
        "br" => read(brotli_decompressor::Decompressor::new(body, 4096)),
        #[cfg(feature = "zstd")]
        "zstd" => zstd(body),
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

/// The data of a frame, as many whole blocks as there are of it. A frame may declare any window, so
/// it is stopped by the number of blocks, of 128 KiB at most.
#[cfg(feature = "zstd")]
fn zstd(mut body: &[u8]) -> Option<Vec<u8>> {
    use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

    // A last block without data, and room for a sum nobody checks: the decoder gives nothing away
    // before the frame ends or a window is full.
    const END: [u8; 7] = [1, 0, 0, 0, 0, 0, 0];

    let mut frame = FrameDecoder::new();
    frame.init(&mut body).ok()?;
    let ended = frame.decode_blocks(&mut body, BlockDecodingStrategy::UptoBlocks(8));
    if !ended.is_ok_and(|ended| ended) {
        let end = BlockDecodingStrategy::UptoBlocks(1);
        frame.decode_blocks(&END[..], end).ok()?;
    }
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

    const CODINGS: [&str; 6] = ["gzip", "deflate", "br", "zstd", "gzip, br", "zstd, deflate"];

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
        use flate2::write::{DeflateEncoder, ZlibEncoder};

        let text = text();
        let gzip = gzipped(text.as_bytes());
        assert_eq!(opened(&coded("gzip"), &gzip).as_ref(), text.as_bytes());
        let part = opened(&coded("gzip"), &gzip[..gzip.len() / 2]);
        assert!(!part.is_empty() && text.as_bytes().starts_with(&part));

        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(text.as_bytes()).unwrap();
        assert_eq!(
            opened(&coded("deflate"), &zlib.finish().unwrap()).as_ref(),
            text.as_bytes()
        );

        // Some leave out what zlib puts around it, and some send gzip in several parts.
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(text.as_bytes()).unwrap();
        let raw = raw.finish().unwrap();
        assert_eq!(opened(&coded("deflate"), &raw).as_ref(), text.as_bytes());
        let parts = [gzipped(b"{\"error\":"), gzipped(b"1}")].concat();
        assert_eq!(opened(&coded("gzip"), &parts).as_ref(), b"{\"error\":1}");

        // A bomb goes off small.
        let bomb = gzipped(&vec![b'x'; 10_000_000]);
        assert_eq!(opened(&coded("gzip"), &bomb).len(), MOST);
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
        // A bomb goes off small, or not at all.
        let bomb = compress_to_vec(&vec![b'x'; 10_000_000][..], CompressionLevel::Fastest);
        assert!(opened(&coded("zstd"), &bomb).len() <= MOST);
    }

    #[cfg(feature = "zstd")]
    #[test]
    fn of_a_zstd_that_was_cut_its_whole_blocks_are_read() {
        let mut frame = FRAME.to_vec();
        let parts = [r#"{"error":{"code":"#, r#""limit_requests"}}"#];
        for part in parts {
            frame.extend_from_slice(&block(0, part.len()));
            frame.extend_from_slice(part.as_bytes());
        }
        // It was never ended, and then is cut in its second block.
        for (cut, text) in [(0, parts.concat()), (1, parts[0].to_owned())] {
            let frame = &frame[..frame.len() - cut];
            assert_eq!(opened(&coded("zstd"), frame).as_ref(), text.as_bytes());
        }
        let block = FRAME.len() + 3 + parts[0].len();
        assert_eq!(opened(&coded("zstd"), &frame[..block - 1]).as_ref(), b"");
    }

    /// A block whose parts stand for more than four gigabytes, where 128 KiB are allowed.
    #[cfg(feature = "zstd")]
    #[test]
    fn a_zstd_block_that_swells_is_stopped() {
        const COUNT: u16 = 33_000;
        let mut body = Vec::new();
        // One letter so often,
        body.extend_from_slice(&(u32::from(COUNT) << 4 | 0x0D).to_le_bytes()[..3]);
        body.extend_from_slice(b"x\xFF");
        // and as many sequences, each of one letter and the longest match there is.
        body.extend_from_slice(&(COUNT - 0x7F00).to_le_bytes());
        body.extend_from_slice(&[0x54, 1, 0, 52]);
        body.resize(body.len() + usize::from(COUNT) * 2, 0xFF);
        body.push(1);
        let frame = [FRAME, &block(2, body.len()), &body].concat();
        let opened = opened(&coded("zstd"), &frame);
        assert!(opened.len() <= MOST);
        assert!(opened.iter().all(|letter| *letter == b'x'));
    }

    /// The beginning of a frame with a window of 128 KiB, neither of a stated length nor summed up.
    #[cfg(feature = "zstd")]
    const FRAME: &[u8] = b"\x28\xb5\x2f\xfd\x00\x38";

    /// The head of a block that is not the last.
    #[cfg(feature = "zstd")]
    fn block(kind: u32, length: usize) -> Vec<u8> {
        let head = u32::try_from(length).unwrap() << 3 | kind << 1;
        head.to_le_bytes()[..3].to_vec()
    }

    #[cfg(all(feature = "decompress", feature = "brotli"))]
    #[test]
    fn what_is_coded_twice_is_opened_from_outside() {
        let gzip = gzipped(BROTLI);
        let mut two_fields = coded("br");
        two_fields.append(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        for headers in [coded("br, gzip"), coded(" identity,BR ,x-gzip"), two_fields] {
            assert_eq!(opened(&headers, &gzip).as_ref(), REFUSAL, "{headers:?}");
        }
        // Cut, it is read as far as it comes.
        let part = opened(&coded("br, gzip"), &gzip[..gzip.len() - 12]);
        assert!(!part.is_empty() && REFUSAL.starts_with(&part));
        // Somebody took the outer one off, or all of them, and left the header.
        let once = gzipped(REFUSAL);
        assert_eq!(opened(&coded("gzip, gzip"), &once).as_ref(), REFUSAL);
        // In the other order, or with more codings than anybody puts on, it cannot be opened.
        assert_eq!(opened(&coded("gzip, br"), &gzip).as_ref(), b"");
        let headers = coded("gzip, gzip, gzip, gzip");
        let mut deep = REFUSAL.to_vec();
        for _ in 0..4 {
            deep = gzipped(&deep);
        }
        assert_eq!(opened(&headers, &deep).as_ref(), b"");
    }

    #[cfg(feature = "decompress")]
    fn gzipped(data: &[u8]) -> Vec<u8> {
        use std::io::Write;

        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(data).unwrap();
        gzip.finish().unwrap()
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
