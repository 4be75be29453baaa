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
mod labels;
pub mod multiline;
pub mod split;

pub use envelope::Envelope;
pub use frame::{Frame, Framer, Resume};
pub use labels::Labels;
pub use multiline::Multiline;
pub use split::{CsvOptions, Split};

use std::sync::Arc;

use schemas::topic::{DD_SERVICE, DD_SOURCE, DD_TAGS, FRAME, Format};

use crate::record::Record;

/// How payloads of an input are read.
#[derive(Debug, Clone)]
pub struct Input {
    /// Format of payloads that do not say theirs.
    pub format: Format,
    /// What is wrapped around logs of the formats `raw` and `json`.
    pub envelope: Envelope,
    /// Which lines of these formats are one log.
    pub multiline: Multiline,
    /// What is said of all logs.
    pub labels: Arc<Labels>,
}

impl From<Format> for Input {
    /// Payloads of this format, without envelope: a raw one is one log.
    fn from(format: Format) -> Self {
        let (envelope, multiline) = (Envelope::None, Multiline::Whole);
        Self { format, envelope, multiline, labels: Arc::default() }
    }
}

impl Input {
    /// How a record that is a frame ([`FRAME`]) is read: whatever lines it has are one log.
    pub(crate) fn of_frame(record: &Record, of_topic: &Input) -> Option<Self> {
        let envelope = record.header(FRAME)?.parse().unwrap_or(Envelope::Auto);
        let text = |name| record.header(name).unwrap_or_default().to_owned();
        let tags = record.header(DD_TAGS).into_iter().flat_map(|list| list.split(','));
        let labels = Labels {
            source: text(DD_SOURCE),
            service: text(DD_SERVICE),
            tags: tags.map(str::to_owned).collect(),
        };
        let multiline = Multiline::frame();
        Some(Self { format: of_topic.format, envelope, multiline, labels: Arc::new(labels) })
    }

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
