//! Pieces -> program: the subset of regular expressions that log rules are written in, compiled to
//! straight code. Literal text, sets of characters with a quantifier, groups, alternatives,
//! optional groups. What is beyond it (`Unsupported`) goes to the `regex` crate instead.

use super::class::Class;
use super::matchers::Matcher;
use super::program::{Op, Program};
use super::rules::Piece;

/// The rule needs the `regex` crate.
#[derive(Debug)]
pub(crate) struct Unsupported;

/// Depth of groups.
const MAX_GROUP_DEPTH: usize = 32;

/// One character of the rule's own text, or a piece that is no text.
enum Unit<'a> {
    Char(char),
    Piece(&'a Piece),
}

/// Compiles the pieces of a rule.
pub(crate) fn compile(pieces: &[Piece]) -> Result<Program, Unsupported> {
    let mut ops = Vec::new();
    sequence(pieces, 0, &mut ops)?;
    ops.push(Op::End);
    Ok(Program::new(ops))
}

fn sequence(pieces: &[Piece], depth: usize, ops: &mut Vec<Op>) -> Result<(), Unsupported> {
    if depth > MAX_GROUP_DEPTH {
        return Err(Unsupported);
    }
    let units = pieces.iter().flat_map(|piece| match piece {
        Piece::Raw(text) => text.chars().map(Unit::Char).collect::<Vec<_>>(),
        other => vec![Unit::Piece(other)],
    });
    let mut compiler = Compiler { units: units.collect(), at: 0, depth };
    compiler.alternatives(ops)?;
    if compiler.at < compiler.units.len() { Err(Unsupported) } else { Ok(()) }
}

struct Compiler<'a> {
    units: Vec<Unit<'a>>,
    at: usize,
    depth: usize,
}

