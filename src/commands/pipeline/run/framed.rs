//! `--envelope` and `--multiline`: logs of several lines and logs wrapped in others, put together by the same code
//! that reads them from Kafka and from files.

use std::collections::VecDeque;
use std::io::{BufRead, Write};

use schemas::topic::{Format, Signal};
use stages::decode::{Items, decode_input};
use stages::input::config::{self, InputConfig, MultilineConfig, RuleConfig};
use stages::input::{Frame, Framer, Input, Split};
use stages::record::Record;

use super::{Runner, error};

/// What the options ask for; none without them.
pub(super) fn input(
    envelope: Option<&str>,
    multiline: Option<&str>,
) -> Result<Option<Input>, String> {
    if envelope.is_none() && multiline.is_none() {
        return Ok(None);
    }
    let multiline = multiline.map(|text| match text {
        "auto" => MultilineConfig::Name(text.to_owned()),
        start => MultilineConfig::Rule(RuleConfig {
            start: Some(start.to_owned()),
            ..RuleConfig::default()
        }),
    });
    let written =
        InputConfig { envelope: envelope.map(str::to_owned), multiline, ..InputConfig::default() };
    let mut wrong = Vec::new();
    let input = config::compile(Format::Raw, &written, &mut wrong);
    match wrong.as_slice() {
        [] => Ok(Some(input)),
        errors => Err(errors
            .iter()
            .map(|error| {
                format!(
                    "--{}: {}",
                    error.path.replace("multiline.start", "multiline"),
                    error.reason
                )
            })
            .collect::<Vec<_>>()
            .join("\n")),
    }
}

impl Runner<'_> {
    /// Like `run`, frame by frame. A frame ends when the next one begins, so the last log waits for more input.
    pub(super) fn run_framed(
        &mut self,
        input: &Input,
        stdin: &mut dyn BufRead,
        out: &mut dyn Write,
    ) -> std::io::Result<()> {
        let mut framer = Framer::new(input, &Split::Lines);
        let mut frames = VecDeque::new();
        let mut number = 0;
        loop {
            let chunk = match stdin.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let length = chunk.len();
            if length == 0 {
                framer.finish(&mut frames);
            } else {
                framer.feed(chunk, &mut frames);
                stdin.consume(length);
            }
            for frame in frames.drain(..) {
                number += 1;
                self.frame(input, frame, number, out)?;
            }
            if length == 0 {
                return self.finish(out);
            }
            out.flush()?;
        }
    }

    fn frame(
        &mut self,
        input: &Input,
        frame: Frame,
        number: u64,
        out: &mut dyn Write,
    ) -> std::io::Result<()> {
        if frame.payload.trim_ascii().is_empty() {
            return Ok(());
        }
        let mut errors = Vec::new();
        if frame.cut > 0 {
            let detail = format!("{} bytes over the limit were cut off", frame.cut);
            errors.push(error("input", "line_too_long", &detail));
        }
        let record = Record { timestamp: self.now(), payload: frame.payload, ..Record::default() };
        self.with_arena(|this, arena| {
            let mut logs = Vec::new();
            match decode_input(arena, &record, Signal::Logs, input) {
                Ok(decoded) => {
                    let refused = decoded.refused.iter();
                    errors.extend(refused.map(|no| error("input", no.reason, no.detail)));
                    if let Items::Logs(found) = decoded.items {
                        logs.extend(found);
                    }
                }
                Err(refusal) => errors.push(error("input", refusal.reason, refusal.detail)),
            }
            if logs.is_empty() {
                // Kept as it came.
                logs = super::raw(arena, &record, &mut errors);
            }
            for mut event in logs {
                this.event(arena, &mut event, std::mem::take(&mut errors), number, out)?;
            }
            Ok(())
        })
    }
}
