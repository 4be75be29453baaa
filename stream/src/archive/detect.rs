//! What a file holds, by its first bytes and its name. Pure.

use std::str::FromStr;

use schemas::topic::{Format, Signal};
use stages::input::{CsvOptions, Envelope, Input, Multiline, Split};

use super::finding::Trouble;
use super::{Options, bytes};

/// What a file holds, once decompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Lines of text.
    Text,
    /// One JSON object a line.
    JsonLines,
    /// JSON values over as many lines as they like, or one array of them.
    Json,
    /// CSV with a header.
    Csv,
    /// Parquet.
    Parquet,
    /// OTLP's JSON, one request a line, as the Collector's file exporter writes it.
    OtlpJson,
}

/// A content name nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown content {0:?}; known: text, jsonl, json, csv, parquet, otlp_json")]
pub struct UnknownContent(pub String);

impl FromStr for Content {
    type Err = UnknownContent;

    fn from_str(text: &str) -> Result<Self, UnknownContent> {
        Ok(match text {
            "text" | "raw" | "log" => Content::Text,
            "jsonl" | "ndjson" => Content::JsonLines,
            "json" => Content::Json,
            "csv" => Content::Csv,
            "parquet" => Content::Parquet,
            "otlp_json" => Content::OtlpJson,
            _ => return Err(UnknownContent(text.to_owned())),
        })
    }
}

/// How a file's bytes are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Plain,
    Gzip,
    Zstd,
}

/// How a file is read.
#[derive(Debug, Clone)]
pub(super) struct Kind {
    pub(super) compression: Compression,
    pub(super) content: Content,
    pub(super) split: Split,
    pub(super) signal: Signal,
    pub(super) input: Input,
}

/// Decides by the first bytes of the file, as stored.
pub(super) async fn detect(path: &str, head: &[u8], options: &Options) -> Result<Kind, Trouble> {
    let compression = compression(head);
    if compression == Compression::Plain
        && let Some(what) = foreign(head)
    {
        return Err(Trouble::NoLogs(format!(
            "begins like {what}, which is not read; unpack or convert it"
        )));
    }
    let text = bytes::decompressed_head(compression, head).await;
    let content = match options.content {
        Some(content) => content,
        None => content(path, &text)?,
    };
    let (split, signal, format) = match content {
        Content::Text if options.envelope == Envelope::Syslog => {
            (Split::Syslog, Signal::Logs, Format::Raw)
        }
        Content::Text => (Split::Lines, Signal::Logs, Format::Raw),
        Content::JsonLines => (Split::Lines, Signal::Logs, Format::Json),
        Content::Json => (Split::Values, Signal::Logs, Format::Json),
        Content::Csv => {
            let csv =
                CsvOptions { message: options.csv_message.clone(), ..CsvOptions::detect(&text) };
            (Split::Csv(csv), Signal::Logs, Format::Json)
        }
        Content::Parquet => (Split::Lines, Signal::Logs, Format::Json),
        Content::OtlpJson => (Split::Lines, otlp_signal(&text), Format::OtlpJson),
    };
    let multiline = match options.multiline.clone() {
        // A file is no message.
        Multiline::Whole => Multiline::Lines,
        multiline => multiline,
    };
    let mut input = Input { multiline, envelope: options.envelope, ..Input::from(format) };
    if content == Content::OtlpJson {
        (input.envelope, input.multiline) = (Envelope::None, Multiline::Lines);
    }
    input.labels = std::sync::Arc::clone(&options.labels);
    Ok(Kind { compression, content, split, signal, input })
}

fn compression(head: &[u8]) -> Compression {
    match head {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
        // A skippable frame, as pzstd writes one in front.
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        _ => Compression::Plain,
    }
}

