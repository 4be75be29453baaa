//! Pieces -> tree: reads the regular expressions that rules are written in.
//!
//! Perl's language as Datadog's rules use it: sets, groups, alternatives, repetitions (greedy, lazy,
//! possessive), atomic groups, look-around, named groups and references to them, `(?i)`. `.` is also a
//! line break. What is beyond it, such as `\p{Greek}`, may be known to the `regex` crate
//! ([`Problem::elsewhere`]).

mod escape;
mod set;

use super::class::Class;
use super::matchers::{Convert, Matcher};
use super::rules::{Capture, Inlined, Piece};
use super::tree::{How, MAX_LOOK_BEHIND, Node};
use escape::Escape;

/// Why a rule can not be read.
#[derive(Debug)]
pub(crate) struct Problem {
    /// Byte offset in the rule's pattern.
    pub(crate) at: usize,
    pub(crate) reason: String,
    /// Whether the `regex` crate may know it.
    pub(crate) elsewhere: bool,
}

/// Depth of groups.
const MAX_GROUP_DEPTH: usize = 32;
/// Most repetitions that can be asked for.
const MAX_COUNT: usize = 1_000;

/// One character of the rule's own text, or a piece that is no text.
#[derive(Clone, Copy)]
enum Unit<'a> {
    Char(char),
    Piece(&'a Piece),
}

/// Reads the pieces of a rule. Named groups become captures.
pub(crate) fn read(pieces: &[Piece], captures: &mut Vec<Capture>) -> Result<Node, Problem> {
    let mut reader = Reader { units: units(pieces), at: 0, depth: 0, any_case: false, captures };
    reader.whole()
}

/// Units with their places.
fn units(pieces: &[Piece]) -> Vec<(Unit<'_>, usize)> {
    let mut units = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Raw(text, place) => {
                units.extend(text.char_indices().map(|(at, c)| (Unit::Char(c), place + at)));
            }
            Piece::Token(_, _, place) | Piece::Rule(Inlined { place, .. }) => {
                units.push((Unit::Piece(piece), *place));
            }
        }
    }
    units
}

struct Reader<'a, 'c> {
    units: Vec<(Unit<'a>, usize)>,
    at: usize,
    depth: usize,
    any_case: bool,
    captures: &'c mut Vec<Capture>,
}

impl Reader<'_, '_> {
    fn peek_at(&self, ahead: usize) -> Option<char> {
        match self.units.get(self.at + ahead) {
            Some((Unit::Char(character), _)) => Some(*character),
            _ => None,
        }
    }

    fn peek(&self) -> Option<char> {
        self.peek_at(0)
    }

    fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.at += 1;
        Some(character)
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = text.chars().enumerate().all(|(ahead, c)| self.peek_at(ahead) == Some(c));
        self.at += if found { text.chars().count() } else { 0 };
        found
    }

    fn place(&self) -> usize {
        let last = self.units.last().map_or(0, |(_, place)| *place);
        self.units.get(self.at).map_or(last, |(_, place)| *place)
    }

    fn wrong<T>(&self, reason: impl Into<String>) -> Result<T, Problem> {
        Err(Problem { at: self.place(), reason: reason.into(), elsewhere: false })
    }

    fn elsewhere<T>(&self, what: &str) -> Result<T, Problem> {
        let reason = format!("{what} is not supported");
        Err(Problem { at: self.place(), reason, elsewhere: true })
    }

    /// Everything, to the end.
    fn whole(&mut self) -> Result<Node, Problem> {
        let node = self.alternatives()?;
        if self.at < self.units.len() {
            return self.wrong("`)` without its `(`: write `\\)` for a parenthesis in the text");
        }
        Ok(node)
    }

    /// `a|b|c`, up to `)` or the end.
    fn alternatives(&mut self) -> Result<Node, Problem> {
        if self.depth >= MAX_GROUP_DEPTH {
            return self.wrong(format!("groups nested deeper than {MAX_GROUP_DEPTH}"));
        }
        self.depth += 1;
        let any_case = self.any_case;
        let mut branches = vec![self.branch()?];
        while self.eat("|") {
            branches.push(self.branch()?);
        }
        self.any_case = any_case;
        self.depth -= 1;
        Ok(if branches.len() > 1 { Node::Either(branches) } else { branches.remove(0) })
    }

