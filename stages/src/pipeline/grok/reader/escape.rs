//! `\d`, `\n`, `\x2f`, `\b`, `\k<name>`: what follows a backslash.

use super::{Problem, Reader};
use crate::pipeline::grok::class::Class;
use crate::pipeline::grok::tree::{How, Node};

/// What an escape means.
pub(super) enum Escape {
    Char(char),
    Class(Class),
    Node(Node),
    /// `\Q...\E`.
    Text(String),
    /// `\k<name>`.
    Group(String),
}

impl Reader<'_, '_> {
    /// The escape whose backslash was just read.
    pub(super) fn escaped(&mut self) -> Result<Escape, Problem> {
        let Some(character) = self.peek() else {
            return self.wrong("a backslash at the end: write `\\\\` for one in the text");
        };
        if !character.is_ascii_alphanumeric() {
            self.at += 1;
            return Ok(Escape::Char(character));
        }
        if let Some(class) = class(character) {
            self.at += 1;
            return Ok(Escape::Class(class));
        }
        let control = match character {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'f' => '\u{c}',
            'v' => '\u{b}',
            'a' => '\u{7}',
            'e' => '\u{1b}',
            'x' | 'u' => return self.code(),
            '1'..='9' => {
                return self.wrong(
                    "groups have no numbers here: name it, (?<x>...), and refer to it by \\k<x>",
                );
            }
            _ => return self.edge_or_group(character),
        };
        self.at += 1;
        Ok(Escape::Char(control))
    }

    fn edge_or_group(&mut self, character: char) -> Result<Escape, Problem> {
        let node = match character {
            'b' => Node::WordEdge { negated: false },
            'B' => Node::WordEdge { negated: true },
            'A' => Node::Start,
            'z' => Node::End,
            // Also before a line break at the end.
            'Z' => {
                let line_break = Box::new(Node::Char { character: '\n', any_case: false });
                let optional = Node::Repeat { node: line_break, min: 0, max: 1, how: How::Greedy };
                let node = Box::new(Node::Sequence(vec![optional, Node::End]));
                Node::Ahead { node, negated: false }
            }
            'Q' => {
                self.at += 1;
                let mut text = String::new();
                while !self.eat("\\E") {
                    match self.next() {
                        Some(character) => text.push(character),
                        None => break,
                    }
                }
                return Ok(Escape::Text(text));
            }
            'k' => {
                self.at += 1;
                let mut name = String::new();
                let opened = self.eat("<");
                while let Some(character) = self.peek().filter(|character| *character != '>') {
                    name.push(character);
                    self.at += 1;
                }
                if !(opened && self.eat(">")) {
                    return self.wrong("a reference to a group is written \\k<name>");
                }
                return Ok(Escape::Group(name));
            }
            other => return self.elsewhere(&format!("`\\{other}`")),
        };
        self.at += 1;
        Ok(Escape::Node(node))
    }

    /// `\x2f`, `\x{1f600}`, `\u00e9`.
    fn code(&mut self) -> Result<Escape, Problem> {
        let digits = if self.next() == Some('u') { 4 } else { 2 };
        let braced = self.eat("{");
        let mut code = 0u32;
        let mut read = 0;
        while read < if braced { 6 } else { digits } {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(16)) else { break };
            code = code * 16 + digit;
            read += 1;
            self.at += 1;
        }
        let complete = if braced { read > 0 && self.eat("}") } else { read == digits };
        match char::from_u32(code).filter(|_| complete) {
            Some(character) => Ok(Escape::Char(character)),
            None => self.wrong("a character by its code is written \\x2f or \\x{1f600}"),
        }
    }
}

fn class(letter: char) -> Option<Class> {
    Some(match letter {
        'd' => Class::digit(),
        'D' => Class::digit().negated(),
        'w' => Class::word(),
        'W' => Class::word().negated(),
        's' => Class::space(),
        'S' => Class::space().negated(),
        _ => return None,
    })
}
