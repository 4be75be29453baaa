//! Lines of an input, each within its limit: a longer one is cut, and its rest read over.

use std::io::BufRead;

use schemas::limits::MAX_RUN_LINE_BYTES;

/// One line without its end.
pub(super) struct Line<'a> {
    /// Its bytes, up to the limit.
    pub(super) bytes: &'a [u8],
    /// Its number, from 1.
    pub(super) number: u64,
    /// Bytes it had, where they were too many.
    pub(super) cut: Option<u64>,
}

/// Reads lines into one buffer.
pub(super) struct Lines<'r> {
    input: &'r mut dyn BufRead,
    buffer: Vec<u8>,
    number: u64,
    limit: usize,
    /// Whether everything read so far has been handed out.
    drained: bool,
}

impl<'r> Lines<'r> {
    pub(super) fn new(input: &'r mut dyn BufRead) -> Self {
        Self { input, buffer: Vec::new(), number: 0, limit: MAX_RUN_LINE_BYTES, drained: false }
    }

    /// Whether the next line has to be waited for.
    pub(super) fn would_wait(&self) -> bool {
        self.drained
    }

    /// The next line; none at the end.
    pub(super) fn next(&mut self) -> std::io::Result<Option<Line<'_>>> {
        // One long line does not keep its memory.
        if self.buffer.capacity() > 1 << 20 {
            self.buffer = Vec::new();
        }
        self.buffer.clear();
        let mut length: u64 = 0;
        let mut ended = false;
        while !ended {
            let bytes = match self.input.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if bytes.is_empty() {
                if length == 0 {
                    return Ok(None);
                }
                break;
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            ended = end.is_some();
            let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or(bytes);
            let room = self.limit.saturating_sub(self.buffer.len());
            self.buffer.extend_from_slice(part.get(..room).unwrap_or(part));
            let taken = part.len() + usize::from(ended);
            length += taken as u64;
            self.drained = taken == bytes.len();
            self.input.consume(taken);
        }
        self.number += 1;
        let length = length - u64::from(ended);
        let cut = (length > self.limit as u64).then_some(length);
        let bytes = self.buffer.strip_suffix(b"\r").unwrap_or(&self.buffer);
        Ok(Some(Line { bytes, number: self.number, cut }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_or_cut_whatever_the_buffer() {
        let text = b"one\r\n\nlonger than ten\nlast";
        for size in 1..text.len() {
            let mut input = std::io::BufReader::with_capacity(size, &text[..]);
            let mut lines = Lines::new(&mut input);
            lines.limit = 10;
            let mut seen = Vec::new();
            while let Some(line) = lines.next().expect("reads") {
                let text = String::from_utf8(line.bytes.to_vec()).expect("text");
                seen.push((line.number, text, line.cut));
            }
            let expected = [
                (1, "one".to_owned(), None),
                (2, String::new(), None),
                (3, "longer tha".to_owned(), Some(15)),
                (4, "last".to_owned(), None),
            ];
            assert_eq!(seen, expected, "buffers of {size}");
        }
    }
}
