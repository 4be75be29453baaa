//! An error becomes an issue.
//!
//! The fingerprint, in order of precedence: a rule's; the error's own (`error.fingerprint`); service,
//! type, frames of the user's own code and message; without such frames, service, type and message.
//! Always within a service. After it, what the configuration splits and merges.

use std::fmt::Write;

use bumpalo::Bump;
use bumpalo::collections::{String as BumpString, Vec as BumpVec};
use schemas::limits::{MAX_ERROR_KIND_BYTES, MAX_TITLE_BYTES, SYSTEM_FINGERPRINT_FRAMES};
use schemas::status::Status;

use crate::fingerprint::{Key, Part};
use crate::input::{ErrorInput, Lookup};
use crate::issue_id::IssueId;
use crate::message;
use crate::rules::{Facts, FingerprintRule, Prepared, RuleError, Rules, RulesConfig};
use crate::stack::{self, Exception, Frame, Trace, in_app, normal};

/// Version of the algorithm, the first two characters of every issue id. Another one gives every
/// issue another id: it comes with an alias table, or not at all.
pub const ALGORITHM: u8 = 1;

/// Compiled rules: immutable, shared by every lane.
#[derive(Debug)]
pub struct Grouper {
    pub(crate) rules: Rules,
}

/// What the grouper says of one error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grouped<'b> {
    /// The issue.
    pub issue_id: IssueId,
    /// Type of the error: its own, else the stack trace's; may be empty.
    pub kind: &'b str,
    /// Message of the error: its own, else the stack trace's, else the text.
    pub message: &'b str,
    /// What people call the issue: `Type: message`, one line.
    pub title: &'b str,
    /// Where it comes from: `function (file)` of the frame that counts most; may be empty.
    pub culprit: &'b str,
    /// Language of the stack trace; empty without one.
    pub language: &'static str,
    /// What made the fingerprint: `rule`, `error.fingerprint`, `stack`, `system stack`, `message`.
    pub strategy: &'static str,
    /// The fingerprint rule, as written; empty where none matched.
    pub rule: &'b str,
    /// The frame that counts most.
    pub frame: Option<Frame<'b>>,
}

/// What made a fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strategy {
    Rule(usize),
    Given,
    Frames,
    SystemFrames,
    Message,
}

impl Strategy {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Strategy::Rule(_) => "rule",
            Strategy::Given => "error.fingerprint",
            Strategy::Frames => "stack",
            Strategy::SystemFrames => "system stack",
            Strategy::Message => "message",
        }
    }
}

/// How many frames are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// As many as the fingerprint needs.
    AsNeeded,
    /// All, to show them.
    All,
}

/// All that is known of an error before its id is.
pub(crate) struct Case<'b> {
    pub(crate) trace: Option<Trace<'b>>,
    pub(crate) kind: &'b str,
    pub(crate) message: &'b str,
    /// Frames of the exception that counts, where it was raised first.
    pub(crate) frames: BumpVec<'b, Prepared<'b>>,
    /// Which of them are in the default fingerprint.
    pub(crate) used: BumpVec<'b, usize>,
    pub(crate) strategy: Strategy,
    pub(crate) key: Key<'b>,
    /// The id before splits and merges.
    pub(crate) derived: IssueId,
    pub(crate) issue_id: IssueId,
}

impl<'b> Case<'b> {
    pub(crate) fn exceptions(&self) -> &[Exception<'b>] {
        self.trace.as_ref().map_or(&[], |trace| trace.exceptions.as_slice())
    }
}

impl Grouper {
    /// Compiles a configuration, or says everything that is wrong with it.
    pub fn compile(config: &RulesConfig) -> Result<Self, Vec<RuleError>> {
        Rules::compile(config).map(|rules| Self { rules })
    }

    /// Content hash of the configuration, 16 hex characters.
    pub fn version(&self) -> &str {
        &self.rules.version
    }

    /// Whether errors are tracked at all.
    pub fn is_enabled(&self) -> bool {
        self.rules.is_enabled
    }

    /// The mildest status that makes a log an error.
    pub fn worst_status(&self) -> Status {
        self.rules.worst
    }

    /// Attribute that names who met an error.
    pub fn user_attribute(&self) -> &str {
        &self.rules.user_attribute
    }

