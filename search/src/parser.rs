//! Text -> syntax tree, by recursive descent of bounded depth.

use crate::ast::{Bound, Field, Node, Part, Pattern, Position, Reserved, Term, Test};
use crate::error::ParseError;
use crate::{MAX_QUERY_BYTES, MAX_QUERY_DEPTH};

/// Parses a whole query.
pub(crate) fn parse(text: &str) -> Result<Node, ParseError> {
    if text.len() > MAX_QUERY_BYTES {
        let reason = format!("longer than {MAX_QUERY_BYTES} bytes: split the query");
        return Err(ParseError::new(text, MAX_QUERY_BYTES, reason));
    }
    let mut parser = Parser { text, at: 0, depth: 0 };
    parser.space();
    if parser.rest().is_empty() {
        return Ok(Node::All);
    }
    let node = parser.or(None)?;
    if parser.peek() == Some(')') {
        return Err(parser.error("`)` without its `(`: remove it or escape it as `\\)`"));
    }
    Ok(node)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

/// Where a bare word ends besides white space and parentheses.
#[derive(Clone, Copy, PartialEq)]
enum Stop {
    /// Also at `:`: it may be a field name.
    Colon,
    /// A colon belongs to the value.
    Space,
    /// Also at `]` and `}`: an end of a range.
    Bracket,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.at += character.len_utf8();
        Some(character)
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// Eats an operator word, if it stands alone.
    fn word(&mut self, word: &str) -> bool {
        let after = self.rest().strip_prefix(word).map(|rest| rest.chars().next());
        let alone =
            after.is_some_and(|next| next.is_none_or(|c| c.is_whitespace() || "()\"".contains(c)));
        if alone {
            self.at += word.len();
        }
        alone
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn error(&self, reason: impl Into<String>) -> ParseError {
        ParseError::new(self.text, self.at, reason)
    }

    fn or(&mut self, field: Option<&Field>) -> Result<Node, ParseError> {
        let mut nodes = vec![self.and(field)?];
        while self.word("OR") || self.eat("||") {
            nodes.push(self.and(field)?);
        }
        Ok(Node::or(nodes))
    }

    fn and(&mut self, field: Option<&Field>) -> Result<Node, ParseError> {
        self.space();
        let mut nodes = vec![self.unary(field)?];
        loop {
            self.space();
            if self.word("AND") || self.eat("&&") {
                self.space();
            } else if self.ends_and() {
                return Ok(Node::and(nodes));
            }
            nodes.push(self.unary(field)?);
        }
    }

    /// Whether what follows can not belong to an AND.
    fn ends_and(&self) -> bool {
        let mut ahead = Parser { text: self.text, at: self.at, depth: 0 };
        let rest = self.rest();
        rest.is_empty() || rest.starts_with(')') || rest.starts_with("||") || ahead.word("OR")
    }

    fn unary(&mut self, field: Option<&Field>) -> Result<Node, ParseError> {
        self.depth += 1;
        if self.depth > MAX_QUERY_DEPTH {
            return Err(self.error(format!("nested deeper than {MAX_QUERY_DEPTH}")));
        }
        let node = if self.word("NOT") {
            self.space();
            Node::not(self.unary(field)?)
        } else if self.eat("-") || self.eat("!") {
            if self.peek().is_none_or(char::is_whitespace) {
                let hint =
                    "`-` excludes what directly follows: remove the space or escape it as `\\-`";
                return Err(self.error(hint));
            }
            Node::not(self.unary(field)?)
        } else {
            self.primary(field)?
        };
        self.depth -= 1;
        Ok(node)
    }

    fn primary(&mut self, field: Option<&Field>) -> Result<Node, ParseError> {
        if self.word("AND") || self.word("OR") {
            return Err(self.error("an operator needs a term on both sides"));
        }
        if self.peek() == Some('(') {
            return self.group(field);
        }
        if let Some(field) = field {
            return self.value(field);
        }
        let start = self.at;
        if self.eat("CIDR(") {
            return self.cidr(start);
        }
        if self.peek() == Some('"') {
            let phrase = self.phrase()?;
            return self.term(Field::Text, Test::Equals(phrase), start);
        }
        let parts = self.bare(Stop::Colon)?;
        if self.peek() != Some(':') {
            if parts == [Part::Any] {
                return Ok(Node::All);
            }
            return self.test(&Field::Text, parts, start);
        }
        let name = self.name(&parts, start)?;
        self.at += 1;
        match name.as_str() {
            "_exists_" | "_missing_" => self.presence(name == "_missing_", start),
            _ => {
                let field = self.field(&name, start)?;
                self.value(&field)
            }
        }
    }

    fn group(&mut self, field: Option<&Field>) -> Result<Node, ParseError> {
        let open = self.at;
        self.at += 1;
        let node = self.or(field)?;
        if !self.eat(")") {
            return Err(ParseError::new(self.text, open, "`(` without its `)`"));
        }
        Ok(node)
    }

    /// `CIDR(field, block, ...)`, after the parenthesis.
    fn cidr(&mut self, start: usize) -> Result<Node, ParseError> {
        let example = "write CIDR(@attribute, 10.0.0.0/8)";
        self.space();
        let at = self.at;
        let name = self.cidr_field();
        let field = match name.as_str() {
            "" => return Err(ParseError::new(self.text, start, example)),
            name => self.field(name, at)?,
        };
        if matches!(field, Field::Everything | Field::Text) {
            return Err(ParseError::new(self.text, start, example));
        }
        let mut blocks = Vec::new();
        while self.eat(",") {
            self.space();
            let length = self.rest().find([',', ')']).unwrap_or(self.rest().len());
            let block = self.rest().get(..length).unwrap_or_default().trim_end();
            let block = block.parse().map_err(|reason: String| self.error(reason))?;
            blocks.push(block);
            self.at += length;
        }
        if !self.eat(")") {
            return Err(ParseError::new(self.text, start, "`CIDR(` without its `)`"));
        }
        if blocks.is_empty() {
            return Err(ParseError::new(
                self.text,
                start,
                format!("CIDR needs a block: {example}"),
            ));
        }
        self.term(field, Test::Cidr(blocks), start)
    }

    /// A name up to `,` or `)`.
    fn cidr_field(&mut self) -> String {
        let (mut name, mut kept) = (String::new(), 0);
        while let Some(character) = self.peek().filter(|c| !matches!(c, ',' | ')')) {
            self.at += character.len_utf8();
            let escaped = character == '\\';
            name.extend(if escaped { self.next() } else { Some(character) });
            if escaped || !character.is_whitespace() {
                kept = name.len();
            }
        }
        name.truncate(kept);
        name
    }

    /// A field's name has no wildcard, except that `*` alone is every field.
    fn name(&self, parts: &[Part], start: usize) -> Result<String, ParseError> {
        match parts {
            [Part::Literal(name)] => Ok(name.clone()),
            [Part::Any] => Ok("*".to_owned()),
            [] => Err(ParseError::new(self.text, start, "a field name must stand before `:`")),
            _ => Err(ParseError::new(
                self.text,
                start,
                "wildcards are not possible in field names: escape them as `\\*` or `\\?`",
            )),
        }
    }

    fn field(&self, name: &str, start: usize) -> Result<Field, ParseError> {
        if let Some(path) = name.strip_prefix('@') {
            if path.is_empty() {
                return Err(ParseError::new(
                    self.text,
                    start,
                    "an attribute's path must follow `@`",
                ));
            }
            return Ok(Field::Attribute(path.to_owned()));
        }
        if name.starts_with('#') {
            return Err(ParseError::new(
                self.text,
                start,
                "calculated fields (`#`) are not supported",
            ));
        }
        Ok(match name {
            "*" => Field::Everything,
            "message" => Field::Text,
            "tags" => Field::Tags,
            _ => match Reserved::from_name(name) {
                Some(reserved) => Field::Reserved(reserved),
                None => Field::Tag(name.to_owned()),
            },
        })
    }

    fn presence(&mut self, missing: bool, start: usize) -> Result<Node, ParseError> {
        let at = self.at;
        let parts = self.bare(Stop::Space)?;
        let field = self.field(&self.name(&parts, at)?, at)?;
        let node = self.term(field, Test::Exists, start)?;
        Ok(if missing { Node::not(node) } else { node })
    }

    fn value(&mut self, field: &Field) -> Result<Node, ParseError> {
        let start = self.at;
        match self.peek() {
            None => Err(self.error("a value must follow `:`")),
            // `@severity: "#"`, as published pipelines write it.
            Some(c) if c.is_whitespace() && self.rest().trim_start().starts_with('"') => {
                self.space();
                self.value(field)
            }
            Some(c) if c.is_whitespace() => {
                Err(self.error("a value must follow `:` without a space; as text, write `\\:`"))
            }
            Some('(') => {
                self.depth += 1;
                let node = self.group(Some(field));
                self.depth -= 1;
                node
            }
            Some('"') => {
                let phrase = self.phrase()?;
                self.term(field.clone(), Test::Equals(phrase), start)
            }
            Some('[' | '{') => self.range(field),
            Some('<' | '>') => self.comparison(field),
            Some(_) => {
                let parts = self.bare(Stop::Space)?;
                self.test(field, parts, start)
            }
        }
    }

    fn comparison(&mut self, field: &Field) -> Result<Node, ParseError> {
        let start = self.at;
        let above = self.next() == Some('>');
        let inclusive = self.eat("=");
        let bound = match self.bound(Stop::Space)? {
            Bound::Inclusive(text) if !inclusive => Bound::Exclusive(text),
            Bound::Open => return Err(self.error("a comparison needs a value, not `*`")),
            bound => bound,
        };
        let (low, high) = if above { (bound, Bound::Open) } else { (Bound::Open, bound) };
        self.term(field.clone(), Test::Range { low, high }, start)
    }

    fn range(&mut self, field: &Field) -> Result<Node, ParseError> {
        let start = self.at;
        let low_exclusive = self.next() == Some('{');
        self.space();
        let low = self.bound(Stop::Bracket)?;
        self.space();
        if !self.word("TO") {
            return Err(self.error("a range is written `[low TO high]`: expected `TO`"));
        }
        self.space();
        let high = self.bound(Stop::Bracket)?;
        self.space();
        let high_exclusive = match self.next() {
            Some(']') => false,
            Some('}') => true,
            _ => {
                let reason = "a range without its end: expected `]` or `}`";
                return Err(ParseError::new(self.text, start, reason));
            }
        };
        let exclude = |bound, exclusive| match bound {
            Bound::Inclusive(text) if exclusive => Bound::Exclusive(text),
            other => other,
        };
        let (low, high) = (exclude(low, low_exclusive), exclude(high, high_exclusive));
        if (&low, &high) == (&Bound::Open, &Bound::Open) {
            return self.term(field.clone(), Test::Exists, start);
        }
        self.term(field.clone(), Test::Range { low, high }, start)
    }

    fn bound(&mut self, stop: Stop) -> Result<Bound, ParseError> {
        if self.peek() == Some('"') {
            return Ok(Bound::Inclusive(self.phrase()?));
        }
        let start = self.at;
        match self.bare(stop)?.as_mut_slice() {
            [Part::Any] => Ok(Bound::Open),
            [Part::Literal(text)] => Ok(Bound::Inclusive(std::mem::take(text))),
            [] => Err(self.error("a range needs a value or `*` here")),
            _ => {
                let reason = "an end of a range has no wildcard: escape it or write `*` alone";
                Err(ParseError::new(self.text, start, reason))
            }
        }
    }

    /// Text in quotes. Only `\"` and `\\` are escapes, so that paths and patterns stay readable.
    fn phrase(&mut self) -> Result<String, ParseError> {
        let open = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.next() {
                None => return Err(ParseError::new(self.text, open, "a quote without its end")),
                Some('"') => return Ok(text),
                Some('\\') if matches!(self.peek(), Some('"' | '\\')) => text.extend(self.next()),
                Some(character) => text.push(character),
            }
        }
    }

    /// A word with escapes and wildcards.
    fn bare(&mut self, stop: Stop) -> Result<Vec<Part>, ParseError> {
        let mut parts = Vec::new();
        while let Some(character) = self.peek() {
            let ends = match character {
                '(' | ')' => true,
                ':' => stop == Stop::Colon,
                ']' | '}' => stop == Stop::Bracket,
                _ => character.is_whitespace(),
            };
            if ends {
                break;
            }
            if matches!(character, '"' | '[' | ']' | '{' | '}') {
                let hint = format!(
                    "`{character}` inside a word: quote the value or write `\\{character}`"
                );
                return Err(self.error(hint));
            }
            self.at += character.len_utf8();
            parts.push(match character {
                '*' => Part::Any,
                '?' => Part::One,
                '\\' => match self.next() {
                    Some(escaped) => Part::Literal(escaped.to_string()),
                    None => return Err(self.error("a backslash at the end: write `\\\\`")),
                },
                other => Part::Literal(other.to_string()),
            });
        }
        if self.peek() == Some('(') && !parts.is_empty() {
            return Err(self.error("`(` inside a word: put a space before it or write `\\(`"));
        }
        Ok(Pattern::new(parts).parts().to_vec())
    }

    fn test(&self, field: &Field, parts: Vec<Part>, start: usize) -> Result<Node, ParseError> {
        let test = match parts.as_slice() {
            [] => return Err(ParseError::new(self.text, start, "expected a term")),
            [Part::Any] => Test::Exists,
            [Part::Literal(text)] => Test::Equals(text.clone()),
            _ => Test::Like(Pattern::new(parts)),
        };
        self.term(field.clone(), test, start)
    }

    fn term(&self, field: Field, test: Test, start: usize) -> Result<Node, ParseError> {
        let refuse = |reason: &str| Err(ParseError::new(self.text, start, reason));
        match (&field, &test) {
            (Field::Everything, Test::Exists) => Ok(Node::All),
            (Field::Everything, Test::Range { .. }) => {
                refuse("a range needs one field: write `@attribute:` instead of `*:`")
            }
            (Field::Text | Field::Everything, Test::Equals(text)) if text.is_empty() => {
                refuse("an empty text matches nothing: write `*` for everything")
            }
            _ => Ok(Node::Term(Term { field, test, position: Position(start) })),
        }
    }
}
