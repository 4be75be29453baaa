//! Text -> trees: JSON where it is JSON, else YAML (one tree a document).

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};
use schemas::limits::{MAX_CONFIG_DEPTH, MAX_CONFIG_VALUES};

use super::json;
use super::node::{Content, Key, Mark, Node};
use super::problem::Problem;

/// What stands twice in an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Twice {
    /// Is refused: one of the two would not count.
    Refused,
    /// Replaces what stood before, as the readers of test files have it.
    Replaces,
}

/// Reads one file.
pub(super) fn read(text: &str, file: usize, twice: Twice) -> Result<Vec<Node>, Vec<Problem>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if json::looks_like(text) {
        return json::read(text, file, twice).map(|node| vec![node]);
    }
    let mut builder: Builder<'_> = Builder::new(text, file, twice);
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => builder.event(event, span)?,
            Err(error) => return Err(vec![syntax(file, &error)]),
        }
    }
    if builder.problems.is_empty() { Ok(builder.documents) } else { Err(builder.problems) }
}

fn syntax(file: usize, error: &ScanError) -> Problem {
    let at = error.marker();
    let at = Mark { file, line: at.line(), column: at.col() + 1 };
    Problem::at(at, "", format!("this is no YAML: {}", error.info())).hint(
        "check the indentation, and quote texts that begin with one of @ ` % * & ! | > or contain `: ` or ` #`",
    )
}

/// Puts events together. Its stack is its own: deep nesting costs no stack of the thread.
struct Builder<'t> {
    lines: Vec<&'t str>,
    file: usize,
    twice: Twice,
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    /// Values so far, what aliases repeat included.
    values: usize,
    problems: Vec<Problem>,
}

/// A list or an object whose end has not come.
struct Open {
    node: Node,
    anchor: usize,
    /// Values when it began.
    since: usize,
    /// A key whose value has not come.
    key: Option<Key>,
}

impl<'t> Builder<'t> {
    fn new(text: &'t str, file: usize, twice: Twice) -> Self {
        Self {
            lines: text.lines().collect(),
            file,
            twice,
            documents: Vec::new(),
            open: Vec::new(),
            anchors: HashMap::new(),
            values: 0,
            problems: Vec::new(),
        }
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Vec<Problem>> {
        let start = span.start;
        let at = Mark { file: self.file, line: start.line(), column: start.col() + 1 };
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let block = (style == ScalarStyle::Literal).then(|| self.block(at.line));
                let node = Node { at, content: scalar(&text, style, block) };
                self.count(at, 1)?;
                self.close(node, anchor, 1);
            }
            Event::SequenceStart(anchor, _) => {
                self.open(Node { at, content: Content::List(Vec::new()) }, anchor)?;
            }
            Event::MappingStart(anchor, _) => {
                self.open(Node { at, content: Content::Map(Vec::new()) }, anchor)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Open { node, anchor, since, .. }) = self.open.pop() {
                    self.close(node, anchor, self.values - since);
                }
            }
            Event::Alias(anchor) => {
                if let Some((node, values)) = self.anchors.get(&anchor).cloned() {
                    self.count(at, values)?;
                    self.close(node, 0, values);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Where the first line of a `|` block stands, whose mark is in this line: in the one with the `|`, or already
    /// in the first of the block.
    fn block(&self, line: usize) -> (usize, usize) {
        let text =
            |line: usize| self.lines.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let head = text(line).trim_end().trim_end_matches(|c: char| "+-0123456789".contains(c));
        let first = if head.ends_with('|') { line + 1 } else { line };
        (first, text(first).chars().take_while(|c| *c == ' ').count() + 1)
    }

    fn open(&mut self, node: Node, anchor: usize) -> Result<(), Vec<Problem>> {
        let at = node.at;
        self.count(at, 1)?;
        if self.open.len() >= MAX_CONFIG_DEPTH {
            return Err(vec![too_deep(at)]);
        }
        self.open.push(Open { node, anchor, since: self.values - 1, key: None });
        Ok(())
    }

    fn count(&mut self, at: Mark, values: usize) -> Result<(), Vec<Problem>> {
        self.values += values;
        if self.values > MAX_CONFIG_VALUES {
            let reason =
                format!("more than {MAX_CONFIG_VALUES} values, with what aliases repeat counted");
            return Err(vec![Problem::at(at, "", reason)]);
        }
        Ok(())
    }

    /// A value is complete.
    fn close(&mut self, node: Node, anchor: usize, values: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), values));
        }
        let Some(parent) = self.open.last_mut() else {
            self.documents.push(node);
            return;
        };
        match &mut parent.node.content {
            Content::List(items) => items.push(node),
            Content::Map(members) => match parent.key.take() {
                Some(key) => insert(members, key, node, self.twice, &mut self.problems),
                None => {
                    let text = match node.content {
                        Content::Text { text, .. } => text,
                        Content::Bool(flag) => flag.to_string(),
                        Content::Int(number) => number.to_string(),
                        Content::Float(number) => number.to_string(),
                        Content::Null => "null".to_owned(),
                        Content::List(_) | Content::Map(_) => {
                            let reason = "a key is text, not a list or an object";
                            self.problems.push(
                                Problem::at(node.at, "", reason.to_owned())
                                    .hint("`{name}` as a value needs quotes: \"{name}\""),
                            );
                            String::new()
                        }
                    };
                    parent.key = Some(Key { at: node.at, text });
                }
            },
            _ => {}
        }
    }
}

pub(super) fn too_deep(at: Mark) -> Problem {
    Problem::at(at, "", format!("nested deeper than {MAX_CONFIG_DEPTH}"))
}

/// Adds a member.
pub(super) fn insert(
    members: &mut Vec<(Key, Node)>,
    key: Key,
    node: Node,
    twice: Twice,
    problems: &mut Vec<Problem>,
) {
    match members.iter_mut().find(|(own, _)| own.text == key.text) {
        None => members.push((key, node)),
        Some(member) if twice == Twice::Replaces => member.1 = node,
        Some((first, _)) => {
            let reason =
                format!("the field `{}` stands twice, first in line {}", key.text, first.at.line);
            problems.push(Problem::at(key.at, &key.text, reason).hint("keep one of them"));
        }
    }
}

/// A plain scalar by YAML's core schema; a quoted one is text.
fn scalar(text: &str, style: ScalarStyle, block: Option<(usize, usize)>) -> Content {
    if style != ScalarStyle::Plain {
        return Content::Text { text: text.to_owned(), block };
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Content::Null,
        "true" | "True" | "TRUE" => return Content::Bool(true),
        "false" | "False" | "FALSE" => return Content::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" => return Content::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Content::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Content::Float(f64::NAN),
        _ => {}
    }
    let number = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    if number {
        let radix = |prefix: &str, radix| {
            text.strip_prefix(prefix).and_then(|digits| i64::from_str_radix(digits, radix).ok())
        };
        if let Some(int) = text.parse().ok().or_else(|| radix("0x", 16)).or_else(|| radix("0o", 8))
        {
            return Content::Int(int);
        }
        let legal = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
        if text.chars().all(legal)
            && text.contains(|c: char| c.is_ascii_digit())
            && let Ok(float) = text.parse()
        {
            return Content::Float(float);
        }
    }
    Content::Text { text: text.to_owned(), block: None }
}
