//! The lines of a trace in order: which exception a frame belongs to, and where a chain goes on.
//!
//! Java, .NET and Node print the reported exception first and its causes after it; Python and PHP
//! print the root cause first. Either way [`Trace::exceptions`] begins with the reported one.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use schemas::limits::{MAX_EXCEPTIONS, MAX_STACK_FRAMES};

use super::frame::{Frame, Language};
use super::header::{self, Header};
use super::{
    Exception, Trace, apple, dotnet, go, java, javascript, lines, native, php, python, ruby, rust,
};

/// How the lines that come are to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// As they are.
    Normal,
    /// Not at all: suppressed exceptions.
    Skip,
    /// As messages of causes (anyhow).
    Causes,
}

struct Parser<'b> {
    arena: &'b Bump,
    exceptions: BumpVec<'b, Exception<'b>>,
    /// Which of them frames go to.
    current: usize,
    /// A header no frame has followed yet, and whether its type is one by its name.
    header: Option<(Header<'b>, bool)>,
    /// The last line that was no frame: of Go's frames the first half.
    previous: &'b str,
    mode: Mode,
    /// The next header is that of a cause.
    cause_follows: bool,
    in_group: bool,
    is_panic: bool,
    /// Where a Rust panic was raised, for traces without frames.
    raised: Option<Frame<'b>>,
    is_done: bool,
    is_cut: bool,
}

/// Reads `text`; `None` if there is no frame and no panic in it.
pub(super) fn parse<'b>(arena: &'b Bump, text: &'b str) -> Option<Trace<'b>> {
    let mut parser = Parser {
        arena,
        exceptions: BumpVec::new_in(arena),
        current: 0,
        header: None,
        previous: "",
        mode: Mode::Normal,
        cause_follows: false,
        in_group: false,
        is_panic: false,
        raised: None,
        is_done: false,
        is_cut: false,
    };
    let parts = lines::parts(text);
    parser.is_cut = parts[0].len() < text.len();
    for part in parts {
        for line in lines::of(part) {
            parser.line(line);
            if parser.is_done {
                return parser.finish();
            }
        }
    }
    parser.finish()
}

impl<'b> Parser<'b> {
    fn line(&mut self, line: &'b str) {
        let mut body = line.trim();
        let mut is_indented = line.starts_with([' ', '\t']);
        // Python draws exception groups with bars.
        if let Some(inside) = body.strip_prefix(['|', '+']).filter(|_| is_indented) {
            if inside.starts_with('-') {
                return self.group(inside);
            }
            is_indented = inside.starts_with("  ");
            body = inside.trim_start();
        }
        if body.is_empty() {
            if self.mode == Mode::Causes {
                self.mode = Mode::Normal;
            }
            self.previous = "";
        } else if self.mode == Mode::Causes {
            let message = body.split_once(": ").filter(|(n, _)| n.parse::<u16>().is_ok());
            self.cause(Header { kind: "", message: message.map_or(body, |(_, text)| text) });
        } else if (is_frame_like(body) && self.frame(body, is_indented))
            || self.control(body, is_indented)
            || self.frame(body, is_indented)
        {
            // Taken.
        } else {
            self.text(body, is_indented);
            self.previous = body;
        }
    }

    /// `+---------------- 2 ----------------`: of a group the first is followed.
    fn group(&mut self, ruler: &str) {
        match ruler.trim_matches(|c: char| "-+ ".contains(c)).parse::<u32>() {
            Ok(1) => self.in_group = true,
            Ok(_) => self.is_done = true,
            Err(_) => {}
        }
    }

