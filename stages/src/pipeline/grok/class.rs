//! Sets of characters: a table for ASCII, three flags for the rest, and ranges beyond ASCII.

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
    /// Ranges beyond ASCII that are in it whatever the flags say.
    more: Vec<(char, char)>,
    /// Ranges beyond ASCII that are not in it whatever the flags say. None is in both lists.
    less: Vec<(char, char)>,
}

/// What the first byte of a character says about the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByteSays {
    /// The character is in it.
    In,
    /// The character is not.
    Out,
    /// The other bytes must be looked at.
    Ask,
}

impl Class {
    /// Nothing.
    pub(crate) fn none() -> Self {
        Self {
            ascii: [false; 128],
            word: false,
            space: false,
            other: false,
            more: Vec::new(),
            less: Vec::new(),
        }
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
        Self {
            word: !self.word,
            space: !self.space,
            other: !self.other,
            more: self.less,
            less: self.more,
            ..self
        }
    }

    /// Adds all of `class`, which takes no ranges away.
    pub(crate) fn add(&mut self, class: &Class) {
        self.ascii.iter_mut().zip(&class.ascii).for_each(|(slot, more)| *slot |= more);
        self.word |= class.word;
        self.space |= class.space;
        self.other |= class.other;
        self.more.extend_from_slice(&class.more);
    }

    /// Adds an ASCII character.
    pub(crate) fn add_ascii(&mut self, byte: u8) {
        if let Some(slot) = self.ascii.get_mut(usize::from(byte)) {
            *slot = true;
        }
    }

    /// Adds the characters from `low` to `high`.
    pub(crate) fn add_range(&mut self, low: char, high: char) {
        for (byte, slot) in (0u8..).zip(self.ascii.iter_mut()) {
            *slot |= (low..=high).contains(&char::from(byte));
        }
        if !high.is_ascii() {
            self.more.push((low.max('\u{80}'), high));
        }
    }

    /// Adds the other case of every ASCII letter in it.
    pub(crate) fn add_other_case(&mut self) {
        for upper in b'A'..=b'Z' {
            let (high, low) = (usize::from(upper), usize::from(upper.to_ascii_lowercase()));
            let either = self.ascii[high] || self.ascii[low];
            (self.ascii[high], self.ascii[low]) = (either, either);
        }
    }

    /// Whether it is every character.
    pub(crate) fn is_any(&self) -> bool {
        let all = self.word && self.space && self.other && self.less.is_empty();
        all && self.ascii.iter().all(|slot| *slot)
    }

    /// Whether it is no character.
    pub(crate) fn is_none(&self) -> bool {
        let none = !(self.word || self.space || self.other) && self.more.is_empty();
        none && !self.ascii.iter().any(|slot| *slot)
    }

    /// Whether `character` is in it.
    pub(crate) fn contains(&self, character: char) -> bool {
        if let Some(slot) = self.ascii.get(character as usize) {
            return *slot;
        }
        let within = |ranges: &[(char, char)]| {
            ranges.iter().any(|(low, high)| (*low..=*high).contains(&character))
        };
        let flag = if character.is_alphanumeric() {
            self.word
        } else if character.is_whitespace() {
            self.space
        } else {
            self.other
        };
        if flag { !within(&self.less) } else { within(&self.more) }
    }

    /// What each first byte of a character says.
    pub(crate) fn table(&self) -> [ByteSays; 256] {
        let flags = [self.word, self.space, self.other];
        let beyond = if flags == [true; 3] && self.less.is_empty() {
            ByteSays::In
        } else if flags == [false; 3] && self.more.is_empty() {
            ByteSays::Out
        } else {
            ByteSays::Ask
        };
        let mut table = [beyond; 256];
        for (says, is_in) in table.iter_mut().zip(&self.ascii) {
            *says = if *is_in { ByteSays::In } else { ByteSays::Out };
        }
        table
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
    match text.as_bytes().get(at)? {
        byte if byte.is_ascii() => Some(at + 1),
        _ => Some(at + text.get(at..)?.chars().next()?.len_utf8()),
    }
}

/// Whether the character before `at` is a word's.
pub(crate) fn word_before(text: &str, at: usize) -> bool {
    match at.checked_sub(1).and_then(|before| text.as_bytes().get(before)) {
        None => false,
        Some(byte) if byte.is_ascii() => byte.is_ascii_alphanumeric() || *byte == b'_',
        _ => text.get(..at).and_then(|head| head.chars().next_back()).is_some_and(is_word),
    }
}

/// Whether the character at `at` is a word's.
pub(crate) fn word_at(text: &str, at: usize) -> bool {
    match text.as_bytes().get(at) {
        None => false,
        Some(byte) if byte.is_ascii() => byte.is_ascii_alphanumeric() || *byte == b'_',
        _ => text.get(at..).and_then(|tail| tail.chars().next()).is_some_and(is_word),
    }
}

fn is_word(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}
