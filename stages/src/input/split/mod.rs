//! Bytes that arrive in chunks -> pieces: lines, syslog frames, JSON values, CSV rows. One file per
//! way of splitting.
//!
//! Pure, and blind to chunks: however the bytes are cut, the pieces are the same. A piece is never
//! longer than [`MAX_LINE_BYTES`](schemas::limits::MAX_LINE_BYTES): what is beyond is dropped and counted in [`Piece::cut`].

mod csv;
mod lines;
mod octets;
mod values;

pub use csv::CsvOptions;

use csv::Csv;
use lines::Lines;
use octets::Octets;
use values::Values;

/// How bytes are split.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Split {
    /// At newlines.
    #[default]
    Lines,
    /// Syslog over a byte stream: frames with a count of octets before them (RFC 6587), or lines.
    Syslog,
    /// JSON values: one after the other, or the elements of one array, over as many lines as they like.
    Values,
    /// CSV rows (RFC 4180) after a header; each becomes a JSON object.
    Csv(CsvOptions),
}

/// One piece, borrowed from the chunk where it lies in it whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Its bytes, without what separates pieces.
    pub bytes: &'a [u8],
    /// Where it begins: bytes from the start of the input.
    pub start: u64,
    /// Where the next one can begin.
    pub end: u64,
    /// Bytes dropped at its end.
    pub cut: u64,
}

/// A splitter of one of the kinds.
#[derive(Debug)]
pub(crate) enum Splitter {
    Lines(Lines),
    Syslog(Octets),
    Values(Values),
    Csv(Box<Csv>),
}

impl Splitter {
    /// A splitter for an input whose next byte is at `start`; `start` is 0 or the end of a piece.
    pub(crate) fn new(split: &Split, start: u64) -> Self {
        match split {
            Split::Lines => Splitter::Lines(Lines::new(start)),
            Split::Syslog => Splitter::Syslog(Octets::new(start)),
            Split::Values => Splitter::Values(Values::new(start)),
            Split::Csv(options) => Splitter::Csv(Box::new(Csv::new(options.clone(), start))),
        }
    }

    /// Takes the next bytes and gives out the pieces that are complete.
    pub(crate) fn feed(&mut self, chunk: &[u8], out: &mut dyn FnMut(Piece<'_>)) {
        match self {
            Splitter::Lines(lines) => lines.feed(chunk, out),
            Splitter::Syslog(octets) => octets.feed(chunk, out),
            Splitter::Values(values) => values.feed(chunk, out),
            Splitter::Csv(csv) => csv.feed(chunk, out),
        }
    }

    /// The input is over: gives out what was left without an end.
    pub(crate) fn finish(&mut self, out: &mut dyn FnMut(Piece<'_>)) {
        match self {
            Splitter::Lines(lines) => lines.finish(out),
            Splitter::Syslog(octets) => octets.finish(out),
            Splitter::Values(values) => values.finish(out),
            Splitter::Csv(csv) => csv.finish(out),
        }
    }

    /// Whether the input ended inside a piece that says how long it is: it was cut off.
    pub(crate) fn is_inside(&self) -> bool {
        match self {
            Splitter::Lines(_) => false,
            Splitter::Syslog(octets) => octets.is_inside(),
            Splitter::Values(values) => values.is_inside(),
            Splitter::Csv(csv) => csv.is_inside(),
        }
    }
}

/// Bytes of a piece under way, up to the limit; the rest is counted.
#[derive(Debug, Default)]
struct Held {
    bytes: Vec<u8>,
    cut: u64,
}

impl Held {
    fn keep(&mut self, bytes: &[u8]) {
        let room = schemas::limits::MAX_LINE_BYTES - self.bytes.len();
        let kept = bytes.len().min(room);
        self.bytes.extend_from_slice(&bytes[..kept]);
        self.cut += (bytes.len() - kept) as u64;
    }

    fn len(&self) -> u64 {
        self.bytes.len() as u64 + self.cut
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.cut = 0;
        // One huge line must not hold its memory for ever.
        self.bytes.shrink_to(64 << 10);
    }
}

/// A line without the carriage return before its newline.
fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests;
