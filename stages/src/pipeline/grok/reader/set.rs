//! `[a-z\d_]`, `[^"]`, `[[:alpha:]]`.

use super::escape::Escape;
use super::{Problem, Reader};
use crate::pipeline::grok::class::Class;

impl Reader<'_, '_> {
    /// The set whose `[` was just read.
    pub(super) fn set(&mut self) -> Result<Class, Problem> {
        let negated = self.eat("^");
        let mut class = Class::none();
        let mut first = true;
        while first || !self.eat("]") {
            if self.eat("[:") {
                class.add(&self.posix()?);
            } else if self.peek() == Some('[') || self.eat("&&") {
                return self.elsewhere("a set inside a set");
            } else {
                self.member(&mut class)?;
            }
            first = false;
        }
        if self.any_case {
            class.add_other_case();
        }
        Ok(if negated { class.negated() } else { class })
    }

    /// A character, a range, or a class.
    fn member(&mut self, class: &mut Class) -> Result<(), Problem> {
        let Some(low) = self.one(class)? else { return Ok(()) };
        let ranged = self.peek() == Some('-') && self.peek_at(1).is_some_and(|next| next != ']');
        if !ranged {
            class.add_range(low, low);
            return Ok(());
        }
        self.at += 1;
        let Some(high) = self.one(class)? else {
            return self.wrong("a range ends with a character");
        };
        if high < low {
            return self.wrong(format!("impossible: `{low}` stands after `{high}`"));
        }
        class.add_range(low, high);
        Ok(())
    }

    /// A character; a class is added at once.
    fn one(&mut self, class: &mut Class) -> Result<Option<char>, Problem> {
        match self.next() {
            None => self.wrong("a set without its `]`: write `\\[` for a bracket in the text"),
            // A backspace, inside a set.
            Some('\\') if self.eat("b") => Ok(Some('\u{8}')),
            Some('\\') => match self.escaped()? {
                Escape::Char(character) => Ok(Some(character)),
                Escape::Class(inner) => {
                    class.add(&inner);
                    Ok(None)
                }
                _ => self.elsewhere("this escape inside a set"),
            },
            Some(character) => Ok(Some(character)),
        }
    }

    /// The class whose `[:` was just read.
    fn posix(&mut self) -> Result<Class, Problem> {
        let negated = self.eat("^");
        let mut name = String::new();
        while let Some(letter) = self.peek().filter(char::is_ascii_alphabetic) {
            name.push(letter);
            self.at += 1;
        }
        let class = match name.as_str() {
            "alpha" => Class::of(|byte| byte.is_ascii_alphabetic()),
            "digit" => Class::digit(),
            "alnum" => Class::of(|byte| byte.is_ascii_alphanumeric()),
            "upper" => Class::of(|byte| byte.is_ascii_uppercase()),
            "lower" => Class::of(|byte| byte.is_ascii_lowercase()),
            "punct" => Class::of(|byte| byte.is_ascii_punctuation()),
            "space" => Class::space(),
            "blank" => Class::of(|byte| matches!(byte, b' ' | b'\t')),
            "cntrl" => Class::of(|byte| byte.is_ascii_control()),
            "graph" => Class::of(|byte| byte.is_ascii_graphic()),
            "print" => Class::of(|byte| byte.is_ascii_graphic() || byte == b' '),
            "xdigit" => Class::of(|byte| byte.is_ascii_hexdigit()),
            "word" => Class::word(),
            _ => return self.elsewhere("this class of characters"),
        };
        if !self.eat(":]") {
            return self.wrong("a class of characters is written [:alpha:]");
        }
        Ok(if negated { class.negated() } else { class })
    }
}
