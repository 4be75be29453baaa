//! Pieces -> frames: what goes into one record. A frame is one log in the bytes it came in: one line,
//! the lines of a stack trace, the parts of a line, each still in its envelope.
//!
//! The decoder puts the lines of a frame together by the same [`Joins`], so a frame can be kept as a
//! dead letter, sent through Kafka, or read again, and means the same.
//!
//! A reader that stops can go on from the [`Resume`] of the last frame it took: the frames that follow
//! are the same as without the stop, also where lines of two streams lie between one another.

use std::collections::VecDeque;

use super::Input;
use super::envelope::Envelope;
use super::multiline::{Join, Joins, Line, Stream};
use super::split::{Piece, Split, Splitter};

/// What goes into one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its lines, with newlines between them.
    pub payload: Vec<u8>,
    /// Where its first line begins: bytes from the start of the input.
    pub start: u64,
    /// Bytes dropped because a line was too long.
    pub cut: u64,
    /// From where to go on after it.
    pub next: Resume,
}

/// From where to go on.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// Bytes from the start of the input.
    pub offset: u64,
    /// Lines from there on, by number, that were taken already: those that other streams wrote between the
    /// lines of a log that was not complete yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken: Vec<u32>,
}

/// Makes frames of bytes that arrive in chunks.
#[derive(Debug)]
pub struct Framer {
    splitter: Splitter,
    groups: Groups,
}

impl Framer {
    /// A framer for an input from its start.
    pub fn new(input: &Input, split: &Split) -> Self {
        Self::resume(input, split, &Resume::default())
    }

    /// A framer that goes on from `resume`. The first chunk must begin at [`Self::reads_from`].
    pub fn resume(input: &Input, split: &Split, resume: &Resume) -> Self {
        let start = Self::reads_from(split, resume);
        let joins = match split {
            // A value or a row is a log.
            Split::Values | Split::Csv(_) => None,
            _ => input.joins().then(|| Joins::new(&input.multiline)),
        };
        let groups = Groups {
            envelope: input.envelope,
            joins,
            from: resume.offset,
            number: 0,
            skip: resume.taken.iter().copied().collect(),
            window: VecDeque::new(),
            open: Default::default(),
            at: resume.offset,
        };
        Self { splitter: Splitter::new(split, start), groups }
    }

    /// Where reading begins to go on from `resume`: rows of CSV mean nothing without the header.
    pub fn reads_from(split: &Split, resume: &Resume) -> u64 {
        if matches!(split, Split::Csv(_)) { 0 } else { resume.offset }
    }

    /// Takes the next bytes; complete frames are added to `out`.
    pub fn feed(&mut self, chunk: &[u8], out: &mut VecDeque<Frame>) {
        let groups = &mut self.groups;
        self.splitter.feed(chunk, &mut |piece| groups.take(&piece, out));
    }

    /// The input is over: what is open is added to `out`. Whether the input broke off inside a value,
    /// a row or a counted frame.
    pub fn finish(&mut self, out: &mut VecDeque<Frame>) -> bool {
        let broke_off = self.splitter.is_inside();
        let groups = &mut self.groups;
        self.splitter.finish(&mut |piece| groups.take(&piece, out));
        groups.close_all(out);
        broke_off
    }

    /// Bytes held back because their frame is not complete.
    pub fn held(&self) -> usize {
        self.groups.open.iter().flatten().map(|group| group.payload.len()).sum()
    }
}

/// A frame under way.
#[derive(Debug)]
struct Group {
    payload: Vec<u8>,
    start: u64,
    cut: u64,
}

/// Puts pieces into frames.
#[derive(Debug)]
struct Groups {
    envelope: Envelope,
    /// `None` where every piece is a frame.
    joins: Option<Joins>,
    /// Pieces that begin before are not ours.
    from: u64,
    /// Lines since `from`.
    number: u32,
    /// Numbers of the next lines to pass over.
    skip: VecDeque<u32>,
    /// Lines since the oldest open frame began: where each begins, and the stream whose open frame has it;
    /// none once it is given out.
    window: VecDeque<(u64, Option<Stream>)>,
    open: [Option<Group>; Stream::COUNT],
    /// The end of the last piece.
    at: u64,
}

const STREAMS: [Stream; Stream::COUNT] = [Stream::One, Stream::Out, Stream::Err];

impl Groups {
    fn take(&mut self, piece: &Piece<'_>, out: &mut VecDeque<Frame>) {
        if piece.start < self.from {
            return;
        }
        let bytes = match piece.start {
            // A byte order mark.
            0 => piece.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(piece.bytes),
            _ => piece.bytes,
        };
        self.at = piece.end;
        let Some(joins) = &mut self.joins else {
            if !bytes.trim_ascii().is_empty() {
                let next = Resume { offset: piece.end, taken: Vec::new() };
                let payload = bytes.to_vec();
                out.push_back(Frame { payload, start: piece.start, cut: piece.cut, next });
            }
            return;
        };
        let number = self.number;
        self.number = number.saturating_add(1);
        if self.skip.front() == Some(&number) {
            self.skip.pop_front();
            joins.pass();
            self.window.push_back((piece.start, None));
            return self.forget();
        }
        let (text, line) = self.envelope.peek(bytes);
        let line = Line { text: &text, ..line };
        let join = joins.join(&line);
        let stream = line.stream;
        let closed = match (&mut self.open[stream as usize], join) {
            (Some(group), Join::Line | Join::Part) => {
                group.payload.push(b'\n');
                group.payload.extend_from_slice(bytes);
                group.cut += piece.cut;
                None
            }
            (slot, _) => {
                let (start, cut) = (piece.start, piece.cut);
                slot.replace(Group { payload: bytes.to_vec(), start, cut })
            }
        };
        if closed.is_some() {
            self.release(stream);
        }
        self.window.push_back((piece.start, Some(stream)));
        self.forget();
        self.give(closed, out);
        for other in STREAMS {
            if self.joins.as_ref().is_some_and(|joins| joins.is_over(other)) {
                self.close(other, out);
            }
        }
    }

    fn close(&mut self, stream: Stream, out: &mut VecDeque<Frame>) {
        let Some(group) = self.open[stream as usize].take() else { return };
        self.release(stream);
        self.forget();
        self.give(Some(group), out);
    }

    /// The oldest first.
    fn close_all(&mut self, out: &mut VecDeque<Frame>) {
        let start = |groups: &Self, stream: Stream| {
            groups.open[stream as usize].as_ref().map(|group| group.start)
        };
        let mut streams = STREAMS;
        streams.sort_by_key(|stream| start(self, *stream));
        for stream in streams {
            self.close(stream, out);
        }
    }

    /// The lines of this stream's frame are given out.
    fn release(&mut self, stream: Stream) {
        for (_, owner) in &mut self.window {
            if *owner == Some(stream) {
                *owner = None;
            }
        }
    }

    fn forget(&mut self) {
        while self.window.front().is_some_and(|(_, owner)| owner.is_none()) {
            self.window.pop_front();
        }
    }

    fn give(&mut self, group: Option<Group>, out: &mut VecDeque<Frame>) {
        let Some(Group { payload, start, cut }) = group else { return };
        if payload.trim_ascii().is_empty() {
            return;
        }
        let next = match self.window.front() {
            None => Resume { offset: self.at, taken: Vec::new() },
            Some((offset, _)) => {
                let lines = (0u32..).zip(&self.window);
                let taken = lines.filter(|(_, (_, owner))| owner.is_none());
                Resume { offset: *offset, taken: taken.map(|(number, _)| number).collect() }
            }
        };
        out.push_back(Frame { payload, start, cut, next });
    }
}