/// Known formats that are not read.
fn foreign(head: &[u8]) -> Option<&'static str> {
    const MAGIC: [(&[u8], &str); 8] = [
        (b"BZh", "bzip2"),
        (b"\xfd7zXZ", "xz"),
        (b"\x04\x22\x4d\x18", "lz4"),
        (b"PK\x03\x04", "a zip file"),
        (b"Obj\x01", "Avro"),
        (b"ORC", "ORC"),
        (b"\xff\xfe", "UTF-16 text"),
        (b"\xfe\xff", "UTF-16 text"),
    ];
    let is_tar = head.get(257..262) == Some(b"ustar");
    let found = MAGIC.iter().find(|(magic, _)| head.starts_with(magic));
    // Three capital letters may begin a log as well.
    let found = found.filter(|(magic, _)| *magic != b"ORC" || head.contains(&0));
    found.map(|(_, what)| *what).or(is_tar.then_some("a tar file"))
}

fn content(path: &str, text: &[u8]) -> Result<Content, Trouble> {
    if text.starts_with(b"PAR1") {
        return Ok(Content::Parquet);
    }
    if text.contains(&0) {
        let reason = "holds zero bytes, so it is no text; name what it holds, or leave it out";
        return Err(Trouble::NoLogs(reason.to_owned()));
    }
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let name = [".gz", ".zst", ".gzip", ".zstd"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(&name);
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii_start();
    if is_otlp(text) {
        return Ok(Content::OtlpJson);
    }
    let end = name.rsplit_once('.').map_or("", |(_, end)| end);
    Ok(match end {
        "csv" | "tsv" => Content::Csv,
        "jsonl" | "ndjson" => Content::JsonLines,
        "json" => json(text),
        // Logs in which JSON and text take turns are common; the pipeline reads the JSON of raw lines.
        _ => Content::Text,
    })
}

/// Of a `.json` file: an object a line, unless the first line is no whole object.
fn json(text: &[u8]) -> Content {
    let (line, is_whole) = match memchr::memchr(b'\n', text) {
        Some(end) => (&text[..end], true),
        None => (text, text.len() < schemas::limits::ARCHIVE_HEAD_BYTES as usize),
    };
    let line = line.trim_ascii();
    let is_object = line.starts_with(b"{")
        && (!is_whole || serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok());
    if is_object { Content::JsonLines } else { Content::Json }
}

const OTLP: [(&[u8], Signal); 3] = [
    (b"{\"resourceLogs\":", Signal::Logs),
    (b"{\"resourceSpans\":", Signal::Spans),
    (b"{\"resourceMetrics\":", Signal::Metrics),
];

fn is_otlp(text: &[u8]) -> bool {
    OTLP.iter().any(|(start, _)| text.starts_with(start))
}

fn otlp_signal(text: &[u8]) -> Signal {
    let found = OTLP.iter().find(|(start, _)| text.starts_with(start));
    found.map_or(Signal::Logs, |(_, signal)| *signal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_its_bytes_and_its_name_say() {
        for (path, text, wanted) in [
            ("a.log", &b"x"[..], Content::Text),
            ("a", b"{\"a\":1}\n", Content::Text),
            ("a.log.gz", b"x", Content::Text),
            ("a.csv", b"a,b\n", Content::Csv),
            ("a.CSV.zst", b"a,b\n", Content::Csv),
            ("a.jsonl", b"{\"a\":1}\n", Content::JsonLines),
            ("a.json", b"{\"a\":1}\n{\"a\":2}\n", Content::JsonLines),
            ("a.json", b"\xef\xbb\xbf[\n{\"a\":1}]", Content::Json),
            ("a.json", b"{\n  \"a\": 1\n}\n", Content::Json),
            ("a.json", b"[{\"a\":1}]", Content::Json),
            ("a.bin", b"PAR1....", Content::Parquet),
            ("traces.json", b"{\"resourceSpans\":[]}\n", Content::OtlpJson),
        ] {
            assert_eq!(content(path, text).expect("known"), wanted, "{path}");
        }
        assert!(matches!(content("a.log", b"a\0b"), Err(Trouble::NoLogs(_))));
        assert_eq!(foreign(b"ORCHESTRATOR started"), None);
        assert_eq!(foreign(b"PK\x03\x04"), Some("a zip file"));
    }
}
