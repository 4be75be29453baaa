//! Syntax tree -> predicate: everything that can be prepared is prepared at load.

use std::cmp::Ordering;
use std::fmt::Write;

use crate::ast::{Bound, Field, Node, Reserved, Term, Test};
use crate::cidr::Block;
use crate::error::ParseError;
use crate::record::{Record, Scalar};
use crate::text::{TextMatcher, same};
use crate::wildcard::Glob;

/// A compiled query.
#[derive(Debug, Clone)]
pub(crate) enum Predicate {
    All,
    And(Vec<Predicate>),
    Or(Vec<Predicate>),
    Not(Box<Predicate>),
    Message(TextMatcher),
    /// A range or presence of the message as a whole.
    WholeMessage(Check),
    Everything(TextMatcher),
    Reserved(Reserved, Check),
    Attribute(Box<str>, Check),
    Tag(Box<str>, Check),
    Tags(Check),
}

/// A test of one value.
#[derive(Debug, Clone)]
pub(crate) enum Check {
    Exists,
    /// The text form is this; the number it is the text form of, if any, saves formatting.
    Equals(Box<str>, Option<i64>),
    Like(Glob),
    Range(End, End),
    Cidr(Box<[Block]>),
}

/// One end of a range: the text, its number if it is one, whether it is included.
#[derive(Debug, Clone)]
pub(crate) struct End(Option<(Box<str>, Option<f64>, bool)>);

/// Compiles a tree.
pub(crate) fn compile(node: &Node) -> Result<Predicate, ParseError> {
    Ok(match node {
        Node::All => Predicate::All,
        Node::And(nodes) => Predicate::And(nodes.iter().map(compile).collect::<Result<_, _>>()?),
        Node::Or(nodes) => Predicate::Or(nodes.iter().map(compile).collect::<Result<_, _>>()?),
        Node::Not(node) => Predicate::Not(Box::new(compile(node)?)),
        Node::Term(term) => compile_term(term)?,
    })
}

fn compile_term(term: &Term) -> Result<Predicate, ParseError> {
    Ok(match &term.field {
        Field::Text => match text_matcher(term)? {
            Some(matcher) => Predicate::Message(matcher),
            None => Predicate::WholeMessage(check(&term.test)),
        },
        Field::Everything => text_matcher(term)?.map_or(Predicate::All, Predicate::Everything),
        Field::Reserved(field) => {
            let test = match (field, &term.test) {
                // Stored in lower case, whatever way people write them.
                (Reserved::Status | Reserved::TraceId | Reserved::SpanId, Test::Equals(text)) => {
                    Test::Equals(text.to_ascii_lowercase())
                }
                (_, test) => test.clone(),
            };
            Predicate::Reserved(*field, check(&test))
        }
        Field::Attribute(path) => attribute(path, &term.test),
        Field::Tag(key) => Predicate::Tag(key.as_str().into(), check(&term.test)),
        Field::Tags => Predicate::Tags(check(&term.test)),
    })
}

/// The paths of an error's kind, message and stack are each one attribute: the tables keep them in one
/// column, whatever library named them.
fn attribute(path: &str, test: &Test) -> Predicate {
    let families = [
        schemas::log::ERROR_KIND_PATHS,
        schemas::log::ERROR_MESSAGE_PATHS,
        schemas::log::ERROR_STACK_PATHS,
    ];
    let touches = |other: &&str| {
        let below = other.strip_prefix(path);
        below
            .is_some_and(|rest| rest.is_empty() || (*test == Test::Exists && rest.starts_with('.')))
    };
    let mut paths = vec![path];
    for family in families.into_iter().filter(|family| family.iter().any(&touches)) {
        paths.extend(family.iter().filter(|other| **other != path));
    }
    let check = check(test);
    let one = |path: &str| Predicate::Attribute(path.into(), check.clone());
    match paths.as_slice() {
        [path] => one(path),
        paths => Predicate::Or(paths.iter().map(|path| one(path)).collect()),
    }
}

fn text_matcher(term: &Term) -> Result<Option<TextMatcher>, ParseError> {
    match &term.test {
        Test::Equals(text) => Ok(Some(TextMatcher::phrase(text))),
        Test::Like(pattern) => match TextMatcher::like(pattern) {
            Some(matcher) => Ok(Some(matcher)),
            None => Err(ParseError {
                offset: term.position.0,
                character: term.position.0 + 1,
                reason: format!(
                    "free text with a wildcard has at most {} characters",
                    crate::MAX_TEXT_PATTERN
                ),
            }),
        },
        Test::Range { .. } | Test::Exists | Test::Cidr(_) => Ok(None),
    }
}

fn check(test: &Test) -> Check {
    let end = |bound: &Bound| {
        End(match bound {
            Bound::Open => None,
            Bound::Inclusive(text) => Some((text.as_str().into(), number(text), true)),
            Bound::Exclusive(text) => Some((text.as_str().into(), number(text), false)),
        })
    };
    match test {
        Test::Exists => Check::Exists,
        Test::Cidr(blocks) => Check::Cidr(blocks.as_slice().into()),
        Test::Equals(text) => {
            let whole = text.parse::<i64>().ok().filter(|number| number.to_string() == *text);
            Check::Equals(text.as_str().into(), whole)
        }
        Test::Like(pattern) => Check::Like(Glob::new(pattern)),
        Test::Range { low, high } => Check::Range(end(low), end(high)),
    }
}

