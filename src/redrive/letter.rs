//! A dead letter: which rows are chosen, and which of them can be sent again. Pure but for the questions.

use bytes::Bytes;
use ingest::sink::Message;
use query::engine::Engine;
use schemas::topic::{
    CONTENT_TYPE, DD_CONTAINER, DD_HOSTNAME, DD_LANG, DD_SERVICE, DD_SOURCE, DD_TAGS, FRAME,
    Format, OBSERVED, Signal,
};
use stages::record::{Record, TopicPartition};

use crate::audit::AuditError;
use crate::audit::ask::{self, quoted};

/// Headers that the decoders read; the format has a header of its own.
const HEADERS: [&str; 8] =
    [DD_SOURCE, DD_TAGS, DD_HOSTNAME, DD_SERVICE, DD_LANG, DD_CONTAINER, FRAME, OBSERVED];

/// What names a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Key {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Number within the message; -1 for the whole.
    pub index: i32,
    /// What the topic carries.
    pub signal: Signal,
    /// Why it was refused.
    pub reason: String,
    /// Bytes of the whole payload.
    pub bytes: i64,
}

impl Key {
    /// Its partition.
    pub fn partition(&self) -> TopicPartition {
        TopicPartition { topic: self.topic.as_str().into(), partition: self.partition }
    }

    /// `rule` of its ledger row.
    pub fn rule(&self) -> String {
        format!("{}#{}", self.reason, self.index)
    }

    /// Names it in a header, within its run.
    pub fn mark(&self, run: &str) -> String {
        format!("{run}/{}/{}/{}/{}", self.topic, self.partition, self.offset, self.index)
    }
}

/// A dead letter with its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// What names it.
    key: Key,
    /// The format it was read as.
    format: String,
    /// The payload, as far as it was kept.
    payload: Vec<u8>,
}

/// Why a letter can not be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// There is nothing to send.
    #[error("the message has no bytes")]
    Empty,
    /// Nobody knows how to read it.
    #[error("its format is unknown; correct the producer's content-type header")]
    UnknownFormat,
    /// It was longer than what is kept, and Kafka does not have it any more.
    #[error("its payload was cut, and Kafka does not have the message any more")]
    Cut,
    /// It is one record of a payload whose other records were accepted.
    #[error("it is one record of a larger payload, and can not be read alone")]
    Part,
}

impl Letter {
    /// A letter.
    pub fn new(key: Key, format: &str, payload: Vec<u8>) -> Self {
        Self { key, format: format.to_owned(), payload }
    }

    /// What names it.
    pub fn key(&self) -> Key {
        self.key.clone()
    }

    /// Partition and offset of its message.
    pub fn place(&self) -> (TopicPartition, i64) {
        (self.key.partition(), self.key.offset)
    }

    /// The message to send: the original as Kafka still has it, else what was kept. A record of a larger
    /// payload is sent alone, and only if it can stand alone: the others were accepted.
    pub fn message(&self, original: Option<&Record>) -> Result<Message, Unfit> {
        let format: Format = self.format.parse().map_err(|_| Unfit::UnknownFormat)?;
        let is_whole = self.key.index < 0 || format == Format::Raw;
        let is_cut = usize::try_from(self.key.bytes).ok() != Some(self.payload.len());
        // A topic made anew has other messages at the same offsets.
        let same = |record: &&Record| {
            record.payload.starts_with(&self.payload)
                && i64::try_from(record.payload.len()).ok() == Some(self.key.bytes)
        };
        let whole = original.filter(same).filter(|_| is_whole);
        let payload = match whole {
            Some(record) => record.payload.clone(),
            None if is_cut => return Err(Unfit::Cut),
            None if !is_whole && !stands_alone(format, &self.payload) => return Err(Unfit::Part),
            None => self.payload.clone(),
        };
        if payload.is_empty() {
            return Err(Unfit::Empty);
        }
        // The headers are the message's, whichever of its records is sent.
        let header = |name: &'static str| {
            let value = original.and_then(|record| record.header(name))?;
            Some((name, value.to_owned()))
        };
        let headers = HEADERS.into_iter().filter_map(header).collect();
        // One that did not say what it is was read as the topic was configured then: it may be corrected now.
        let said = original.is_none_or(|record| record.header(CONTENT_TYPE).is_some());
        Ok(Message {
            topic: self.key.signal,
            format: said.then_some(format),
            key: None,
            headers,
            payload: Bytes::from(payload),
        })
    }
}