    /// Attribute that names the batch an error happened in.
    pub fn batch_attribute(&self) -> &str {
        &self.rules.batch_attribute
    }

    /// The issue of an error. Allocates in the arena only.
    pub fn group<'b>(
        &self,
        arena: &'b Bump,
        input: &ErrorInput<'b>,
        lookup: Lookup<'_, 'b>,
    ) -> Grouped<'b> {
        let case = self.decide(arena, input, lookup, Depth::AsNeeded);
        let rule = match case.strategy {
            Strategy::Rule(index) => self.rules.fingerprint.get(index),
            _ => None,
        };
        let frame = case.used.first().and_then(|at| case.frames.get(*at)).map(|p| p.frame);
        let title = self.title(arena, input, lookup, &case, rule);
        Grouped {
            issue_id: case.issue_id,
            kind: case.kind,
            message: case.message,
            title,
            culprit: frame.map_or("", |frame| culprit(arena, &frame)),
            language: case.trace.as_ref().map_or("", |trace| trace.language().as_str()),
            strategy: case.strategy.as_str(),
            rule: rule.map_or("", |rule| arena.alloc_str(&rule.text)),
            frame,
        }
    }

    /// Everything [`Grouper::group`] and [`Grouper::explain`] know.
    pub(crate) fn decide<'b>(
        &self,
        arena: &'b Bump,
        input: &ErrorInput<'b>,
        lookup: Lookup<'_, 'b>,
        depth: Depth,
    ) -> Case<'b> {
        let text = if input.stack.is_empty() && stack::may_be_in(input.message) {
            input.message
        } else {
            input.stack
        };
        let trace = if text.is_empty() { None } else { Trace::parse(arena, text) };
        let exceptions = trace.as_ref().map_or(&[][..], |trace| trace.exceptions.as_slice());
        let (kind, message) = said(input, exceptions);
        let facts = Facts { input, kind, message, exceptions, lookup };
        let frames = self.frames(arena, &facts, depth);
        let used = self.used(arena, &frames);
        let own = used.first().is_some_and(|at| frames[*at].in_app);
        let matched = self.rules.fingerprint.iter().position(|rule| rule.matches(&facts, &frames));
        let strategy = match (matched, input.fingerprint.trim().is_empty()) {
            (Some(index), _) => Strategy::Rule(index),
            (None, false) => Strategy::Given,
            (None, true) if own => Strategy::Frames,
            (None, true) if !used.is_empty() => Strategy::SystemFrames,
            (None, true) => Strategy::Message,
        };
        let mut key = Key::new_in(arena);
        key.text(Part::Service, input.service);
        match strategy {
            Strategy::Rule(index) => self.by_rule(&mut key, index, &facts, &frames, &used),
            Strategy::Given => {
                key.text(Part::Given, cut(input.fingerprint.trim(), MAX_ERROR_KIND_BYTES))
            }
            _ => by_default(&mut key, &facts, &frames, &used),
        }
        let derived = key.id(ALGORITHM);
        let mut issue_id = derived;
        if let Some(by) = self.rules.split.get(&derived) {
            let frame = used.first().and_then(|at| frames.get(*at));
            for variable in by {
                key.add(Part::Split, |out| variable.write(&facts, frame, out));
            }
            issue_id = key.id(ALGORITHM);
        }
        issue_id = self.rules.merge.get(&issue_id).copied().unwrap_or(issue_id);
        Case { kind, message, frames, used, strategy, key, derived, issue_id, trace }
    }

    /// The frames of the exception that counts: the nearest to the root cause with a frame of the
    /// user's own code, else the reported one.
    fn frames<'b>(
        &self,
        arena: &'b Bump,
        facts: &Facts<'_, 'b>,
        depth: Depth,
    ) -> BumpVec<'b, Prepared<'b>> {
        // Rules may look at every frame; the default looks at the first of the user's own.
        let all = depth == Depth::All
            || !self.rules.stack.is_empty()
            || !self.rules.fingerprint.is_empty();
        let mut reported = BumpVec::new_in(arena);
        for exception in facts.exceptions.iter().rev().filter(|e| !e.frames.is_empty()) {
            let mut frames = BumpVec::with_capacity_in(exception.frames.len(), arena);
            let mut own: Option<&Frame<'b>> = None;
            let mut left = self.rules.frames;
            for frame in &exception.frames {
                let in_app = self.is_in_app(frame);
                let counts = normal::is_meaningful(frame);
                frames.push(Prepared { frame: *frame, in_app, counts, rule: None });
                if in_app && counts && !own.is_some_and(|last| same(last, frame)) {
                    (own, left) = (Some(frame), left - 1);
                }
                if left == 0 && !all {
                    return frames;
                }
                left = left.max(1);
            }
            for (index, rule) in self.rules.stack.iter().enumerate() {
                rule.apply(index, facts, &mut frames);
            }
            if frames.iter().any(|frame| frame.in_app && frame.counts) {
                return frames;
            }
            reported = frames;
        }
        reported
    }

    fn is_in_app(&self, frame: &Frame<'_>) -> bool {
        let named = |globs: &[crate::rules::Glob]| {
            globs.iter().any(|glob| glob.matches(frame.module) || glob.matches(frame.file))
        };
        named(&self.rules.include) || (!named(&self.rules.exclude) && in_app::is_in_app(frame))
    }

    /// Which frames make the fingerprint: the first of the user's own, each once in a row; without
    /// any, the first few of all.
    fn used<'b>(&self, arena: &'b Bump, frames: &[Prepared<'b>]) -> BumpVec<'b, usize> {
        let own = frames.iter().any(|frame| frame.in_app && frame.counts);
        let wanted = if own { self.rules.frames } else { SYSTEM_FINGERPRINT_FRAMES };
        let mut used: BumpVec<'b, usize> = BumpVec::with_capacity_in(wanted, arena);
        for (at, frame) in frames.iter().enumerate() {
            if used.len() == wanted {
                break;
            }
            let again = used.last().is_some_and(|last| same(&frames[*last].frame, &frame.frame));
            if frame.counts && (frame.in_app || !own) && !again {
                used.push(at);
            }
        }
        used
    }

    fn by_rule<'b>(
        &self,
        key: &mut Key<'b>,
        index: usize,
        facts: &Facts<'_, 'b>,
        frames: &[Prepared<'b>],
        used: &[usize],
    ) {
        use crate::rules::{Piece, Variable};
        let frame = used.first().and_then(|at| frames.get(*at));
        for value in &self.rules.fingerprint[index].values {
            let default = value.contains(&Piece::Variable(Variable::Default));
            if default {
                by_default(key, facts, frames, used);
            }
            key.add(Part::Rule, |out| {
                for piece in value {
                    match piece {
                        Piece::Text(text) => out.extend_from_slice_copy(text.as_bytes()),
                        Piece::Variable(variable) => variable.write(facts, frame, out),
                    }
                }
            });
        }
    }

    fn title<'b>(
        &self,
        arena: &'b Bump,
        input: &ErrorInput<'b>,
        lookup: Lookup<'_, 'b>,
        case: &Case<'b>,
        rule: Option<&FingerprintRule>,
    ) -> &'b str {
        use crate::rules::Piece;
        let mut title = BumpString::with_capacity_in(64, arena);
        if let Some(rule) = rule.filter(|rule| !rule.title.is_empty()) {
            let facts = Facts {
                input,
                kind: case.kind,
                message: case.message,
                exceptions: case.exceptions(),
                lookup,
            };
            let frame = case.used.first().and_then(|at| case.frames.get(*at));
            for piece in &rule.title {
                match piece {
                    Piece::Text(text) => title.push_str(text),
                    Piece::Variable(variable) => {
                        let mut value = BumpVec::new_in(arena);
                        variable.write(&facts, frame, &mut value);
                        title.push_str(&readable(&value));
                    }
                }
            }
        } else {
            let first = first_line(case.message).unwrap_or(input.operation);
            match (case.kind, first) {
                ("", "") => title.push_str("(no message)"),
                (kind, "") => title.push_str(kind),
                ("", first) => title.push_str(cut(first, MAX_TITLE_BYTES)),
                (kind, first) => _ = write!(title, "{kind}: {}", cut(first, MAX_TITLE_BYTES)),
            }
        }
        cut(title.into_bump_str(), MAX_TITLE_BYTES)
    }
}

