//! Stack traces as text -> exceptions and frames, for every language people run.
//!
//! A trace is read line by line, once. What a line is decides the line itself (`at …`, `File "…"`,
//! `#0 …`), so traces of mixed languages (a Python worker that repeats a Java error) are read as they
//! come. Nothing is ever refused: what is no frame and no header is passed over.
//!
//! Bounded: of a long text the first and the last part are read, of many frames and causes those
//! that can matter are kept; [`Trace::is_cut`] says so.

mod apple;
mod dotnet;
mod frame;
mod go;
mod header;
pub(crate) mod in_app;
mod java;
mod javascript;
mod lines;
mod native;
pub(crate) mod normal;
mod parser;
mod php;
mod python;
mod ruby;
mod rust;

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

pub use frame::{Frame, Language};

/// One exception of a chain.
#[derive(Debug, Clone)]
pub struct Exception<'b> {
    /// Its type, as the trace says; empty where it says none.
    pub kind: &'b str,
    /// Its message, first line.
    pub message: &'b str,
    /// Its frames, from where it was raised outward.
    pub frames: BumpVec<'b, Frame<'b>>,
}

/// What a stack trace says.
#[derive(Debug, Clone)]
pub struct Trace<'b> {
    /// From the one that was reported to the root cause. Never empty.
    pub exceptions: BumpVec<'b, Exception<'b>>,
    /// Whether parts were left out because of a limit.
    pub is_cut: bool,
}

impl<'b> Trace<'b> {
    /// Reads `text`; `None` if there is no frame and no panic in it.
    pub fn parse(arena: &'b Bump, text: &'b str) -> Option<Self> {
        parser::parse(arena, text)
    }

    /// The language of the first frame.
    pub fn language(&self) -> Language {
        let mut frames = self.exceptions.iter().flat_map(|exception| &exception.frames);
        frames.next().map_or(Language::Unknown, |frame| frame.language)
    }
}

/// Whether `text` may hold a stack trace: worth a parse. Cheap for text of one line.
pub fn may_be_in(text: &str) -> bool {
    let text = &text.as_bytes()[..text.len().min(schemas::limits::MAX_STACK_BYTES)];
    if memchr::memchr(b'\n', text).is_none() && !lines::is_escaped(text) {
        return false;
    }
    const SIGNS: [&[u8]; 9] = [
        b"at ",
        b"File \"",
        b".go:",
        b"#0 ",
        b":in ",
        b"panicked at",
        b"0x",
        b"@http",
        b"Traceback (",
    ];
    SIGNS.iter().any(|sign| memchr::memmem::find(text, sign).is_some())
}

#[cfg(test)]
mod tests;