/// Whether one record of a payload is a payload: a line and a JSON object are, a piece of protobuf is not.
fn stands_alone(format: Format, payload: &[u8]) -> bool {
    let is_line = || !payload.trim_ascii().contains(&b'\n');
    let is_object =
        || serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(payload).is_ok();
    match format {
        Format::Json => is_line() || is_object(),
        Format::DatadogLogs => is_object(),
        _ => false,
    }
}

const COLUMNS: &str = "d._topic, d._partition, d._offset, d._index, d.signal, d.reason, d.format, d.payload_bytes, d.payload";

/// Letters that match and were not sent again yet, the oldest offsets first.
pub(super) async fn choose(
    engine: &Engine,
    filter: &str,
    most: usize,
) -> Result<Vec<Letter>, AuditError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM (SELECT * FROM dead_letters WHERE {filter}) d WHERE NOT EXISTS (SELECT 1 FROM ledger r \
         WHERE r.action = 'redriven' AND r._topic = d._topic AND r._partition = d._partition \
         AND r.from_offset = d._offset AND r.rule = concat(d.reason, '#', CAST(d._index AS VARCHAR))) \
         ORDER BY d._topic, d._partition, d._offset, d._index LIMIT {most}"
    );
    letters(engine, &sql).await
}

/// These letters again.
pub(super) async fn read(engine: &Engine, keys: &[Key]) -> Result<Vec<Letter>, AuditError> {
    let mut found = Vec::with_capacity(keys.len());
    for part in keys.chunks(50) {
        let one = |key: &Key| {
            format!(
                "(d._topic = {} AND d._partition = {} AND d._offset = {} AND d._index = {})",
                quoted(&key.topic),
                key.partition,
                key.offset,
                key.index
            )
        };
        let any: Vec<String> = part.iter().map(one).collect();
        let sql = format!("SELECT {COLUMNS} FROM dead_letters d WHERE {}", any.join(" OR "));
        found.extend(letters(engine, &sql).await?);
    }
    Ok(found)
}

/// How many of these the ledger calls redriven.
pub(super) async fn count_redriven(engine: &Engine, keys: &[Key]) -> Result<usize, AuditError> {
    let mut count = 0;
    for part in keys.chunks(50) {
        let one = |key: &Key| {
            format!(
                "(_topic = {} AND _partition = {} AND from_offset = {} AND rule = {})",
                quoted(&key.topic),
                key.partition,
                key.offset,
                quoted(&key.rule())
            )
        };
        let any: Vec<String> = part.iter().map(one).collect();
        let sql = format!(
            "SELECT count(*) AS n FROM ledger WHERE action = 'redriven' AND ({})",
            any.join(" OR ")
        );
        count += usize::try_from(super::number(engine, &sql).await?).unwrap_or(0);
    }
    Ok(count)
}

