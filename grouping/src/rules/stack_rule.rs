//! Stack rules (Sentry calls them enhancers): `[ function:main ] | module:com.acme.* ^-group +app`.

use super::line;
use super::matcher::{Facts, Matcher, Prepared};

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StackRule {
    /// As written.
    pub(crate) text: Box<str>,
    /// Over the frame that calls.
    caller: Vec<Matcher>,
    /// Over the frame itself and the error.
    matchers: Vec<Matcher>,
    /// Over the frame that is called.
    callee: Vec<Matcher>,
    actions: Vec<Action>,
}

/// Which frames an action changes, seen from the one that matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Range {
    Itself,
    /// Towards where it was raised.
    Up,
    /// Away from it.
    Down,
}

/// What an action changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flag {
    InApp,
    Counts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Action {
    range: Range,
    flag: Flag,
    value: bool,
}

impl Action {
    fn parse(word: &str) -> Option<Self> {
        let (range, word) = match word.as_bytes().first()? {
            b'^' => (Range::Up, &word[1..]),
            b'v' => (Range::Down, &word[1..]),
            _ => (Range::Itself, word),
        };
        let value = match word.as_bytes().first()? {
            b'+' => true,
            b'-' => false,
            _ => return None,
        };
        let flag = match &word[1..] {
            "app" => Flag::InApp,
            "group" => Flag::Counts,
            _ => return None,
        };
        Some(Self { range, flag, value })
    }
}

impl StackRule {
    /// Parses a line.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (mut caller, mut matchers, mut callee) = (Vec::new(), Vec::new(), Vec::new());
        let (mut actions, mut in_brackets, mut bars) = (Vec::new(), false, 0);
        for word in line::words(text)? {
            let mut word = word.as_str();
            if let Some(rest) = word.strip_prefix('[') {
                (in_brackets, word) = (true, rest);
            }
            let closes = word.ends_with(']');
            word = word.strip_suffix(']').unwrap_or(word);
            if word == "|" {
                bars += 1;
            } else if let Some(action) = Action::parse(word).filter(|_| !in_brackets) {
                actions.push(action);
            } else if !word.is_empty() {
                if !actions.is_empty() {
                    return Err(format!(
                        "`{word}`: actions are ±app and ±group, with ^ or v before them"
                    ));
                }
                let list = match (in_brackets, bars) {
                    (true, 0) => &mut caller,
                    (true, _) => &mut callee,
                    (false, _) => &mut matchers,
                };
                list.push(Matcher::parse(word)?);
            }
            in_brackets &= !closes;
        }
        if in_brackets {
            return Err("`[` is not closed".to_owned());
        }
        if matchers.is_empty() || actions.is_empty() {
            return Err("write `matchers actions`, for example `module:lib.* -app`".to_owned());
        }
        Ok(Self { text: text.into(), caller, matchers, callee, actions })
    }

    /// Applies it to the frames of one exception, which begin where it was raised. `index` is its
    /// own.
    pub(crate) fn apply(&self, index: usize, facts: &Facts<'_, '_>, frames: &mut [Prepared<'_>]) {
        let of_error = self.matchers.iter().filter(|matcher| !matcher.is_of_frame());
        if !of_error.clone().all(|matcher| matcher.matches(facts)) {
            return;
        }
        for at in 0..frames.len() {
            let neighbour = |matchers: &[Matcher], place: Option<usize>| {
                let frame = place.and_then(|place| frames.get(place));
                matchers.is_empty()
                    || frame.is_some_and(|frame| matchers.iter().all(|m| m.matches_frame(frame)))
            };
            let itself = self.matchers.iter().filter(|matcher| matcher.is_of_frame());
            let found = itself.clone().all(|matcher| matcher.matches_frame(&frames[at]))
                && neighbour(&self.caller, Some(at + 1))
                && neighbour(&self.callee, at.checked_sub(1));
            if !found {
                continue;
            }
            for action in &self.actions {
                let range = match action.range {
                    Range::Itself => at..at + 1,
                    Range::Up => 0..at,
                    Range::Down => at + 1..frames.len(),
                };
                for frame in &mut frames[range] {
                    match action.flag {
                        Flag::InApp => frame.in_app = action.value,
                        Flag::Counts => frame.counts = action.value,
                    }
                    frame.rule = Some(index);
                }
            }
        }
    }
}