/// Type and message: what the error says itself, else what its stack trace says, else its text.
fn said<'b>(input: &ErrorInput<'b>, exceptions: &[Exception<'b>]) -> (&'b str, &'b str) {
    let reported = exceptions.first();
    let kind = Some(message::trimmed(input.kind)).filter(|kind| !kind.is_empty());
    let kind = kind.or(reported.map(|exception| exception.kind)).unwrap_or_default();
    let own = Some(message::trimmed(input.message))
        .filter(|message| !message.is_empty() && *message != input.stack.trim());
    let of_trace =
        reported.map(|exception| exception.message).filter(|message| !message.is_empty());
    // A text that holds the trace has its first line to say, a type without message says enough.
    let named = reported.is_some_and(|exception| !exception.kind.is_empty());
    let text = if named && input.text.len() == input.stack.len() {
        ""
    } else {
        message::trimmed(input.text)
    };
    let last =
        if !text.is_empty() || named { text } else { first_line(input.stack).unwrap_or_default() };
    (cut(kind, MAX_ERROR_KIND_BYTES), own.or(of_trace).unwrap_or(last))
}

impl IssueId {
    /// The id an error has that nothing but its service, type and message is known of, without rules.
    pub fn of_message(service: &str, kind: &str, message: &str) -> Self {
        let arena = Bump::new();
        let mut key = Key::new_in(&arena);
        key.text(Part::Service, service);
        key.text(Part::Kind, self::kind(kind));
        key.add(Part::Message, |out| message::identity(message, out));
        key.id(ALGORITHM)
    }

