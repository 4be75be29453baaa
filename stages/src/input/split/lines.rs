//! Lines: what stands between newlines, with or without a carriage return before them.

use schemas::limits::MAX_LINE_BYTES;

use super::{Held, Piece, without_return};

/// A splitter at newlines.
#[derive(Debug)]
pub(crate) struct Lines {
    /// Where the line under way began.
    start: u64,
    held: Held,
}

impl Lines {
    pub(super) fn new(start: u64) -> Self {
        Self { start, held: Held::default() }
    }

    pub(super) fn feed(&mut self, mut chunk: &[u8], out: &mut dyn FnMut(Piece<'_>)) {
        while let Some(at) = memchr::memchr(b'\n', chunk) {
            let (line, rest) = (&chunk[..at], &chunk[at + 1..]);
            if self.held.len() == 0 && line.len() <= MAX_LINE_BYTES {
                // The common case: a line whole within the chunk is not copied.
                let end = self.start + line.len() as u64 + 1;
                out(Piece { bytes: without_return(line), start: self.start, end, cut: 0 });
                self.start = end;
            } else {
                self.held.keep(line);
                self.give(1, out);
            }
            chunk = rest;
        }
        self.held.keep(chunk);
    }

    pub(super) fn finish(&mut self, out: &mut dyn FnMut(Piece<'_>)) {
        if self.held.len() > 0 {
            self.give(0, out);
        }
    }

    /// Gives out what is held, which `newline` bytes end.
    fn give(&mut self, newline: u64, out: &mut dyn FnMut(Piece<'_>)) {
        let end = self.start + self.held.len() + newline;
        let (bytes, cut) = (&self.held.bytes[..], self.held.cut);
        let bytes = if cut == 0 { without_return(bytes) } else { bytes };
        out(Piece { bytes, start: self.start, end, cut });
        self.start = end;
        self.held.clear();
    }
}