    /// Lines that say how the chain goes on.
    fn control(&mut self, body: &'b str, is_indented: bool) -> bool {
        if let Some(rest) = body.strip_prefix("Caused by:") {
            self.caused_by(rest.trim(), is_indented);
        } else if body.starts_with("Suppressed: ") {
            self.mode = Mode::Skip;
        } else if let Some(rest) = body.strip_prefix("Wrapped by: ") {
            self.outer(header::of(rest));
        } else if let Some(rest) =
            body.strip_prefix("[cause]: ").or(body.strip_prefix("{ [cause]: "))
        {
            self.cause(header::of(rest).unwrap_or(Header { kind: "", message: rest }));
        } else if body.starts_with("[errors]: [") {
            self.cause_follows = true;
        } else if let Some(rest) = body.strip_prefix("---> ") {
            match self.frames() {
                0 => self.inner(rest),
                // An aggregate prints its first inner exception a second time.
                _ => self.is_done = true,
            }
        } else if body.starts_with("--- End of inner exception stack trace") {
            self.current = self.current.saturating_sub(1);
        } else if let Some(rest) =
            body.strip_prefix("Next ").filter(|_| self.language() == Language::Php)
        {
            self.outer(header::of(rest));
            self.php_place();
        } else if body.ends_with("Traceback (most recent call last):") {
            self.traceback(body);
        } else if body.starts_with("goroutine ") && body.ends_with("]:") {
            self.is_done = self.frames() > 0;
        } else if let Some(rest) = body.strip_prefix("panic: ").filter(|_| self.frames() == 0) {
            self.panic("panic", rest.split(" [recovered").next().unwrap_or(rest));
        } else if let Some(rest) = body.strip_prefix("fatal error: ").filter(|_| self.frames() == 0)
        {
            self.panic("fatal error", rest);
        } else if let Some(panic) = rust::panic(body) {
            self.panic("panic", panic.message);
            self.raised = Some(Frame::new(Language::Rust).at(panic.file, panic.line));
        } else {
            return self.control_native(body);
        }
        self.previous = "";
        true
    }

    /// The same for sanitizers and crash reports.
    fn control_native(&mut self, body: &'b str) -> bool {
        if let Some((_, rest)) = body.split_once("ERROR: ").filter(|_| body.starts_with("==")) {
            if let Some(found) = header::of(rest) {
                self.panic(found.kind, found.message);
            }
        } else if let Some((_, rest)) = body
            .split_once("Fatal error: ")
            .filter(|_| !body.starts_with("PHP") && !body.contains("Uncaught"))
        {
            let message = rest.split_once(": file ").map_or(rest, |(message, _)| message);
            self.panic("Fatal error", message);
        } else if let Some(rest) =
            body.strip_prefix("terminate called after throwing an instance of '")
        {
            self.panic(rest.trim_end_matches('\''), "");
        } else if let Some(rest) = body.strip_prefix("what():").filter(|_| self.is_panic) {
            if let Some(exception) = self.exceptions.get_mut(self.current) {
                exception.message = rest.trim();
            }
        } else if body.starts_with("Thread ") && body.contains("rashed") {
            if let Some(exception) = self.exceptions.get_mut(self.current) {
                exception.frames.clear();
            }
        } else if self.frames() > 0 && (body.ends_with(" here:") || body.starts_with("SUMMARY: ")) {
            self.is_done = true;
        } else {
            return body.starts_with("... ") || body.starts_with("--- End of stack trace from");
        }
        true
    }

    fn caused_by(&mut self, rest: &'b str, is_indented: bool) {
        if rest.starts_with("[CIRCULAR REFERENCE") {
            // The exception is in the chain already.
        } else if rest.is_empty() {
            self.mode = Mode::Causes;
        } else if self.mode != Mode::Skip || !is_indented {
            self.mode = Mode::Normal;
            self.cause(header::of(rest).unwrap_or(Header { kind: "", message: rest }));
        }
    }

    /// Python prints causes first: what comes now is further out, but for members of a group.
    fn traceback(&mut self, body: &'b str) {
        if self.in_group && !body.contains("Group") {
            self.cause(Header { kind: "", message: "" });
        } else {
            self.header = None;
            self.outer(None);
        }
    }

    fn panic(&mut self, kind: &'b str, message: &'b str) {
        if self.is_panic || self.frames() > 0 {
            return;
        }
        self.is_panic = true;
        self.header = None;
        self.exceptions.clear();
        self.outer(Some(Header { kind, message }));
    }

    /// `.NET`: one or more inner exceptions on a line.
    fn inner(&mut self, rest: &'b str) {
        for part in rest.split(" ---> ") {
            self.cause(header::of(part).unwrap_or(Header { kind: "", message: part }));
        }
    }

    /// Opens an exception around all others.
    fn outer(&mut self, header: Option<Header<'b>>) {
        self.is_cut |= self.exceptions.len() >= MAX_EXCEPTIONS;
        self.exceptions.truncate(MAX_EXCEPTIONS - 1);
        let exception = self.exception(header);
        self.exceptions.insert(0, exception);
        self.current = 0;
    }