    /// The id of an issue that is not made of errors alike.
    pub fn of_name(name: &[&str]) -> Self {
        let arena = Bump::new();
        let mut key = Key::new_in(&arena);
        name.iter().for_each(|part| key.text(Part::Given, part));
        key.id(ALGORITHM)
    }
}

/// Type, root cause, frames, message.
fn by_default<'b>(
    key: &mut Key<'b>,
    facts: &Facts<'_, 'b>,
    frames: &[Prepared<'b>],
    used: &[usize],
) {
    key.text(Part::Kind, kind(facts.kind));
    let root = facts.exceptions.last().map_or("", |exception| exception.kind);
    if facts.exceptions.len() > 1 && !root.is_empty() {
        key.text(Part::RootKind, kind(root));
    }
    for at in used {
        key.add(Part::Frame, |out| normal::write(&frames[*at].frame, out));
    }
    if facts.message.is_empty() && used.is_empty() && !facts.input.operation.is_empty() {
        // A route's names count, unlike a path within a sentence; ids in it do not.
        let names = message::head(facts.input.operation).split('/');
        return key.add(Part::Operation, |out| names.for_each(|name| message::identity(name, out)));
    }
    key.add(Part::Message, |out| message::identity(facts.message, out));
}

/// A type as fingerprints have it: Python's built-in ones go by two names.
fn kind(kind: &str) -> &str {
    kind.strip_prefix("builtins.").or(kind.strip_prefix("exceptions.")).unwrap_or(kind)
}

/// Whether two frames are one call repeated.
fn same(one: &Frame<'_>, other: &Frame<'_>) -> bool {
    (one.module, one.function, one.file) == (other.module, other.function, other.file)
}

/// `function (file)` or `module.function`.
fn culprit<'b>(arena: &'b Bump, frame: &Frame<'b>) -> &'b str {
    let (module, function) = normal::names(frame);
    let mut text = BumpString::with_capacity_in(64, arena);
    let dot = if module.is_empty() || function.is_empty() { "" } else { "." };
    let _ = write!(text, "{module}{dot}{function}");
    if module.is_empty() && !frame.file.is_empty() {
        let space = if text.is_empty() { "" } else { " " };
        let _ = write!(text, "{space}({})", frame.file);
    }
    cut(text.into_bump_str(), MAX_TITLE_BYTES)
}

/// The first line that says something.
fn first_line(text: &str) -> Option<&str> {
    let text = message::trimmed(text);
    let line = memchr::memchr(b'\n', text.as_bytes()).map_or(text, |end| &text[..end]);
    (!text.is_empty()).then(|| line.strip_suffix('\r').unwrap_or(line))
}

/// The longest head of at most `max` bytes.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// A component for people: runs of values are `<*>`.
pub(crate) fn readable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.replace(char::from(message::VALUE_MARK), "<*> ").trim_end().to_owned()
}

#[cfg(test)]
mod tests;
