//! Why an error is in its issue, and why two errors are, or are not, one.

use std::fmt;

use bumpalo::Bump;
use serde::Serialize;

use crate::grouper::{ALGORITHM, Case, Depth, Grouper, Strategy, readable};
use crate::input::{ErrorInput, Lookup};
use crate::issue_id::IssueId;
use crate::message;
use crate::stack::normal;

/// A part of a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Component {
    /// `service`, `type`, `root cause type`, `frame`, `message`, `rule`, ...
    pub name: &'static str,
    /// What of the error it is, normalised.
    pub value: String,
}

/// What became of a frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FrameUse {
    /// The frame, as the trace has it.
    pub frame: String,
    /// Its normal name.
    pub name: String,
    /// Whether it is the user's own code.
    pub in_app: bool,
    /// Whether it is part of the default fingerprint.
    pub is_used: bool,
    /// The stack rule that changed it last, as written.
    pub rule: Option<String>,
}

/// How an error got its issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The issue.
    pub issue_id: IssueId,
    /// The issue before splits and merges, where it is another one.
    pub derived_id: Option<IssueId>,
    /// Version of the algorithm.
    pub algorithm: u8,
    /// Content hash of the rules.
    pub rules_version: String,
    /// What made the fingerprint: `rule`, `error.fingerprint`, `stack`, `system stack`, `message`.
    pub strategy: &'static str,
    /// The fingerprint rule, as written.
    pub rule: Option<String>,
    /// Type of the error.
    pub kind: String,
    /// Its message as a template.
    pub template: String,
    /// What the id is the hash of, in order.
    pub components: Vec<Component>,
    /// The chain, from the reported exception to the root cause: types.
    pub exceptions: Vec<String>,
    /// Frames of the exception that counts, where it was raised first.
    pub frames: Vec<FrameUse>,
    /// What else is worth knowing.
    pub notes: Vec<String>,
}

/// What tells two errors apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Name of the component.
    pub name: &'static str,
    /// Its value in the one; `None` where it has none.
    pub one: Option<String>,
    /// Its value in the other.
    pub other: Option<String>,
}

impl Grouper {
    /// How an error gets its issue. The same decision as [`Grouper::group`], by the same code.
    pub fn explain<'b>(
        &self,
        arena: &'b Bump,
        input: &ErrorInput<'b>,
        lookup: Lookup<'_, 'b>,
    ) -> Explanation {
        let case = self.decide(arena, input, lookup, Depth::All);
        let rule = match case.strategy {
            Strategy::Rule(index) => {
                self.rules.fingerprint.get(index).map(|rule| rule.text.to_string())
            }
            _ => None,
        };
        let components = case
            .key
            .parts()
            .map(|(part, bytes)| Component { name: part.name(), value: readable(bytes) });
        Explanation {
            issue_id: case.issue_id,
            derived_id: (case.derived != case.issue_id).then_some(case.derived),
            algorithm: ALGORITHM,
            rules_version: self.rules.version.clone(),
            strategy: case.strategy.as_str(),
            rule,
            kind: case.kind.to_owned(),
            template: message::template(arena, case.message).to_owned(),
            components: components.collect(),
            exceptions: case
                .exceptions()
                .iter()
                .map(|exception| exception.kind.to_owned())
                .collect(),
            frames: self.frame_uses(arena, &case),
            notes: notes(input, &case),
        }
    }

    fn frame_uses(&self, arena: &Bump, case: &Case<'_>) -> Vec<FrameUse> {
        let uses = case.frames.iter().enumerate().map(|(at, prepared)| {
            let mut name = bumpalo::collections::Vec::new_in(arena);
            normal::write(&prepared.frame, &mut name);
            FrameUse {
                frame: prepared.frame.to_string(),
                name: String::from_utf8_lossy(&name).into_owned(),
                in_app: prepared.in_app,
                is_used: case.used.contains(&at),
                rule: prepared
                    .rule
                    .and_then(|rule| self.rules.stack.get(rule))
                    .map(|rule| rule.text.to_string()),
            }
        });
        uses.collect()
    }
}

fn notes(input: &ErrorInput<'_>, case: &Case<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    if case.trace.as_ref().is_some_and(|trace| trace.is_cut) {
        notes.push("the stack trace is too long: parts of it were left out".to_owned());
    }
    if !input.stack.is_empty() && case.trace.is_none() {
        notes.push("no frame was found in the stack trace".to_owned());
    }
    if case.strategy == Strategy::SystemFrames {
        notes.push(
            "no frame is the user's own code: the first frames were taken; see in_app.include"
                .to_owned(),
        );
    }
    if matches!(case.strategy, Strategy::Rule(_)) && !input.fingerprint.trim().is_empty() {
        notes.push("the error's own fingerprint gave way to the rule".to_owned());
    }
    if input.service.is_empty() {
        notes.push("the error names no service".to_owned());
    }
    notes
}

impl Explanation {
    /// What tells this error from another one: empty if they are one issue by their fingerprint.
    pub fn differences(&self, other: &Explanation) -> Vec<Difference> {
        let longest = self.components.len().max(other.components.len());
        let pairs = (0..longest).map(|at| (self.components.get(at), other.components.get(at)));
        let differing = pairs.filter(|(one, other)| one != other).map(|(one, other)| Difference {
            name: one.or(other).map_or("", |component| component.name),
            one: one.map(|component| component.value.clone()),
            other: other.map(|component| component.value.clone()),
        });
        differing.collect()
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "issue      {} (algorithm {}, rules {})",
            self.issue_id, self.algorithm, self.rules_version
        )?;
        if let Some(derived) = self.derived_id {
            writeln!(f, "derived    {derived}, then split or merged by the configuration")?;
        }
        writeln!(f, "by         {}", self.strategy)?;
        if let Some(rule) = &self.rule {
            writeln!(f, "rule       {rule}")?;
        }
        writeln!(f, "template   {}", self.template)?;
        for component in &self.components {
            writeln!(f, "made of    {:<16} {}", component.name, component.value)?;
        }
        if self.exceptions.len() > 1 {
            writeln!(f, "chain      {}", self.exceptions.join(" <- "))?;
        }
        for frame in &self.frames {
            let mark = if frame.is_used { '*' } else { ' ' };
            let owner = if frame.in_app { "own" } else { "library" };
            write!(f, "frame    {mark} {owner:<8} {}", frame.frame)?;
            match &frame.rule {
                Some(rule) => writeln!(f, "  by `{rule}`")?,
                None => writeln!(f)?,
            }
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "note       {note}"))
    }
}