async fn letters(engine: &Engine, sql: &str) -> Result<Vec<Letter>, AuditError> {
    let mut answer = ask::ask(engine, sql).await?;
    let mut letters = Vec::new();
    while let Some(batch) = answer.next().await? {
        let (topics, signals) = (ask::texts(&batch, "_topic")?, ask::texts(&batch, "signal")?);
        let (reasons, formats) = (ask::texts(&batch, "reason")?, ask::texts(&batch, "format")?);
        let (partitions, offsets) =
            (ask::numbers(&batch, "_partition")?, ask::numbers(&batch, "_offset")?);
        let (indexes, bytes) =
            (ask::numbers(&batch, "_index")?, ask::numbers(&batch, "payload_bytes")?);
        let payloads = ask::binaries(&batch, "payload")?;
        for row in 0..batch.num_rows() {
            let signal = Signal::ALL.into_iter().find(|s| s.as_str() == signals.value(row));
            let Some(signal) = signal else { continue };
            let key = Key {
                topic: topics.value(row).to_owned(),
                partition: i32::try_from(partitions.value(row)).unwrap_or(i32::MAX),
                offset: offsets.value(row),
                index: i32::try_from(indexes.value(row)).unwrap_or(i32::MAX),
                signal,
                reason: reasons.value(row).to_owned(),
                bytes: bytes.value(row),
            };
            letters.push(Letter::new(key, formats.value(row), payloads.value(row).to_vec()));
        }
    }
    Ok(letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(index: i32, format: &str, payload: &str) -> Letter {
        let key = Key {
            topic: "t".to_owned(),
            partition: 0,
            offset: 7,
            index,
            signal: Signal::Logs,
            reason: "malformed_json".to_owned(),
            bytes: payload.len() as i64,
        };
        Letter::new(key, format, payload.into())
    }

    fn original(payload: &str) -> Record {
        let header = |key: &str, value: &str| (key.into(), value.into());
        let headers = vec![header("ddtags", "env:x"), header("traceparent", "00-1")];
        Record { offset: 7, payload: payload.into(), headers, ..Record::default() }
    }

    #[test]
    fn a_whole_message_goes_as_it_came_with_the_headers_decoders_read() {
        let letter = letter(-1, "json", "{bad");
        let mut whole = original("{bad");
        let message = letter.message(Some(&whole)).expect("fit");
        assert_eq!(&message.payload[..], b"{bad");
        assert_eq!(message.format, None, "what the topic is configured as by now");
        assert_eq!(message.headers, [(DD_TAGS, "env:x".to_owned())]);
        whole.headers.push((CONTENT_TYPE.into(), "json".into()));
        let message = letter.message(Some(&whole)).expect("fit");
        assert_eq!((message.format, message.headers.len()), (Some(Format::Json), 1), "as it said");
        let message = letter.message(None).expect("fit without Kafka");
        assert_eq!((&message.payload[..], message.headers.len()), (&b"{bad"[..], 0));
    }

    #[test]
    fn a_cut_payload_needs_the_original() {
        let mut letter = letter(-1, "raw", "abc");
        letter.key.bytes = 6;
        assert_eq!(letter.message(None).err(), Some(Unfit::Cut));
        assert_eq!(letter.message(Some(&original("abX"))).err(), Some(Unfit::Cut), "another one");
        let message = letter.message(Some(&original("abcdef"))).expect("fit");
        assert_eq!(&message.payload[..], b"abcdef");
    }

    #[test]
    fn one_record_of_a_payload_is_sent_alone_or_not_at_all() {
        let line = letter(1, "json", r#"{"a":1}"#);
        let whole = original("{\"ok\":1}\n{\"a\":1}");
        let message = line.message(Some(&whole)).expect("fit");
        assert_eq!(&message.payload[..], br#"{"a":1}"#, "the accepted line is not sent again");
        assert_eq!(message.headers.len(), 1, "the headers are the message's");
        for (index, format, payload, unfit) in [
            (0, "otlp_proto", "xy", Unfit::Part),
            (0, "datadog_logs", "[{}, {}]", Unfit::Part),
            (2, "json", "{\"ok\":1}\n{\"a\":1}", Unfit::Part),
            (-1, "json", "", Unfit::Empty),
            (-1, "avro", "x", Unfit::UnknownFormat),
        ] {
            assert_eq!(letter(index, format, payload).message(None).err(), Some(unfit), "{format}");
        }
    }
}
