//! `--explain`: what each step did to each log, and how long each took over all of them.

use std::io::Write;
use std::time::Duration;

use bumpalo::Bump;
use serde_json::{Value, json};
use stages::event::LogEvent;
use stages::pipeline::explain::{Change, Effect, Explainer};
use stages::pipeline::{Fate, MetricWindows};

use crate::cli::ExplainFormat;
use crate::pipeline::Loaded;

/// Takes logs through step by step.
pub(super) struct Explain {
    explainer: Explainer,
    format: ExplainFormat,
}

impl Explain {
    pub(super) fn new(loaded: &Loaded, format: ExplainFormat) -> Result<Self, String> {
        let explainer = Explainer::new(&loaded.config, &loaded.beside).map_err(|errors| {
            errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        })?;
        Ok(Self { explainer, format })
    }

    /// What became of the log; with `json`, also what to show in its line.
    pub(super) fn process<'b>(
        &mut self,
        arena: &'b Bump,
        event: &mut LogEvent<'b>,
        windows: &mut MetricWindows,
        number: u64,
        clock: &dyn Fn() -> Duration,
    ) -> std::io::Result<(Fate<'_>, Option<Value>)> {
        let format = self.format;
        let message = event.message.to_owned();
        let (fate, effects) = self.explainer.process(arena, event, windows, clock);
        match format {
            ExplainFormat::Json => Ok((fate, Some(json!(effects)))),
            ExplainFormat::Text => {
                tell(&mut std::io::stderr().lock(), number, &message, &effects, &fate)?;
                Ok((fate, None))
            }
        }
    }

    /// The time each step took.
    pub(super) fn finish(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let steps = &self.explainer.steps;
        if self.format == ExplainFormat::Json {
            return writeln!(out, "{}", json!({ "steps": steps }));
        }
        writeln!(
            out,
            "{:>10}  {:>9}  {:>9}  {:>8}  step",
            "time", "events", "changed", "ns/event"
        )?;
        for step in steps {
            let each = step.nanos.checked_div(step.events).unwrap_or(0);
            let time = format!("{:.1?}", Duration::from_nanos(step.nanos));
            let (rule, kind, name) = (&step.rule, &step.kind, &step.name);
            let (events, changed) = (step.events, step.changed);
            let label = label(rule, kind, name);
            writeln!(out, "{time:>10}  {events:>9}  {changed:>9}  {each:>8}  {label}")?;
        }
        Ok(())
    }
}

fn label(rule: &str, kind: &str, name: &str) -> String {
    let mut label = rule.to_owned();
    if kind != rule {
        label.push_str(&format!(" {kind}"));
    }
    if !name.is_empty() {
        label.push_str(&format!(" \"{}\"", plain(name)));
    }
    label
}

/// Control characters would disturb the terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// As much of a message as fits a line.
const SHOWN: usize = 100;

fn tell(
    out: &mut dyn Write,
    number: u64,
    message: &str,
    effects: &[Effect],
    fate: &Fate<'_>,
) -> std::io::Result<()> {
    let shown: String = message.chars().take(SHOWN).collect();
    writeln!(out, "line {number}: {}", plain(&shown))?;
    for effect in effects {
        let label = label(&effect.rule, &effect.kind, &effect.name);
        match effect.entered {
            Some(true) => writeln!(out, "  {label}: entered")?,
            Some(false) => writeln!(out, "  {label}: passed by")?,
            None if effect.changes.is_empty() => continue,
            None => writeln!(out, "  {label}")?,
        }
        for Change { path, from, to } in &effect.changes {
            match (from, to) {
                (Some(from), Some(to)) => writeln!(out, "    ~ {path}: {from} -> {to}")?,
                (Some(from), None) => writeln!(out, "    - {path}: {from}")?,
                (None, Some(to)) => writeln!(out, "    + {path}: {to}")?,
                (None, None) => {}
            }
        }
    }
    match fate {
        Fate::Indexed { index } => writeln!(out, "  kept in index {index}"),
        Fate::Excluded { rule } => writeln!(out, "  excluded by {rule}"),
    }
}
