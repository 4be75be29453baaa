//! Which lines are one log: a stack trace, a statement over several lines, a text that its runtime
//! cut in parts.
//!
//! [`Joins`] only decides, line by line; who asks holds the lines. So the reader of a file, which puts
//! lines into records, and the decoder, which puts the lines of a record together, cannot differ.

mod auto;
mod timestamp;
pub mod traces;

use std::sync::Arc;

use regex::bytes::Regex;
use schemas::limits::{
    MAX_CONFIGURED_JOINED_LINES, MAX_INTERLEAVED_LINES, MAX_JOINED_BYTES, MAX_JOINED_LINES,
};

/// Which lines are one log.
#[derive(Debug, Clone, Default)]
pub enum Multiline {
    /// A message is one log, whatever lines it has.
    #[default]
    Whole,
    /// Each line is a log; the parts a container runtime cut a line into are put together.
    Lines,
    /// Lines are joined by a rule.
    Join(Arc<Rule>),
}

/// When a line continues the log before it.
#[derive(Debug)]
pub struct Rule {
    /// How it is told.
    pub pattern: Pattern,
    /// Lines of one log, at most; what follows is a log of its own.
    pub max_lines: usize,
    /// Bytes of text of one log, at most; what follows is a log of its own.
    pub max_bytes: usize,
}

/// How a line that continues a log is told from one that begins one.
#[derive(Debug)]
pub enum Pattern {
    /// By what logs look like: a timestamp begins one, blanks before the text and the stack traces of Java,
    /// Python, Go, Node, Ruby, .NET and Rust continue one.
    Auto,
    /// A line this matches begins a log; every other one continues it.
    Start(Regex),
    /// A line this matches continues a log; every other one begins one.
    Continuation(Regex),
    /// Every line continues it: the lines of a frame.
    Always,
}

impl Rule {
    /// A rule with the usual limits.
    pub fn new(pattern: Pattern) -> Self {
        Self { pattern, max_lines: MAX_JOINED_LINES, max_bytes: MAX_JOINED_BYTES }
    }
}

impl Multiline {
    /// All lines of a message joined, each out of its envelope.
    pub(crate) fn frame() -> Self {
        let limits = Rule::new(Pattern::Always);
        Multiline::Join(Arc::new(Rule { max_lines: MAX_CONFIGURED_JOINED_LINES, ..limits }))
    }

    /// Lines joined by what logs look like.
    pub fn auto() -> Self {
        Multiline::Join(Arc::new(Rule::new(Pattern::Auto)))
    }
}

/// Where a line was written; lines of different streams lie between one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stream {
    /// The input does not say.
    #[default]
    One = 0,
    /// Standard output.
    Out = 1,
    /// Standard error.
    Err = 2,
}

impl Stream {
    /// Number of streams.
    pub const COUNT: usize = 3;

    /// By its name in an envelope.
    pub fn from_name(name: &str) -> Self {
        match name {
            "stdout" => Stream::Out,
            "stderr" => Stream::Err,
            _ => Stream::One,
        }
    }
}

/// A line as the rule sees it: out of its envelope.
#[derive(Debug, Clone, Copy, Default)]
pub struct Line<'a> {
    /// Its text.
    pub text: &'a [u8],
    /// Its stream.
    pub stream: Stream,
    /// Its rest comes with the stream's next line.
    pub is_partial: bool,
}

/// The log of one stream that lines may still join.
#[derive(Debug, Default)]
struct Open {
    is_open: bool,
    is_partial: bool,
    lines: usize,
    bytes: usize,
    /// Number of its last line among all.
    last: u64,
    looks: auto::State,
}

/// The decision, line by line.
#[derive(Debug)]
pub struct Joins {
    multiline: Multiline,
    open: [Open; Stream::COUNT],
    lines: u64,
}

/// What a line is to the log before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// Begins a log.
    New,
    /// The next line of its stream's log.
    Line,
    /// The next part of its last line.
    Part,
}

impl Joins {
    /// Nothing is open.
    pub fn new(multiline: &Multiline) -> Self {
        Self { multiline: multiline.clone(), open: Default::default(), lines: 0 }
    }

    /// What this line is to its stream's open log. After it, that log is the line's.
    pub fn join(&mut self, line: &Line<'_>) -> Join {
        self.lines += 1;
        let (number, open) = (self.lines, &mut self.open[line.stream as usize]);
        let is_there = open.is_open && number - open.last <= MAX_INTERLEAVED_LINES as u64;
        let (max_lines, max_bytes) = match &self.multiline {
            Multiline::Join(rule) => (rule.max_lines, rule.max_bytes),
            _ => (MAX_JOINED_LINES, MAX_JOINED_BYTES),
        };
        let fits = open.bytes + line.text.len() < max_bytes;
        let join = if !is_there || !fits {
            Join::New
        } else if open.is_partial {
            Join::Part
        } else if open.lines < max_lines && self.multiline.continues(line.text, &open.looks) {
            Join::Line
        } else {
            Join::New
        };
        match join {
            Join::New => (open.lines, open.bytes) = (1, line.text.len()),
            Join::Line => {
                (open.lines, open.bytes) = (open.lines + 1, open.bytes + line.text.len() + 1)
            }
            Join::Part => open.bytes += line.text.len(),
        }
        if self.multiline.is_auto() && join != Join::Part {
            open.looks.see(line.text, join == Join::New);
        }
        (open.is_open, open.is_partial, open.last) = (true, line.is_partial, number);
        join
    }

    /// A line that was taken before: it counts, no more.
    pub(super) fn pass(&mut self) {
        self.lines += 1;
    }

    /// Whether no line can join this stream's log any more.
    pub fn is_over(&self, stream: Stream) -> bool {
        let open = &self.open[stream as usize];
        !open.is_open || self.lines - open.last >= MAX_INTERLEAVED_LINES as u64
    }
}

impl Multiline {
    fn is_auto(&self) -> bool {
        matches!(self, Multiline::Join(rule) if matches!(rule.pattern, Pattern::Auto))
    }

    fn continues(&self, text: &[u8], looks: &auto::State) -> bool {
        match self {
            Multiline::Whole => true,
            Multiline::Lines => false,
            Multiline::Join(rule) => match &rule.pattern {
                Pattern::Auto => looks.continues(text),
                Pattern::Start(regex) => !regex.is_match(text),
                Pattern::Continuation(regex) => regex.is_match(text),
                Pattern::Always => true,
            },
        }
    }

    /// Whether a line may ever join another, the parts of runtimes aside.
    pub(crate) fn joins_lines(&self) -> bool {
        !matches!(self, Multiline::Lines)
    }
}

#[cfg(test)]
mod tests;