    fn branch(&mut self) -> Result<Node, Problem> {
        let mut nodes = Vec::new();
        while self.at < self.units.len() && !matches!(self.peek(), Some('|' | ')')) {
            let place = self.place();
            let node = self.atom()?;
            nodes.push(self.repeated(node, place)?);
        }
        Ok(match nodes.len() {
            0 => Node::Empty,
            1 => nodes.remove(0),
            _ => Node::Sequence(nodes),
        })
    }

    fn atom(&mut self) -> Result<Node, Problem> {
        let Some((unit, place)) = self.units.get(self.at).copied() else {
            return Ok(Node::Empty);
        };
        let character = match unit {
            Unit::Piece(piece) => {
                self.at += 1;
                return self.piece(piece, place);
            }
            Unit::Char(character) => character,
        };
        if matches!(character, '*' | '+' | '?') || (character == '{' && self.counts_follow()) {
            return self.wrong(format!(
                "`{character}` repeats what stands before it, and nothing does: write \
                 `\\{character}` for the character"
            ));
        }
        self.at += 1;
        Ok(match character {
            '(' => self.group()?,
            '.' => Node::Set(Box::new(Class::any())),
            '[' => Node::Set(Box::new(self.set()?)),
            '^' => Node::Start,
            '$' => Node::End,
            '\\' => self.escape()?,
            character => self.character(character),
        })
    }

    fn character(&self, character: char) -> Node {
        let has_case = character.is_lowercase() || character.is_uppercase();
        Node::Char { character, any_case: self.any_case && has_case }
    }

    fn escape(&mut self) -> Result<Node, Problem> {
        Ok(match self.escaped()? {
            Escape::Char(character) => self.character(character),
            Escape::Class(class) => Node::Set(Box::new(class)),
            Escape::Node(node) => node,
            Escape::Text(text) => {
                Node::Sequence(text.chars().map(|character| self.character(character)).collect())
            }
            Escape::Group(name) => match self.captures.iter().position(|own| *own.path == *name) {
                Some(slot) => Node::Same(slot),
                None => return self.wrong(format!("there is no group `{name}` before it")),
            },
        })
    }

    /// What follows `(`.
    fn group(&mut self) -> Result<Node, Problem> {
        if !self.eat("?") {
            return self.inside();
        }
        if self.eat(":") {
            return self.inside();
        }
        if self.eat(">") {
            return Ok(Node::Atomic(Box::new(self.inside()?)));
        }
        for (mark, negated) in [("=", false), ("!", true)] {
            if self.eat(mark) {
                return Ok(Node::Ahead { node: Box::new(self.inside()?), negated });
            }
        }
        for (mark, negated) in [("<=", false), ("<!", true)] {
            if self.eat(mark) {
                return self.behind(negated);
            }
        }
        if self.eat("<") || self.eat("P<") {
            return self.named();
        }
        if self.eat("#") {
            while self.next().is_some_and(|character| character != ')') {}
            return Ok(Node::Empty);
        }
        self.flags()
    }

    fn inside(&mut self) -> Result<Node, Problem> {
        let open = self.at;
        let node = self.alternatives()?;
        if !self.eat(")") {
            self.at = open.saturating_sub(1);
            return self
                .wrong("a group without its `)`: write `\\(` for a parenthesis in the text");
        }
        Ok(node)
    }

    fn behind(&mut self, negated: bool) -> Result<Node, Problem> {
        let place = self.place();
        let node = Box::new(self.inside()?);
        match node.width() {
            (_, Some(high)) if high <= MAX_LOOK_BEHIND => Ok(Node::Behind { node, negated }),
            _ => Err(Problem {
                at: place,
                reason: format!(
                    "a look behind goes back at most {MAX_LOOK_BEHIND} characters: write it \
                     without matchers, `*` and `+`"
                ),
                elsewhere: false,
            }),
        }
    }

    /// `(?<name>...)`: an attribute of that name.
    fn named(&mut self) -> Result<Node, Problem> {
        let mut name = String::new();
        while let Some(character) = self.peek().filter(|c| c.is_alphanumeric() || *c == '_') {
            name.push(character);
            self.at += 1;
        }
        if name.is_empty() || !self.eat(">") {
            return self.wrong("a named group is written (?<name>...)");
        }
        let slot = self.captures.len();
        let path = name.into();
        self.captures.push(Capture { path, convert: Convert::Text, filter: None });
        Ok(Node::Capture(slot, Box::new(self.inside()?)))
    }