impl Compiler<'_> {
    fn peek(&self) -> Option<char> {
        match self.units.get(self.at) {
            Some(Unit::Char(character)) => Some(*character),
            _ => None,
        }
    }

    fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.at += 1;
        Some(character)
    }

    fn eat(&mut self, character: char) -> bool {
        let found = self.peek() == Some(character);
        self.at += usize::from(found);
        found
    }

    /// `a|b|c`, up to `)` or the end.
    fn alternatives(&mut self, ops: &mut Vec<Op>) -> Result<(), Unsupported> {
        self.depth += 1;
        if self.depth > MAX_GROUP_DEPTH {
            return Err(Unsupported);
        }
        let mut branches = vec![self.branch()?];
        while self.eat('|') {
            branches.push(self.branch()?);
        }
        self.depth -= 1;
        join(branches, ops);
        Ok(())
    }

    fn branch(&mut self) -> Result<Vec<Op>, Unsupported> {
        let mut ops = Vec::new();
        while self.at < self.units.len() && !matches!(self.peek(), Some('|' | ')')) {
            self.atom(&mut ops)?;
        }
        Ok(ops)
    }

    fn atom(&mut self, ops: &mut Vec<Op>) -> Result<(), Unsupported> {
        if let Some(Unit::Piece(piece)) = self.units.get(self.at) {
            let piece: &Piece = piece;
            self.at += 1;
            let mut inner = Vec::new();
            self.piece(piece, &mut inner)?;
            return self.optional(inner, ops);
        }
        match self.next().ok_or(Unsupported)? {
            '(' => {
                if self.eat('?') && !self.eat(':') {
                    return Err(Unsupported);
                }
                let mut inner = Vec::new();
                self.alternatives(&mut inner)?;
                if !self.eat(')') {
                    return Err(Unsupported);
                }
                self.optional(inner, ops)
            }
            '.' => self.quantified(Class::any(), None, ops),
            '[' => {
                let class = self.set()?;
                self.quantified(class, None, ops)
            }
            '\\' => match self.next().ok_or(Unsupported)? {
                letter if letter.is_ascii_alphanumeric() => match escape(letter) {
                    Some(Escape::Class(class)) => self.quantified(class, None, ops),
                    Some(Escape::Char(character)) => self.literal(character, ops),
                    None => Err(Unsupported),
                },
                character => self.literal(character, ops),
            },
            '^' if self.at == 1 && self.depth == 1 && ops.is_empty() => Ok(()),
            '$' if self.at == self.units.len() && self.depth == 1 => Ok(()),
            '^' | '$' | '*' | '+' | '?' => Err(Unsupported),
            '{' if self.peek().is_some_and(|next| next.is_ascii_digit()) => Err(Unsupported),
            character => self.literal(character, ops),
        }
    }

    fn literal(&mut self, character: char, ops: &mut Vec<Op>) -> Result<(), Unsupported> {
        let class = match u8::try_from(character) {
            Ok(byte) if byte.is_ascii() => Class::of(|other| other == byte),
            // A quantifier after it would need a set that holds it.
            _ => {
                if matches!(self.peek(), Some('*' | '+' | '?' | '{')) {
                    return Err(Unsupported);
                }
                Class::none()
            }
        };
        self.quantified(class, Some(character), ops)
    }

    /// A set of characters with the quantifier that follows, if any.
    fn quantified(
        &mut self,
        class: Class,
        literal: Option<char>,
        ops: &mut Vec<Op>,
    ) -> Result<(), Unsupported> {
        let (min, max) = match self.peek() {
            Some('*') => (0, usize::MAX),
            Some('+') => (1, usize::MAX),
            Some('?') => (0, 1),
            Some('{') if self.counts_follow() => {
                let (min, max) = self.counts()?;
                return self.run(class, min, max, ops);
            }
            _ => {
                match literal {
                    Some(character) => push_literal(character, ops),
                    None => ops.push(Op::run(class, 1, 1, true)),
                }
                return Ok(());
            }
        };
        self.at += 1;
        self.run(class, min, max, ops)
    }

    fn run(
        &mut self,
        class: Class,
        min: usize,
        max: usize,
        ops: &mut Vec<Op>,
    ) -> Result<(), Unsupported> {
        let greedy = !self.eat('?');
        // Possessive, or a quantifier of a quantifier.
        if matches!(self.peek(), Some('+' | '*' | '?')) {
            return Err(Unsupported);
        }
        ops.push(Op::run(class, min, max, greedy));
        Ok(())
    }

    fn counts_follow(&self) -> bool {
        matches!(self.units.get(self.at + 1), Some(Unit::Char('0'..='9' | ',')))
    }

    /// `{n}`, `{n,}`, `{n,m}`.
    fn counts(&mut self) -> Result<(usize, usize), Unsupported> {
        self.at += 1;
        let min = self.number().ok_or(Unsupported)?;
        let max = if !self.eat(',') {
            min
        } else if self.peek() == Some('}') {
            usize::MAX
        } else {
            self.number().ok_or(Unsupported)?
        };
        if self.eat('}') && min <= max { Ok((min, max)) } else { Err(Unsupported) }
    }

    fn number(&mut self) -> Option<usize> {
        let mut number = None;
        while let Some(digit) = self.peek().and_then(|character| character.to_digit(10)) {
            self.at += 1;
            number = Some(number.unwrap_or(0usize).checked_mul(10)? + digit as usize);
        }
        number.filter(|number| *number <= 1_000)
    }

    /// A group, possibly optional; other quantifiers of groups are beyond the subset.
    fn optional(&mut self, inner: Vec<Op>, ops: &mut Vec<Op>) -> Result<(), Unsupported> {
        match self.peek() {
            Some('?') => {
                self.at += 1;
                let lazy = self.eat('?');
                let branches = if lazy { vec![Vec::new(), inner] } else { vec![inner, Vec::new()] };
                join(branches, ops);
                Ok(())
            }
            Some('*' | '+') => Err(Unsupported),
            Some('{') if self.counts_follow() => Err(Unsupported),
            _ => {
                append(inner, ops);
                Ok(())
            }
        }
    }

    fn piece(&mut self, piece: &Piece, ops: &mut Vec<Op>) -> Result<(), Unsupported> {
        let slot = match piece {
            Piece::Token(_, slot) | Piece::Rule(_, slot) => *slot,
            Piece::Raw(_) => None,
        };
        let mut inner = Vec::new();
        match piece {
            Piece::Raw(_) => return Err(Unsupported),
            Piece::Rule(pieces, _) => sequence(pieces, self.depth, &mut inner)?,
            Piece::Token(Matcher::Regex(source), _) => {
                sequence(&[Piece::Raw(source.clone())], self.depth, &mut inner)?;
            }
            Piece::Token(Matcher::Run { class, min, greedy, .. }, _) => {
                inner.push(Op::run(class.clone(), *min, usize::MAX, *greedy));
            }
            Piece::Token(Matcher::Exact(exact), _) => inner.push(Op::Match(exact.clone())),
        }
        ops.extend(slot.map(Op::Open));
        append(inner, ops);
        ops.extend(slot.map(Op::Close));
        Ok(())
    }

    /// `[...]` of ASCII characters, ranges and `\d \w \s`.
    fn set(&mut self) -> Result<Class, Unsupported> {
        let negated = self.eat('^');
        let mut class = Class::none();
        let mut first = true;
        loop {
            let low = match self.next().ok_or(Unsupported)? {
                ']' if !first => break,
                // POSIX classes, intersections, and characters the table can not hold.
                '[' | '&' => return Err(Unsupported),
                '\\' => match self.next().ok_or(Unsupported)? {
                    letter if letter.is_ascii_alphanumeric() => match escape(letter) {
                        Some(Escape::Class(inner)) => {
                            class.add(&inner);
                            first = false;
                            continue;
                        }
                        Some(Escape::Char(character)) => character,
                        None => return Err(Unsupported),
                    },
                    character => character,
                },
                character => character,
            };
            first = false;
            let ranged = self.peek() == Some('-')
                && !matches!(self.units.get(self.at + 1), None | Some(Unit::Char(']')));
            let high = if ranged {
                self.at += 1;
                match self.next().ok_or(Unsupported)? {
                    '\\' => self.next().filter(|c| !c.is_alphanumeric()).ok_or(Unsupported)?,
                    character => character,
                }
            } else {
                low
            };
            if !low.is_ascii() || !high.is_ascii() || high < low {
                return Err(Unsupported);
            }
            (low as u8..=high as u8).for_each(|byte| class.add_ascii(byte));
        }
        Ok(if negated { class.negated() } else { class })
    }
}

