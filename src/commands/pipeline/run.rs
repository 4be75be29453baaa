//! `tidemill pipeline run`: logs from standard input through a pipeline, one line in, one line of JSON out. One
//! line is in memory at a time.

mod explain;
mod framed;
mod lines;

use std::io::{BufRead, BufWriter, Write};

use anyhow::Context;
use bumpalo::Bump;
use schemas::time::EventTime;
use schemas::topic::{Format, Signal};
use serde::Serialize;
use serde_json::{Map, Value, json};
use stages::decode::{Decoded, Items, decode};
use stages::event::LogEvent;
use stages::pipeline::{Fate, MetricWindows, Pipeline, render};
use stages::record::Record;
use stream::clock::{Clock, System};

use self::explain::Explain;
use self::lines::{Line, Lines};
use crate::cli::PipelineRunArgs;
use crate::{exit, pipeline};

/// Arena bytes kept between logs.
const MAX_IDLE_ARENA_BYTES: usize = 8 << 20;

/// One line of the answer.
#[derive(Serialize)]
struct Answer<'a> {
    event: Map<String, Value>,
    index: Option<&'a str>,
    excluded_by: Option<&'a str>,
    metrics: Vec<Value>,
    errors: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<Value>,
}

/// Runs until standard input ends.
pub(super) fn run(args: &PipelineRunArgs) -> u8 {
    let loaded = match pipeline::load_following(&args.config) {
        Ok(loaded) => loaded,
        Err(problems) => {
            super::refuse(&problems);
            return exit::USAGE;
        }
    };
    let explain = match args.explain.map(|format| Explain::new(&loaded, format)).transpose() {
        Ok(explain) => explain,
        Err(reason) => {
            eprintln!("tidemill: {reason}");
            return exit::USAGE;
        }
    };
    let received = match args.received.as_deref().map(time).transpose() {
        Ok(received) => received,
        Err(error) => {
            eprintln!("tidemill: --received: {error:#}");
            return exit::USAGE;
        }
    };
    let input = match framed::input(args.envelope.as_deref(), args.multiline.as_deref()) {
        Ok(input) => input,
        Err(reason) => {
            eprintln!("tidemill: {reason}");
            return exit::USAGE;
        }
    };
    let clock = System::shared();
    let mut runner = Runner {
        windows: MetricWindows::new(&loaded.pipeline),
        pipeline: &loaded.pipeline,
        explain,
        received,
        clock: clock.as_ref(),
        arena: Bump::new(),
    };
    let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    let stdin = &mut std::io::stdin().lock();
    let done = match &input {
        None => runner.run(stdin, &mut out),
        Some(input) => runner.run_framed(input, stdin, &mut out),
    };
    match done {
        Ok(()) => exit::OK,
        // Whoever reads has seen enough: `| head`.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => exit::OK,
        Err(error) => {
            eprintln!("tidemill: {error}");
            exit::FAILED
        }
    }
}

/// A moment: RFC 3339 or Unix milliseconds.
pub(super) fn time(text: &str) -> anyhow::Result<EventTime> {
    let millis = match text.parse() {
        Ok(millis) => millis,
        Err(_) => chrono::DateTime::parse_from_rfc3339(text)
            .context("write 2026-03-02T12:00:00Z or Unix milliseconds")?
            .timestamp_millis(),
    };
    EventTime::from_millis(millis).context("out of range")
}

struct Runner<'p> {
    pipeline: &'p Pipeline,
    windows: MetricWindows,
    explain: Option<Explain>,
    /// When the logs count as received; absent: when they are read.
    received: Option<EventTime>,
    clock: &'p dyn Clock,
    arena: Bump,
}

