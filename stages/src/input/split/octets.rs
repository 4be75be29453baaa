//! Syslog over a byte stream (RFC 6587): `LENGTH SP MESSAGE`, the length in octets, or lines. Both may
//! stand in one input: a frame is taken for counted where digits and a blank come before a `<`.

use schemas::limits::MAX_LINE_BYTES;

use super::{Held, Piece, without_return};

/// Digits of a length: nine gigabytes are no syslog message.
const MAX_LENGTH_DIGITS: usize = 9;

/// What the next bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The start of a frame, not known yet of which kind.
    Head,
    /// So many octets of a counted frame are to come.
    Counted(u64),
    /// A line.
    Line,
}

/// A splitter of syslog frames.
#[derive(Debug)]
pub(crate) struct Octets {
    start: u64,
    /// Bytes of the frame's head: its length and the blank.
    head: u64,
    state: State,
    held: Held,
}

/// What the first bytes of a frame say.
enum Kind {
    Unknown,
    /// Length in octets, and the bytes that say so.
    Counted(u64, usize),
    Line,
}

impl Octets {
    pub(super) fn new(start: u64) -> Self {
        Self { start, head: 0, state: State::Head, held: Held::default() }
    }

    pub(super) fn is_inside(&self) -> bool {
        matches!(self.state, State::Counted(_))
    }

    pub(super) fn feed(&mut self, mut chunk: &[u8], out: &mut dyn FnMut(Piece<'_>)) {
        while !chunk.is_empty() {
            let taken = match self.state {
                State::Head => self.begin(chunk),
                State::Counted(left) => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
                    self.held.keep(&chunk[..taken]);
                    self.state = State::Counted(left - taken as u64);
                    if left == taken as u64 {
                        self.give(0, out);
                    }
                    taken
                }
                State::Line => match memchr::memchr(b'\n', chunk) {
                    Some(at) => {
                        self.held.keep(&chunk[..at]);
                        self.give(1, out);
                        at + 1
                    }
                    None => {
                        self.held.keep(chunk);
                        chunk.len()
                    }
                },
            };
            chunk = &chunk[taken..];
        }
    }

    /// Takes one byte of a head, until it is known what follows.
    fn begin(&mut self, chunk: &[u8]) -> usize {
        self.held.keep(&chunk[..1]);
        match kind(&self.held.bytes) {
            Kind::Unknown => {}
            Kind::Counted(length, head) => {
                // The byte that told it apart belongs to the message already.
                let message = (self.held.bytes.len() - head) as u64;
                self.held.bytes.drain(..head);
                self.head = head as u64;
                self.state = State::Counted(length.saturating_sub(message));
            }
            Kind::Line => {
                self.state = State::Line;
                if self.held.bytes.ends_with(b"\n") {
                    // Seen as part of a line: it ends it. Taken again as such.
                    self.held.bytes.pop();
                    return 0;
                }
            }
        }
        1
    }

    pub(super) fn finish(&mut self, out: &mut dyn FnMut(Piece<'_>)) {
        if self.held.len() > 0 || self.is_inside() {
            self.give(0, out);
        }
    }

    fn give(&mut self, newline: u64, out: &mut dyn FnMut(Piece<'_>)) {
        let end = self.start + self.head + self.held.len() + newline;
        let (bytes, cut) = (&self.held.bytes[..], self.held.cut);
        let bytes = bytes.strip_suffix(b"\n").filter(|_| self.head > 0).unwrap_or(bytes);
        let bytes = if cut == 0 { without_return(bytes) } else { bytes };
        out(Piece { bytes, start: self.start, end, cut });
        (self.start, self.head, self.state) = (end, 0, State::Head);
        self.held.clear();
    }
}

fn kind(head: &[u8]) -> Kind {
    let digits = head.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || digits > MAX_LENGTH_DIGITS || head[0] == b'0' {
        return Kind::Line;
    }
    match head[digits..] {
        [] | [b' '] => Kind::Unknown,
        [b' ', b'<', ..] => {
            let length = head[..digits].iter().fold(0, |n, digit| n * 10 + u64::from(digit - b'0'));
            Kind::Counted(length, digits + 1)
        }
        _ => Kind::Line,
    }
}

const _: () = assert!(MAX_LENGTH_DIGITS < MAX_LINE_BYTES);