enum Escape {
    Class(Class),
    Char(char),
}

fn escape(letter: char) -> Option<Escape> {
    Some(match letter {
        'd' => Escape::Class(Class::digit()),
        'D' => Escape::Class(Class::digit().negated()),
        'w' => Escape::Class(Class::word()),
        'W' => Escape::Class(Class::word().negated()),
        's' => Escape::Class(Class::space()),
        'S' => Escape::Class(Class::space().negated()),
        'n' => Escape::Char('\n'),
        'r' => Escape::Char('\r'),
        't' => Escape::Char('\t'),
        _ => return None,
    })
}

fn push_literal(character: char, ops: &mut Vec<Op>) {
    if let Some(Op::Literal(text)) = ops.last_mut() {
        let mut longer = String::from(std::mem::take(text));
        longer.push(character);
        *text = longer.into();
    } else {
        ops.push(Op::Literal(character.to_string().into()));
    }
}

/// Moves `inner` to the end of `ops`, its jumps with it.
fn append(inner: Vec<Op>, ops: &mut Vec<Op>) {
    let base = ops.len();
    ops.extend(inner.into_iter().map(|op| op.moved(base)));
}

/// The first branch that leads to a match wins.
fn join(branches: Vec<Vec<Op>>, ops: &mut Vec<Op>) {
    let count = branches.len();
    let mut jumps = Vec::new();
    for (index, branch) in branches.into_iter().enumerate() {
        if index + 1 == count {
            append(branch, ops);
            continue;
        }
        let slots = branch.iter().filter_map(|op| match op {
            Op::Open(slot) => Some(*slot),
            _ => None,
        });
        let (low, high) =
            slots.fold((usize::MAX, 0), |(low, high), slot| (low.min(slot), high.max(slot + 1)));
        let split = ops.len();
        ops.push(Op::End);
        append(branch, ops);
        jumps.push(ops.len());
        ops.push(Op::End);
        ops[split] = Op::Split { second: ops.len(), slots: low.min(high)..high };
    }
    if !jumps.is_empty() {
        // A place of its own to go on at: text that follows must not grow the last branch's.
        jumps.push(ops.len());
        ops.push(Op::End);
    }
    let end = ops.len();
    jumps.into_iter().for_each(|jump| ops[jump] = Op::Jump(end));
}
