//! `Content-Encoding` undone, with a bound on every byte before it is allocated.
//!
//! gzip, deflate (zlib and raw: both are sent under that name) and zstd, and comma lists of them.
//! Output is capped in bytes and in ratio, and charged to the request's lease while it grows, so a
//! bomb costs what it sent and not what it claims.

use std::io::Read;

use bytes::Bytes;
use schemas::limits::{MAX_DECOMPRESSED_BYTES, MAX_DECOMPRESSION_RATIO, RATIO_FLOOR_BYTES};

use crate::admission::Lease;
use crate::refusal::Refusal;

/// One content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// gzip, RFC 1952, also of several members.
    Gzip,
    /// zlib, RFC 1950, or bare deflate, RFC 1951.
    Deflate,
    /// Zstandard, RFC 8878.
    Zstd,
}

/// Codings that one request may stack; nobody honest stacks more than two.
const MAX_CODINGS: usize = 3;

/// Output is produced in pieces of this many bytes.
const PIECE: usize = 64 << 10;

/// Largest zstd window, as a power of two: 8 MiB, the bound of RFC 9659 for the `zstd` coding.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Reads a `Content-Encoding` value: the codings in the order they were applied.
pub(crate) fn parse(value: &str) -> Result<Vec<Coding>, Refusal> {
    let mut codings = Vec::new();
    for name in value.split(',').map(str::trim) {
        let coding = match name.to_ascii_lowercase().as_str() {
            "" | "identity" => continue,
            "gzip" | "x-gzip" => Coding::Gzip,
            "deflate" | "x-deflate" | "zlib" => Coding::Deflate,
            "zstd" => Coding::Zstd,
            _ => {
                return Err(Refusal::unsupported(format!(
                    "content-encoding {name:?} is not supported; use gzip, deflate, zstd or identity"
                )));
            }
        };
        if codings.len() == MAX_CODINGS {
            return Err(Refusal::unsupported(format!(
                "more than {MAX_CODINGS} content codings on one request"
            )));
        }
        codings.push(coding);
    }
    Ok(codings)
}

/// Undoes `codings`, the last one first.
pub(crate) fn decompress(
    codings: &[Coding],
    body: Bytes,
    lease: &mut Lease,
) -> Result<Bytes, Refusal> {
    let sent = body.len();
    codings.iter().rev().try_fold(body, |bytes, coding| {
        if bytes.is_empty() {
            // Clients name the coding on empty probes too.
            return Ok(bytes);
        }
        undo(*coding, &bytes, sent, lease)
    })
}

fn undo(coding: Coding, input: &[u8], sent: usize, lease: &mut Lease) -> Result<Bytes, Refusal> {
    match coding {
        Coding::Gzip => drain(flate2::read::MultiGzDecoder::new(input), "gzip", sent, lease),
        Coding::Deflate if looks_like_zlib(input) => {
            drain(flate2::read::ZlibDecoder::new(input), "deflate (zlib)", sent, lease)
        }
        Coding::Deflate => drain(flate2::read::DeflateDecoder::new(input), "deflate", sent, lease),
        Coding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(input)
                .map_err(|error| broken("zstd", &error))?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(|error| broken("zstd", &error))?;
            drain(decoder, "zstd", sent, lease)
        }
    }
}

/// RFC 1950 section 2.2: method 8, and the first two bytes are a multiple of 31.
fn looks_like_zlib(input: &[u8]) -> bool {
    match input {
        [cmf, flg, ..] => cmf & 0x0f == 8 && u16::from_be_bytes([*cmf, *flg]).is_multiple_of(31),
        _ => false,
    }
}

fn drain(
    mut from: impl Read,
    name: &str,
    sent: usize,
    lease: &mut Lease,
) -> Result<Bytes, Refusal> {
    let mut output = Vec::new();
    let mut piece = vec![0u8; PIECE];
    loop {
        let count = match from.read(&mut piece) {
            Ok(0) => return Ok(Bytes::from(output)),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(broken(name, &error)),
        };
        let total = output.len() + count;
        if total > MAX_DECOMPRESSED_BYTES {
            return Err(Refusal::too_large(format!(
                "the body is larger than {MAX_DECOMPRESSED_BYTES} bytes after decompression"
            )));
        }
        if total > RATIO_FLOOR_BYTES && total / MAX_DECOMPRESSION_RATIO > sent {
            return Err(Refusal::too_large(format!(
                "the body grows more than {MAX_DECOMPRESSION_RATIO} times when decompressed"
            )));
        }
        lease.grow(count)?;
        output.extend_from_slice(piece.get(..count).unwrap_or_default());
    }
}

fn broken(name: &str, error: &std::io::Error) -> Refusal {
    Refusal::malformed(format!("the body is not valid {name}: {error}"))
}

#[cfg(test)]
mod tests;
