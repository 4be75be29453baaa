//! JSON -> a tree with places. `serde_json` decides what is JSON; this only walks what it has accepted.

use serde::de::IgnoredAny;

use super::document::{Twice, insert, too_deep};
use super::node::{Content, Key, Mark, Node};
use super::problem::Problem;
use schemas::limits::{MAX_CONFIG_DEPTH, MAX_CONFIG_VALUES};

/// Whether a text begins like JSON rather than like YAML.
pub(super) fn looks_like(text: &str) -> bool {
    let text = text.trim_start();
    let rest = text.strip_prefix(['{', '[']).map(str::trim_start);
    rest.is_some_and(|rest| rest.starts_with(['"', '{', '[', '}', ']']))
}

/// Reads a file that is one JSON value.
pub(super) fn read(text: &str, file: usize, twice: Twice) -> Result<Node, Vec<Problem>> {
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        let at = Mark { file, line: error.line(), column: error.column() };
        let whole = error.to_string();
        let reason = whole.split(" at line ").next().unwrap_or_default();
        return Err(vec![Problem::at(at, "", format!("this is no JSON: {reason}"))]);
    }
    let mut walk = Walk {
        rest: text,
        at: Mark { file, line: 1, column: 1 },
        twice,
        values: 0,
        problems: Vec::new(),
    };
    let node = walk.value(0).map_err(|problem| vec![problem])?;
    if walk.problems.is_empty() { Ok(node) } else { Err(walk.problems) }
}

struct Walk<'a> {
    rest: &'a str,
    at: Mark,
    twice: Twice,
    values: usize,
    problems: Vec<Problem>,
}

impl<'a> Walk<'a> {
    fn value(&mut self, depth: usize) -> Result<Node, Problem> {
        self.blanks();
        let at = self.at;
        self.values += 1;
        if depth > MAX_CONFIG_DEPTH {
            return Err(too_deep(at));
        }
        if self.values > MAX_CONFIG_VALUES {
            let reason = format!("more than {MAX_CONFIG_VALUES} values");
            return Err(Problem::at(at, "", reason));
        }
        let content = match self.rest.as_bytes().first() {
            Some(b'{') => Content::Map(self.object(depth)?),
            Some(b'[') => Content::List(self.array(depth)?),
            Some(b'"') => Content::Text { text: self.text()?, block: None },
            _ => self.word(),
        };
        Ok(Node { at, content })
    }

    fn object(&mut self, depth: usize) -> Result<Vec<(Key, Node)>, Problem> {
        let mut members = Vec::new();
        self.skip(1);
        loop {
            self.blanks();
            match self.rest.as_bytes().first() {
                Some(b'"') => {}
                Some(b',') => {
                    self.skip(1);
                    continue;
                }
                _ => {
                    self.skip(1);
                    return Ok(members);
                }
            }
            let key = Key { at: self.at, text: self.text()? };
            self.blanks();
            self.skip(1);
            let value = self.value(depth + 1)?;
            insert(&mut members, key, value, self.twice, &mut self.problems);
        }
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Node>, Problem> {
        let mut items = Vec::new();
        self.skip(1);
        loop {
            self.blanks();
            match self.rest.as_bytes().first() {
                None | Some(b']') => {
                    self.skip(1);
                    return Ok(items);
                }
                Some(b',') => self.skip(1),
                Some(_) => items.push(self.value(depth + 1)?),
            }
        }
    }

    /// A string; `serde_json` reads its escapes.
    fn text(&mut self) -> Result<String, Problem> {
        let at = self.at;
        let mut escaped = false;
        let end = self.rest.bytes().skip(1).position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let token = self.rest.get(..end.map_or(self.rest.len(), |end| end + 2)).unwrap_or("");
        self.skip(token.len());
        serde_json::from_str(token).map_err(|error| Problem::at(at, "", error.to_string()))
    }

    /// A number, `true`, `false` or `null`.
    fn word(&mut self) -> Content {
        let ends = |c: char| matches!(c, ',' | ']' | '}') || c.is_ascii_whitespace();
        let token = self.rest.get(..self.rest.find(ends).unwrap_or(self.rest.len())).unwrap_or("");
        self.skip(token.len().max(1));
        match token {
            "true" => Content::Bool(true),
            "false" => Content::Bool(false),
            "null" => Content::Null,
            number => match (number.parse(), number.parse()) {
                (Ok(int), _) => Content::Int(int),
                (_, Ok(float)) => Content::Float(float),
                _ => Content::Null,
            },
        }
    }

    fn blanks(&mut self) {
        let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
        let length = self.rest.len() - self.rest.trim_start_matches(blank).len();
        self.skip(length);
    }

    /// Goes on over bytes that end at a character's end.
    fn skip(&mut self, bytes: usize) {
        let (over, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        for character in over.chars() {
            if character == '\n' {
                (self.at.line, self.at.column) = (self.at.line + 1, 1);
            } else {
                self.at.column += 1;
            }
        }
        self.rest = rest;
    }
}
