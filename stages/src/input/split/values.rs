//! JSON values one after the other, or the elements of one array, over as many lines as they like:
//! what `.json` files hold that are not JSON lines. Brackets and strings are followed, nothing else is
//! checked: what is no JSON inside is refused by the decoder, alone.

use super::{Held, Piece};

/// A splitter of JSON values.
#[derive(Debug)]
pub(crate) struct Values {
    /// Where the value under way began, else where the input stands.
    start: u64,
    at: u64,
    /// Nothing but blanks has come: a bracket now is that of the array around all values.
    is_fresh: bool,
    /// Brackets open within the value.
    depth: u64,
    in_value: bool,
    in_string: bool,
    escaped: bool,
    held: Held,
}

/// What a byte does to the value under way.
enum Step {
    /// Between values.
    Skip,
    /// Belongs to it.
    Take,
    /// Belongs to it and ends it.
    Last,
    /// Ends it without belonging to it: a number or a name before a comma.
    After,
}

impl Values {
    pub(super) fn new(start: u64) -> Self {
        Self {
            start,
            at: start,
            is_fresh: start == 0,
            depth: 0,
            in_value: false,
            in_string: false,
            escaped: false,
            held: Held::default(),
        }
    }

    pub(super) fn is_inside(&self) -> bool {
        self.depth > 0 || self.in_string
    }

    pub(super) fn feed(&mut self, chunk: &[u8], out: &mut dyn FnMut(Piece<'_>)) {
        // Where the bytes of the value under way begin in this chunk.
        let mut from = 0;
        for (index, &byte) in chunk.iter().enumerate() {
            match self.step(byte) {
                Step::Skip => from = index + 1,
                Step::Take => {}
                Step::Last => {
                    self.held.keep(&chunk[from..=index]);
                    self.at += 1;
                    self.give(out);
                    from = index + 1;
                    continue;
                }
                Step::After => {
                    self.held.keep(&chunk[from..index]);
                    self.give(out);
                    from = index + 1;
                }
            }
            self.at += 1;
        }
        self.held.keep(&chunk[from..]);
    }

    fn step(&mut self, byte: u8) -> Step {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => {
                    self.in_string = false;
                    return if self.depth == 0 { Step::Last } else { Step::Take };
                }
                _ => {}
            }
            return Step::Take;
        }
        match byte {
            // The brackets and commas of the array around all values, and a byte order mark.
            b' ' | b'\t' | b'\r' | b'\n' | b',' | b']' | 0xef | 0xbb | 0xbf if self.depth == 0 => {
                return if self.in_value { Step::After } else { Step::Skip };
            }
            b'[' if self.depth == 0 && self.is_fresh => {
                self.is_fresh = false;
                return Step::Skip;
            }
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 {
                    self.begin();
                    return Step::Last;
                }
            }
            b'"' => self.in_string = true,
            _ => {}
        }
        self.begin();
        Step::Take
    }

    fn begin(&mut self) {
        if !self.in_value {
            (self.in_value, self.is_fresh, self.start) = (true, false, self.at);
        }
    }

    pub(super) fn finish(&mut self, out: &mut dyn FnMut(Piece<'_>)) {
        if self.in_value {
            self.give(out);
        }
    }

    fn give(&mut self, out: &mut dyn FnMut(Piece<'_>)) {
        let Held { bytes, cut } = &self.held;
        out(Piece { bytes, start: self.start, end: self.at, cut: *cut });
        self.held.clear();
        (self.in_value, self.start) = (false, self.at);
    }
}
