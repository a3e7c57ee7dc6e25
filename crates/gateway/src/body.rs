//! Reading bodies within their limits, compressed or not.

use std::future::poll_fn;
use std::io::Read;
use std::pin::Pin;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};

use crate::problem::Problem;

/// zstd frames may ask for a window of gigabytes; 2²³ bytes is the largest body.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// What is read past the limit before the connection is cut.
const DISCARDED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The whole body, at most `bytes_max` long on the wire and after decompression.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<Bytes, Problem> {
    let encoding = Encoding::of(headers)?;
    let sent = collect(body, bytes_max).await?;
    match encoding {
        Encoding::Identity => Ok(sent),
        Encoding::Gzip | Encoding::Zstd => {
            tokio::task::spawn_blocking(move || decompress(encoding, &sent, bytes_max)).await?
        }
    }
}

/// Reads what a client is still sending and keeps nothing, so that it sees the answer that does not
/// need it instead of a broken connection.
pub(crate) async fn discard(mut body: Body) {
    let mut seen = 0;
    while seen <= DISCARDED_BYTES_MAX {
        match poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            Some(Ok(frame)) => seen += frame.into_data().map_or(0, |data| data.len()),
            Some(Err(_)) | None => return,
        }
    }
}

/// Past the limit it reads on for a while without keeping anything: a client that is still sending
/// would otherwise see a broken connection instead of the answer.
async fn collect(mut body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let (mut kept, mut seen) = (BytesMut::new(), 0);
    while seen <= bytes_max.saturating_add(DISCARDED_BYTES_MAX) {
        let next = poll_fn(|context| Pin::new(&mut body).poll_frame(context));
        let Some(frame) = next.await else { break };
        let frame =
            frame.map_err(|error| Problem::bad_request("body_cut_short", error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        seen += data.len();
        if seen <= bytes_max {
            kept.extend_from_slice(&data);
        }
    }
    if seen > bytes_max { Err(too_large(bytes_max)) } else { Ok(kept.freeze()) }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let Some(named) = headers.get(header::CONTENT_ENCODING) else { return Ok(Self::Identity) };
        match named.as_bytes().to_ascii_lowercase().as_slice() {
            b"" | b"identity" => Ok(Self::Identity),
            b"gzip" | b"x-gzip" => Ok(Self::Gzip),
            b"zstd" => Ok(Self::Zstd),
            other => Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_encoding",
                "bodies are read as they are, or compressed with gzip or zstd",
            )
            .field("Content-Encoding")
            .value(&String::from_utf8_lossy(other))),
        }
    }
}

/// Never produces more than one byte past the limit, whatever the body says of itself.
fn decompress(encoding: Encoding, sent: &[u8], bytes_max: usize) -> Result<Bytes, Problem> {
    let mut body = Vec::new();
    let limit = bytes_max as u64 + 1;
    let read = match encoding {
        Encoding::Identity => Read::take(sent, limit).read_to_end(&mut body),
        Encoding::Gzip => {
            flate2::read::MultiGzDecoder::new(sent).take(limit).read_to_end(&mut body)
        }
        Encoding::Zstd => zstd::stream::read::Decoder::with_buffer(sent).and_then(|mut decoder| {
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            decoder.take(limit).read_to_end(&mut body)
        }),
    };
    if let Err(error) = read {
        return Err(
            Problem::bad_request("bad_compression", error.to_string()).field("Content-Encoding")
        );
    }
    if body.len() > bytes_max {
        return Err(too_large(bytes_max));
    }
    Ok(Bytes::from(body))
}

fn too_large(bytes_max: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body_too_large",
        format!("a body has at most {bytes_max} bytes, before and after decompression"),
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn both_encodings_come_back_and_bombs_are_cut() {
        let text = b"{\"a\":1}".repeat(10);
        let zstd = zstd::stream::encode_all(text.as_slice(), 3).unwrap();
        for (encoding, sent) in [(Encoding::Gzip, gzip(&text)), (Encoding::Zstd, zstd)] {
            assert_eq!(decompress(encoding, &sent, 1_000).unwrap(), text);
        }
        let bomb = vec![b' '; 10_000_000];
        let zstd = zstd::stream::encode_all(bomb.as_slice(), 19).unwrap();
        assert!(zstd.len() < 2_000);
        for (encoding, sent) in [(Encoding::Gzip, gzip(&bomb)), (Encoding::Zstd, zstd)] {
            assert!(decompress(encoding, &sent, 1_000_000).is_err());
        }
        assert!(decompress(Encoding::Gzip, b"not gzip", 1_000).is_err());
        assert!(decompress(Encoding::Zstd, &gzip(&text), 1_000).is_err());
        // Cut short: what came so far is not the body.
        let whole = gzip(&text);
        assert!(decompress(Encoding::Gzip, &whole[..whole.len() - 9], 1_000).is_err());
    }
}