impl Runner<'_> {
    fn run(&mut self, input: &mut dyn BufRead, out: &mut dyn Write) -> std::io::Result<()> {
        let mut lines = Lines::new(input);
        while let Some(line) = lines.next()? {
            self.line(&line, out)?;
            if lines.would_wait() {
                // A person types, or a pipe is slow: what is done is shown.
                out.flush()?;
            }
        }
        self.finish(out)
    }

    fn finish(&self, out: &mut dyn Write) -> std::io::Result<()> {
        out.flush()?;
        match &self.explain {
            Some(explain) => explain.finish(&mut std::io::stderr().lock()),
            None => Ok(()),
        }
    }

    /// When a log that comes now counts as received.
    fn now(&self) -> EventTime {
        let now = || EventTime::from_millis(self.clock.unix_millis()).unwrap_or_default();
        self.received.unwrap_or_else(now)
    }

    fn line(&mut self, line: &Line<'_>, out: &mut dyn Write) -> std::io::Result<()> {
        if line.bytes.trim_ascii().is_empty() {
            return Ok(());
        }
        let record =
            Record { timestamp: self.now(), payload: line.bytes.to_vec(), ..Record::default() };
        self.with_arena(|this, arena| this.record(arena, &record, line, out))
    }

    /// Lends the arena; a large one is not kept.
    fn with_arena<T>(&mut self, act: impl FnOnce(&mut Self, &Bump) -> T) -> T {
        let mut arena = std::mem::take(&mut self.arena);
        let done = act(self, &arena);
        if arena.allocated_bytes() > MAX_IDLE_ARENA_BYTES {
            arena = Bump::new();
        } else {
            arena.reset();
        }
        self.arena = arena;
        done
    }

    fn record(
        &mut self,
        arena: &Bump,
        record: &Record,
        line: &Line<'_>,
        out: &mut dyn Write,
    ) -> std::io::Result<()> {
        let mut errors = Vec::new();
        if let Some(bytes) = line.cut {
            let detail = format!("the line has {bytes} bytes; what is over the limit was cut off");
            errors.push(error("input", "line_too_long", &detail));
        }
        let logs = logs(arena, record, &mut errors);
        for mut event in logs {
            self.event(arena, &mut event, std::mem::take(&mut errors), line.number, out)?;
        }
        Ok(())
    }

    fn event<'b>(
        &mut self,
        arena: &'b Bump,
        event: &mut LogEvent<'b>,
        mut errors: Vec<Value>,
        number: u64,
        out: &mut dyn Write,
    ) -> std::io::Result<()> {
        let windows = &mut self.windows;
        let (fate, explained) = match &mut self.explain {
            None => (self.pipeline.process(arena, event, 0, windows), None),
            Some(explain) => {
                let clock = self.clock;
                explain.process(arena, event, windows, number, &|| clock.monotonic())?
            }
        };
        let mut metrics = Vec::new();
        self.windows.drain(&mut |point, _| metrics.push(render::metric(point)));
        let (index, excluded_by) = match fate {
            Fate::Indexed { index } => (Some(index), None),
            Fate::Excluded { rule } => (None, Some(rule)),
        };
        errors.extend(event.errors.iter().map(|failed| {
            json!({ "kind": "pipeline", "reason": failed.reason, "detail": failed.processor })
        }));
        errors.extend(event.error.map(|issue| {
            json!({
                "kind": "error", "issue_id": issue.issue_id.to_string(), "title": issue.title,
                "type": issue.kind, "message": issue.error_message, "culprit": issue.culprit,
            })
        }));
        let event = render::event(event);
        let answer = Answer { event, index, excluded_by, metrics, errors, explain: explained };
        serde_json::to_writer(&mut *out, &answer)?;
        out.write_all(b"\n")
    }
}

/// What went wrong, as an element of `errors`.
fn error(kind: &str, reason: &str, detail: &str) -> Value {
    json!({ "kind": kind, "reason": reason, "detail": detail })
}

/// A line that begins like JSON is what Datadog's intake takes: an object, or an array of objects. Any other
/// line, and one that only looked like it, is the text of one log.
fn logs<'b>(arena: &'b Bump, record: &'b Record, errors: &mut Vec<Value>) -> Vec<LogEvent<'b>> {
    let first = record.payload.trim_ascii_start().first();
    if matches!(first, Some(b'{' | b'[')) {
        match decode(arena, record, Signal::Logs, Format::DatadogLogs) {
            Ok(Decoded { items: Items::Logs(logs), refused }) if refused.is_empty() => {
                return logs.into_iter().collect();
            }
            Err(refusal) if first == Some(&b'{') => {
                errors.push(error("input", refusal.reason, refusal.detail));
            }
            // `[2026-03-02] a line` is text as good as any.
            _ => {}
        }
    }
    raw(arena, record, errors)
}

/// The text of one log.
fn raw<'b>(arena: &'b Bump, record: &'b Record, errors: &mut Vec<Value>) -> Vec<LogEvent<'b>> {
    match decode(arena, record, Signal::Logs, Format::Raw) {
        Ok(Decoded { items: Items::Logs(logs), .. }) => {
            let logs: Vec<_> = logs.into_iter().collect();
            if std::str::from_utf8(&record.payload).is_err() {
                let detail = "bytes that are no UTF-8 became U+FFFD";
                errors.push(error("input", "invalid_utf8", detail));
            }
            logs
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