/// A finite number in decimal or exponent form; words such as `inf` are text.
fn number(text: &str) -> Option<f64> {
    text.bytes().any(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

impl Predicate {
    #[inline]
    pub(crate) fn matches<R: Record>(&self, record: &R) -> bool {
        match self {
            Predicate::All => true,
            Predicate::And(nodes) => nodes.iter().all(|node| node.matches(record)),
            Predicate::Or(nodes) => nodes.iter().any(|node| node.matches(record)),
            Predicate::Not(node) => !node.matches(record),
            Predicate::Message(matcher) => matcher.matches(record.message()),
            Predicate::WholeMessage(check) => {
                !record.message().is_empty() && check.text(record.message())
            }
            Predicate::Everything(matcher) => {
                matcher.matches(record.message())
                    || record
                        .everything(&mut |value| with_text(value, |text| matcher.matches(text)))
            }
            Predicate::Reserved(field, check) => {
                record.reserved(*field, &mut |text| check.text(text))
            }
            Predicate::Attribute(path, Check::Exists) => record.has_attribute(path),
            Predicate::Attribute(path, check) => {
                record.attribute(path, &mut |value| check.scalar(value))
            }
            Predicate::Tag(key, check) => record.tag(key, &mut |text| check.text(text)),
            Predicate::Tags(check) => record.tags(&mut |text| check.text(text)),
        }
    }
}

impl Check {
    /// Tags and reserved fields are text: ranges over them are lexicographic.
    #[inline]
    fn text(&self, value: &str) -> bool {
        match self {
            Check::Exists => true,
            Check::Equals(text, _) => same(text, value),
            Check::Like(glob) => glob.matches(value),
            Check::Cidr(blocks) => blocks.iter().any(|block| block.contains(value)),
            Check::Range(low, high) => {
                let above = low.holds(|text, _| Some(value.cmp(text)), Ordering::Greater);
                above && high.holds(|text, _| Some(value.cmp(text)), Ordering::Less)
            }
        }
    }

    #[inline]
    fn scalar(&self, value: Scalar<'_>) -> bool {
        match (self, value) {
            (Check::Exists, _) => true,
            (Check::Equals(_, whole), Scalar::Int(number)) => *whole == Some(number),
            (Check::Cidr(_), Scalar::Int(_) | Scalar::Float(_) | Scalar::Bool(_)) => false,
            (Check::Range(low, high), _) => {
                let order = |text: &str, bound: Option<f64>| compare(value, text, bound);
                low.holds(order, Ordering::Greater) && high.holds(order, Ordering::Less)
            }
            _ => with_text(value, |text| self.text(text)),
        }
    }
}

impl End {
    /// Whether the value is on the right side (`side`) of this end, or on it.
    fn holds(&self, order: impl Fn(&str, Option<f64>) -> Option<Ordering>, side: Ordering) -> bool {
        let Some((text, number, inclusive)) = &self.0 else { return true };
        match order(text, *number) {
            Some(Ordering::Equal) => *inclusive,
            Some(found) => found == side,
            None => false,
        }
    }
}

/// As numbers where both sides are numbers, also written as text: the tables store attributes as
/// text, and a filter has to mean the same there. As text otherwise.
fn compare(value: Scalar<'_>, text: &str, bound: Option<f64>) -> Option<Ordering> {
    let own = match value {
        Scalar::Int(own) => Some(own as f64),
        Scalar::Float(own) => Some(own),
        Scalar::Text(own) => number(own),
        Scalar::Bool(_) => None,
    };
    match (own, bound) {
        (Some(own), Some(bound)) => own.partial_cmp(&bound),
        _ => with_text(value, |own| Some(own.cmp(text))),
    }
}

/// Shows the text form of a value, formatted on the stack where it is no text.
fn with_text<T>(value: Scalar<'_>, look: impl FnOnce(&str) -> T) -> T {
    let mut buffer = StackText { bytes: [0; StackText::SIZE], length: 0 };
    // A finite f64 needs at most 343 characters, so formatting into the buffer succeeds.
    let written = match value {
        Scalar::Text(text) => return look(text),
        Scalar::Bool(flag) => return look(if flag { "true" } else { "false" }),
        Scalar::Int(number) => write!(buffer, "{number}"),
        Scalar::Float(number) => write!(buffer, "{number}"),
    };
    let text = buffer.bytes.get(..buffer.length).unwrap_or_default();
    look(if written.is_ok() { std::str::from_utf8(text).unwrap_or_default() } else { "" })
}

struct StackText {
    bytes: [u8; Self::SIZE],
    length: usize,
}

impl StackText {
    const SIZE: usize = 400;
}

impl Write for StackText {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        let place = self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}