    /// `(?i)`, `(?i:...)`, `(?-i)`; `s` is always on.
    fn flags(&mut self) -> Result<Node, Problem> {
        let mut on = true;
        let mut any_case = self.any_case;
        loop {
            match self.next() {
                Some('-') => on = false,
                Some('i') => any_case = on,
                Some('s') if on => {}
                Some(')') => {
                    self.any_case = any_case;
                    return Ok(Node::Empty);
                }
                Some(':') => {
                    let before = std::mem::replace(&mut self.any_case, any_case);
                    let node = self.inside();
                    self.any_case = before;
                    return node;
                }
                _ => return self.elsewhere("this kind of group"),
            }
        }
    }

    /// `node` with the quantifier that follows, if any.
    fn repeated(&mut self, node: Node, place: usize) -> Result<Node, Problem> {
        let (min, max) = match self.peek() {
            Some('*') => (0, usize::MAX),
            Some('+') => (1, usize::MAX),
            Some('?') => (0, 1),
            Some('{') if self.counts_follow() => self.counts()?,
            _ => return Ok(node),
        };
        self.at += 1;
        let how = if self.eat("?") {
            How::Lazy
        } else if self.eat("+") {
            How::Possessive
        } else {
            How::Greedy
        };
        if matches!(node, Node::Start | Node::End | Node::WordEdge { .. }) {
            let reason = "an edge can not be repeated".to_owned();
            return Err(Problem { at: place, reason, elsewhere: false });
        }
        Ok(Node::Repeat { node: Box::new(node), min, max, how })
    }

    fn counts_follow(&self) -> bool {
        let comma = usize::from(self.peek_at(1) == Some(','));
        self.peek_at(1 + comma).is_some_and(|next| next.is_ascii_digit())
    }

    /// `{n}`, `{n,}`, `{n,m}`, `{,m}`, up to the `}`.
    fn counts(&mut self) -> Result<(usize, usize), Problem> {
        self.at += 1;
        let min = if self.peek() == Some(',') { 0 } else { self.number()? };
        let max = if !self.eat(",") {
            min
        } else if self.peek() == Some('}') {
            usize::MAX
        } else {
            self.number()?
        };
        if self.peek() != Some('}') {
            return self.wrong("a count is written {2}, {2,} or {2,5}");
        }
        if min > max {
            return self.wrong(format!("impossible: at least {min} and at most {max} times"));
        }
        Ok((min, max))
    }

    fn number(&mut self) -> Result<usize, Problem> {
        let mut number = 0usize;
        while let Some(digit) = self.peek().and_then(|character| character.to_digit(10)) {
            self.at += 1;
            number = number.saturating_mul(10).saturating_add(digit as usize);
        }
        if number > MAX_COUNT {
            return self.wrong(format!("a count is at most {MAX_COUNT}"));
        }
        Ok(number)
    }

    fn piece(&mut self, piece: &Piece, place: usize) -> Result<Node, Problem> {
        let (node, slot) = match piece {
            Piece::Raw(..) => return self.wrong("text inside a piece"),
            Piece::Rule(Inlined { name, line, pieces, slot, .. }) => {
                let explain = |problem: Problem| Problem {
                    reason: format!("in rule `{name}` (line {line}): {}", problem.reason),
                    ..problem
                };
                (self.nested(pieces, place).map_err(explain)?, slot)
            }
            Piece::Token(Matcher::Regex(source), slot, _) => {
                let inner = [Piece::Raw(source.clone(), 0)];
                (self.nested(&inner, place)?, slot)
            }
            Piece::Token(Matcher::Run { class, min, greedy, .. }, slot, _) => {
                let how = if *greedy { How::Greedy } else { How::Lazy };
                let node = Box::new(Node::Set(Box::new(class.clone())));
                (Node::Repeat { node, min: *min, max: usize::MAX, how }, slot)
            }
            Piece::Token(Matcher::Exact(exact), slot, _) => (Node::Exact(exact.clone()), slot),
        };
        Ok(match slot {
            Some(slot) => Node::Capture(*slot, Box::new(node)),
            None => node,
        })
    }

    /// A text of its own: what is wrong with it is wrong at `place`.
    fn nested(&mut self, pieces: &[Piece], place: usize) -> Result<Node, Problem> {
        let mut reader = Reader {
            units: units(pieces),
            at: 0,
            depth: self.depth,
            any_case: self.any_case,
            captures: &mut *self.captures,
        };
        reader.whole().map_err(|problem| Problem { at: place, ..problem })
    }
}
