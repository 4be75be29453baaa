//! `%{matcher:extract:filter}`: reading one token of a rule.

/// A name with arguments: a matcher, a rule, a filter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) args: Vec<Arg>,
}

/// An argument.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Arg {
    Text(String),
    Number(f64),
    Bool(bool),
    Null,
    Call(Call),
}

impl Call {
    /// The text argument at `index`; an error if something else stands there.
    pub(crate) fn text(&self, index: usize) -> Result<Option<&str>, String> {
        match self.args.get(index) {
            None | Some(Arg::Null) => Ok(None),
            Some(Arg::Text(text)) => Ok(Some(text)),
            Some(_) => {
                Err(format!("argument {} of {} must be in double quotes", index + 1, self.name))
            }
        }
    }
}

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) matcher: Call,
    /// Dotted path; `None` where nothing is extracted, empty for the root (`%{data::keyvalue}`).
    pub(crate) extract: Option<String>,
    pub(crate) filter: Option<Call>,
}

/// Nesting of calls in arguments.
const MAX_CALL_DEPTH: usize = 8;

/// Reads the token that starts with `%{` at `at`: the token and where it ends, or the place and
/// the reason of an error.
pub(crate) fn read(text: &str, at: usize) -> Result<(Token, usize), (usize, String)> {
    let mut reader = Reader { text, at: at + 2 };
    let token = reader.token();
    match token {
        Ok(token) => Ok((token, reader.at)),
        Err(reason) => Err((reader.at.min(text.len()), reason)),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn eat(&mut self, character: char) -> bool {
        let found = self.peek() == Some(character);
        self.at += if found { character.len_utf8() } else { 0 };
        found
    }

    fn space(&mut self) {
        while self.eat(' ') {}
    }

    fn token(&mut self) -> Result<Token, String> {
        // `%{?>word}` stands in published pipelines and means what `%{word}` means; so do blanks around the parts.
        self.at += if self.rest().starts_with("?>") { 2 } else { 0 };
        self.space();
        let matcher = self.call(0)?;
        self.space();
        let extract = if self.eat(':') { Some(self.extract()?.trim().to_owned()) } else { None };
        self.space();
        let filter = if self.eat(':') {
            self.space();
            Some(self.call(0)?)
        } else {
            None
        };
        self.space();
        if !self.eat('}') {
            return Err("a token is written %{matcher:attribute:filter}: expected `}`".to_owned());
        }
        Ok(Token { matcher, extract, filter })
    }

    fn call(&mut self, depth: usize) -> Result<Call, String> {
        if depth > MAX_CALL_DEPTH {
            return Err(format!("calls nested deeper than {MAX_CALL_DEPTH}"));
        }
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-')) {
            self.at += self.peek().map_or(0, char::len_utf8);
        }
        let name = self.text.get(start..self.at).unwrap_or_default().to_owned();
        if name.is_empty() {
            return Err("expected the name of a matcher, rule or filter".to_owned());
        }
        let mut args = Vec::new();
        if self.eat('(') {
            self.space();
            while !self.eat(')') {
                args.push(self.arg(depth)?);
                self.space();
                if self.eat(',') {
                    self.space();
                } else if self.peek() != Some(')') {
                    return Err("arguments are separated by `,` and end with `)`".to_owned());
                }
            }
        }
        Ok(Call { name, args })
    }

    fn arg(&mut self, depth: usize) -> Result<Arg, String> {
        if self.eat('"') {
            return self.quoted('"').map(Arg::Text);
        }
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest.find([',', ')', '(', ' ', '}']).unwrap_or(rest.len());
        let word = rest.get(..length).unwrap_or_default();
        // A named one, useragent(decodeuricomponent:true), is told by its place as the others are.
        let simple = match word.split_once(':').map_or(word, |(_, value)| value) {
            "true" => Some(Arg::Bool(true)),
            "false" => Some(Arg::Bool(false)),
            "null" => Some(Arg::Null),
            _ => word.parse().ok().filter(|number: &f64| number.is_finite()).map(Arg::Number),
        };
        match simple {
            Some(arg) => {
                self.at += length;
                Ok(arg)
            }
            None if word.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                self.call(depth + 1).map(Arg::Call)
            }
            None => {
                Err("an argument is a text in double quotes, a number, true, false or null"
                    .to_owned())
            }
        }
    }

    /// Text up to the closing quote. `\"` is a quote and `\\` a backslash, as Datadog's examples write
    /// expressions (`"\\d+"`); every other backslash stays, so that `"\d+"` means the same.
    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let mut text = String::new();
        loop {
            let Some(character) = self.peek() else {
                return Err("a quote without its end".to_owned());
            };
            self.at += character.len_utf8();
            match character {
                '\\' if self.peek() == Some(quote) || self.peek() == Some('\\') => {
                    let escaped = self.peek().unwrap_or(quote);
                    self.at += escaped.len_utf8();
                    text.push(escaped);
                }
                _ if character == quote => return Ok(text),
                _ => text.push(character),
            }
        }
    }

    /// A dotted path; parts with special characters in double quotes.
    fn extract(&mut self) -> Result<String, String> {
        let mut path = String::new();
        while let Some(character) = self.peek() {
            match character {
                ':' | '}' => break,
                '"' => {
                    self.at += 1;
                    path.push_str(&self.quoted('"')?);
                }
                _ => {
                    self.at += character.len_utf8();
                    path.push(character);
                }
            }
        }
        if path.len() > schemas::limits::MAX_ATTRIBUTE_KEY_BYTES {
            return Err(format!("longer than {} bytes", schemas::limits::MAX_ATTRIBUTE_KEY_BYTES));
        }
        Ok(path)
    }
}