    /// Opens the cause of the last one. Beyond the limit the root is kept.
    fn cause(&mut self, header: Header<'b>) {
        if self.exceptions.is_empty() {
            let reported = self.header.take().map(|(header, _)| header);
            self.outer(reported);
        }
        if self.exceptions.len() >= MAX_EXCEPTIONS {
            self.is_cut = true;
            self.exceptions.pop();
        }
        self.header = None;
        let exception = self.exception(Some(header));
        self.exceptions.push(exception);
        self.current = self.exceptions.len() - 1;
    }

    fn exception(&self, header: Option<Header<'b>>) -> Exception<'b> {
        let Header { kind, message } = header.unwrap_or(Header { kind: "", message: "" });
        Exception { kind, message, frames: BumpVec::new_in(self.arena) }
    }

    /// Takes the line as a frame, if it is one.
    fn frame(&mut self, body: &'b str, is_indented: bool) -> bool {
        let found = match body.as_bytes()[0] {
            b'a' if body.starts_with("at ") => {
                // Node opens an error's properties behind its last frame.
                let rest = body[3..].trim_start().trim_end_matches(" {");
                if self.rust_place(rest) {
                    return true;
                }
                javascript::frame(rest)
                    .or_else(|| java::frame(rest))
                    .or_else(|| dotnet::frame(rest))
            }
            b'F' => python::frame(body),
            b'#' => {
                let rest = body[1..].trim_start_matches(|c: char| c.is_ascii_digit());
                let rest = rest.strip_prefix(' ').unwrap_or("");
                php::frame(rest).or_else(|| native::frame(rest))
            }
            b'0'..=b'9' => rust::frame(body).or_else(|| apple::frame(body)),
            _ => None,
        };
        let found = found.or_else(|| {
            let go = is_indented && !self.previous.is_empty();
            go.then(|| go::frame(body, self.previous)).flatten()
        });
        let found = found.or_else(|| self.ruby(body)).or_else(|| javascript::gecko(body));
        if let Some(frame) = found {
            self.push(frame);
            self.previous = "";
        }
        found.is_some()
    }

    fn ruby(&mut self, body: &'b str) -> Option<Frame<'b>> {
        let (frame, rest) = ruby::frame(body)?;
        if let Some((kind, message)) = ruby::error(rest) {
            self.header = Some((Header { kind, message }, true));
        }
        Some(frame)
    }

    /// The second line of a Rust frame.
    fn rust_place(&mut self, rest: &'b str) -> bool {
        let frame = self.exceptions.get_mut(self.current).and_then(|e| e.frames.last_mut());
        let frame = frame.filter(|frame| frame.language == Language::Rust && frame.file.is_empty());
        match (frame, rust::place(rest)) {
            (Some(frame), Some((file, line))) => {
                *frame = frame.at(file, line);
                true
            }
            _ => false,
        }
    }

    fn push(&mut self, frame: Frame<'b>) {
        if self.mode == Mode::Skip {
            return;
        }
        if let Some((header, _)) = self.header.take() {
            if self.exceptions.is_empty() {
                self.outer(Some(header));
                self.php_place();
            } else if self.frames() == 0 && self.exceptions[self.current].kind.is_empty() {
                let exception = &mut self.exceptions[self.current];
                (exception.kind, exception.message) = (header.kind, header.message);
            } else if self.frames() > 0 && (self.cause_follows || self.language() != frame.language)
            {
                self.cause_follows = false;
                self.cause(header);
            } else if self.frames() > 0 {
                // Another trace behind the first one.
                self.is_done = true;
                return;
            }
        } else if self.exceptions.is_empty() {
            self.outer(None);
        }
        let Some(exception) = self.exceptions.get_mut(self.current) else { return };
        let frames = &mut exception.frames;
        if frames.len() >= MAX_STACK_FRAMES {
            self.is_cut = true;
            if frame.language != Language::Python {
                return;
            }
            // The last frames of Python are those where it was raised.
            if frames.len() >= 2 * MAX_STACK_FRAMES {
                frames.drain(..MAX_STACK_FRAMES);
            }
        }
        frames.push(frame);
    }

    /// Any other line: a header, or the rest of a message.
    fn text(&mut self, body: &'b str, is_indented: bool) {
        if self.mode == Mode::Skip {
            return;
        }
        let after_frames = self.frames() > 0;
        if after_frames && self.language() == Language::Python && !is_indented {
            let exception = &mut self.exceptions[self.current];
            if exception.kind.is_empty() {
                let found = header::of(body).unwrap_or(Header { kind: "", message: body });
                (exception.kind, exception.message) = (found.kind, found.message);
                return;
            }
        }
        if self.is_panic && !after_frames {
            let exception = &mut self.exceptions[self.current];
            if exception.message.is_empty() && !body.starts_with("note: ") {
                exception.message = body;
            }
            return;
        }
        match header::strong(body) {
            Some(found) => {
                let first = !matches!(self.header, Some((_, true)));
                if first && (!is_indented || !after_frames || self.cause_follows) {
                    self.take_header(found);
                }
            }
            None if after_frames || matches!(self.header, Some((_, true))) => {}
            None => {
                let upper = body.starts_with(|c: char| c.is_ascii_uppercase());
                let weak = header::of(body).filter(|_| upper && !body.contains(" - "));
                self.header = weak.map(|header| (header, false));
            }
        }
    }

    /// A header; .NET writes inner exceptions behind it.
    fn take_header(&mut self, mut found: Header<'b>) {
        if let Some((message, inner)) = found.message.split_once(" ---> ") {
            found.message = message;
            if self.exceptions.is_empty() {
                self.outer(Some(found));
                return self.inner(inner);
            }
        }
        self.header = Some((found, true));
    }

    /// PHP's place of the throw stands in the header: it becomes a frame without function.
    fn php_place(&mut self) {
        let Some(exception) = self.exceptions.get_mut(self.current) else { return };
        if let Some((message, file, line)) = php::place(exception.message) {
            exception.message = message;
            exception.frames.push(Frame::new(Language::Php).at(file, line));
        }
    }

    fn frames(&self) -> usize {
        self.exceptions.get(self.current).map_or(0, |exception| exception.frames.len())
    }

    fn language(&self) -> Language {
        let last = self.exceptions.get(self.current).and_then(|exception| exception.frames.last());
        last.map_or(Language::Unknown, |frame| frame.language)
    }

    fn finish(mut self) -> Option<Trace<'b>> {
        for exception in &mut self.exceptions {
            match exception.frames.last().map(|frame| frame.language) {
                Some(Language::Python) => {
                    exception.frames.reverse();
                    exception.frames.truncate(MAX_STACK_FRAMES);
                }
                Some(Language::Php) => move_places(&mut exception.frames),
                _ => {}
            }
        }
        let raised = self.raised.filter(|_| self.exceptions.iter().all(|e| e.frames.is_empty()));
        if let (Some(frame), Some(exception)) = (raised, self.exceptions.first_mut()) {
            exception.frames.push(frame);
        }
        self.exceptions.retain(|exception| {
            !exception.frames.is_empty()
                || !exception.kind.is_empty()
                || !exception.message.is_empty()
        });
        let known = self.is_panic || self.exceptions.iter().any(|e| !e.frames.is_empty());
        let is_trace = known && !self.exceptions.is_empty();
        is_trace.then_some(Trace { exceptions: self.exceptions, is_cut: self.is_cut })
    }
}

/// Whether a line begins as most frames do: none of the other lines does.
fn is_frame_like(body: &str) -> bool {
    body.starts_with("at ") || body.starts_with("File \"") || body.starts_with('#')
}

/// PHP's files are those of the calls: each moves one frame outward, see [`php`].
fn move_places(frames: &mut BumpVec<'_, Frame<'_>>) {
    let has_place = frames.first().is_some_and(|frame| frame.function.is_empty());
    if has_place {
        for at in 1..frames.len() {
            (frames[at - 1].module, frames[at - 1].function) =
                (frames[at].module, frames[at].function);
        }
        if frames.len() > 1 {
            frames.pop();
        }
    } else {
        for at in (1..frames.len()).rev() {
            (frames[at].file, frames[at].line) = (frames[at - 1].file, frames[at - 1].line);
        }
        if let Some(first) = frames.first_mut() {
            (first.file, first.line) = ("", 0);
        }
    }
}
