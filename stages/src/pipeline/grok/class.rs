//! Sets of characters: a table for ASCII and three flags for the rest.

/// A set of characters.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Class {
    ascii: [bool; 128],
    /// Letters and digits beyond ASCII.
    word: bool,
    /// White space beyond ASCII.
    space: bool,
    /// All other characters beyond ASCII.
    other: bool,
}

impl Class {
    /// Nothing.
    pub(crate) fn none() -> Self {
        Self { ascii: [false; 128], word: false, space: false, other: false }
    }

    /// Everything, also a line break.
    pub(crate) fn any() -> Self {
        Self::none().negated()
    }

    /// `\d`.
    pub(crate) fn digit() -> Self {
        Self::of(|byte| byte.is_ascii_digit())
    }

    /// `\w`.
    pub(crate) fn word() -> Self {
        let ascii = Self::of(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        Self { word: true, ..ascii }
    }

    /// `\s`.
    pub(crate) fn space() -> Self {
        let ascii = Self::of(|byte| byte.is_ascii_whitespace() || byte == 0x0b);
        Self { space: true, ..ascii }
    }

    /// The ASCII characters `is_in` accepts.
    pub(crate) fn of(is_in: impl Fn(u8) -> bool) -> Self {
        let mut class = Self::none();
        for (byte, slot) in (0u8..).zip(class.ascii.iter_mut()) {
            *slot = is_in(byte);
        }
        class
    }

    /// Everything else.
    pub(crate) fn negated(mut self) -> Self {
        self.ascii.iter_mut().for_each(|slot| *slot = !*slot);
        Self { word: !self.word, space: !self.space, other: !self.other, ..self }
    }

    /// Adds all of `more`.
    pub(crate) fn add(&mut self, more: &Class) {
        self.ascii.iter_mut().zip(&more.ascii).for_each(|(slot, more)| *slot |= more);
        self.word |= more.word;
        self.space |= more.space;
        self.other |= more.other;
    }

    /// Adds an ASCII character.
    pub(crate) fn add_ascii(&mut self, byte: u8) {
        if let Some(slot) = self.ascii.get_mut(usize::from(byte)) {
            *slot = true;
        }
    }

    /// Whether it is every character.
    pub(crate) fn is_any(&self) -> bool {
        self.word && self.space && self.other && self.ascii.iter().all(|slot| *slot)
    }

    /// Whether `character` is in it.
    pub(crate) fn contains(&self, character: char) -> bool {
        match u8::try_from(character).ok().and_then(|byte| self.ascii.get(usize::from(byte))) {
            Some(slot) => *slot,
            None if character.is_alphanumeric() => self.word,
            None if character.is_whitespace() => self.space,
            None => self.other,
        }
    }

    /// Where the run of its characters that starts at `at` ends.
    pub(crate) fn run(&self, text: &str, at: usize) -> usize {
        let bytes = text.as_bytes();
        let mut end = at;
        while let Some(byte) = bytes.get(end) {
            if let Some(slot) = self.ascii.get(usize::from(*byte)) {
                if !slot {
                    break;
                }
                end += 1;
            } else {
                match text.get(end..).and_then(|rest| rest.chars().next()) {
                    Some(character) if self.contains(character) => end += character.len_utf8(),
                    _ => break,
                }
            }
        }
        end
    }
}

/// Where the character before `at` starts.
pub(crate) fn previous(text: &str, at: usize) -> usize {
    (0..at).rev().find(|index| text.is_char_boundary(*index)).unwrap_or(0)
}

/// Where the character at `at` ends.
pub(crate) fn following(text: &str, at: usize) -> Option<usize> {
    Some(at + text.get(at..)?.chars().next()?.len_utf8())
}

/// Whether the character before `at` is a word's.
pub(crate) fn word_before(text: &str, at: usize) -> bool {
    text.get(..at).and_then(|head| head.chars().next_back()).is_some_and(is_word)
}

/// Whether the character at `at` is a word's.
pub(crate) fn word_at(text: &str, at: usize) -> bool {
    text.get(at..).and_then(|tail| tail.chars().next()).is_some_and(is_word)
}

fn is_word(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}
