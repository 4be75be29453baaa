//! Inputs that are bytes rather than records: files, messages of many lines, standard input.
//!
//! 1. [`split`]: bytes in chunks -> lines, syslog frames, JSON values, CSV rows.
//! 2. [`envelope`]: what Docker, Kubernetes and syslog wrap around the text.
//! 3. [`multiline`]: which lines are one log.
//! 4. [`frame`]: all of it together; a frame is the payload of one record.
//! 5. `decode` with an [`Input`]: the record becomes logs.
//!
//! A reader of bytes feeds a [`Framer`] and gives each frame to
//! [`decode::decode_input`](crate::decode::decode_input); a Kafka message goes there as it is.
//! [`config`] is how a user writes an [`Input`].

pub mod config;
pub mod envelope;
pub mod frame;
pub mod multiline;
pub mod split;

pub use envelope::Envelope;
pub use frame::{Frame, Framer, Resume};
pub use multiline::Multiline;
pub use split::{CsvOptions, Split};

use schemas::topic::Format;

/// How payloads of an input are read.
#[derive(Debug, Clone)]
pub struct Input {
    /// Format of payloads that do not say theirs.
    pub format: Format,
    /// What is wrapped around logs of the formats `raw` and `json`.
    pub envelope: Envelope,
    /// Which lines of these formats are one log.
    pub multiline: Multiline,
}

impl From<Format> for Input {
    /// Payloads of this format, without envelope: a raw one is one log.
    fn from(format: Format) -> Self {
        Self { format, envelope: Envelope::None, multiline: Multiline::Whole }
    }
}

impl Input {
    /// Whether payloads go to their format's decoder as they are.
    pub fn is_plain(&self) -> bool {
        self.envelope == Envelope::None && matches!(self.multiline, Multiline::Whole)
    }

    /// Whether several lines may be one log.
    fn joins(&self) -> bool {
        let has_parts = matches!(
            self.envelope,
            Envelope::Auto | Envelope::Docker | Envelope::Cri | Envelope::Kubernetes
        );
        has_parts || self.multiline.joins_lines()
    }
}

#[cfg(test)]
mod tests;
