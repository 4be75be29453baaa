//! CSV (RFC 4180) with a header: each row becomes a JSON object of its columns' texts.
//!
//! All values stay text: a column of digits may be an id. Empty fields are left out; fields beyond
//! the header are `column_N`. The column that holds the log's text becomes `message`.

use std::sync::Arc;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use schemas::limits::{MAX_CSV_COLUMNS, MAX_LINE_BYTES};

use super::Piece;

/// Names of the column that is the log's text, the best first; case does not matter. What people name
/// it, and what exports of Splunk, CloudWatch and Google Cloud do.
const MESSAGE_COLUMNS: [&str; 10] =
    ["message", "msg", "log", "@message", "_raw", "textpayload", "body", "content", "text", "line"];

/// Bytes the output grows by.
const STEP: usize = 4 << 10;

/// How a CSV file is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvOptions {
    /// What separates fields.
    pub delimiter: u8,
    /// The column that is the log's text; by its name if `None`.
    pub message: Option<Arc<str>>,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self { delimiter: b',', message: None }
    }
}

impl CsvOptions {
    /// The options for a file that begins like this: of comma, semicolon, tab and bar, the one most
    /// frequent in the header separates.
    pub fn detect(head: &[u8]) -> Self {
        let end = memchr::memchr(b'\n', head).unwrap_or(head.len());
        let count = |byte: u8| head[..end].iter().filter(|at| **at == byte).count();
        // The first of equals: a header of one column has none of them.
        let best = [b',', b';', b'\t', b'|'].into_iter().rev().max_by_key(|byte| count(*byte));
        Self { delimiter: best.unwrap_or(b','), message: None }
    }
}

/// A splitter of CSV rows.
#[derive(Debug)]
pub(crate) struct Csv {
    reader: Reader,
    message: Option<Arc<str>>,
    /// Each column's name as a JSON string with its colon; `None` until the header has come.
    header: Option<Vec<Box<[u8]>>>,
    /// Where the row under way began, and where the input stands.
    start: u64,
    at: u64,
    /// The fields of the row under way, end to end, and where each ends.
    fields: Vec<u8>,
    used: usize,
    ends: Vec<usize>,
    columns: usize,
    cut: u64,
    /// Where fields and ends beyond the limits go.
    spare: Box<([u8; STEP], [usize; 32])>,
    /// The row as JSON.
    json: Vec<u8>,
}

impl Csv {
    pub(super) fn new(options: CsvOptions, start: u64) -> Self {
        Self {
            reader: ReaderBuilder::new().delimiter(options.delimiter).build(),
            message: options.message,
            header: None,
            start,
            at: start,
            fields: Vec::new(),
            used: 0,
            ends: vec![0; 32],
            columns: 0,
            cut: 0,
            spare: Box::new(([0; STEP], [0; 32])),
            json: Vec::new(),
        }
    }

    pub(super) fn is_inside(&self) -> bool {
        self.used > 0
    }

    pub(super) fn feed(&mut self, chunk: &[u8], out: &mut dyn FnMut(Piece<'_>)) {
        let mut rest = chunk;
        // Without input csv-core would take the file for ended.
        while !rest.is_empty() {
            let (taken, ended) = self.step(rest);
            rest = &rest[taken..];
            if ended {
                self.give(out);
            }
        }
    }

    pub(super) fn finish(&mut self, out: &mut dyn FnMut(Piece<'_>)) {
        // The end may need several calls, each with room for what is left.
        while self.step(&[]).1 {
            self.give(out);
        }
    }

    /// Reads on; how many bytes were taken, and whether a row is complete.
    fn step(&mut self, input: &[u8]) -> (usize, bool) {
        let mut taken = 0;
        loop {
            let is_full = self.used >= MAX_LINE_BYTES;
            if !is_full && self.used == self.fields.len() {
                self.fields.resize(self.used + STEP, 0);
            }
            let output =
                if is_full { &mut self.spare.0[..] } else { &mut self.fields[self.used..] };
            let too_wide = self.columns >= MAX_CSV_COLUMNS;
            if !too_wide && self.columns == self.ends.len() {
                self.ends.resize(self.columns * 2, 0);
            }
            let ends =
                if too_wide { &mut self.spare.1[..] } else { &mut self.ends[self.columns..] };
            let (result, read, wrote, ended) =
                self.reader.read_record(&input[taken..], output, ends);
            taken += read;
            self.at += read as u64;
            if is_full {
                self.cut += wrote as u64
            } else {
                self.used += wrote
            }
            if !too_wide {
                self.columns += ended;
            }
            match result {
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {}
                ReadRecordResult::Record => return (taken, true),
                ReadRecordResult::InputEmpty | ReadRecordResult::End => return (taken, false),
            }
        }
    }

    /// Gives out the row that is complete; the first one is the header.
    fn give(&mut self, out: &mut dyn FnMut(Piece<'_>)) {
        let (start, end, cut) = (self.start, self.at, self.cut);
        let ends = &self.ends[..self.columns.min(MAX_CSV_COLUMNS)];
        let fields = fields(&self.fields[..self.used], ends);
        match &self.header {
            None => self.header = Some(header(fields, self.message.as_deref())),
            Some(header) => {
                write_object(header, fields, &mut self.json);
                out(Piece { bytes: &self.json, start, end, cut });
            }
        }
        (self.start, self.used, self.columns, self.cut) = (end, 0, 0, 0);
        self.fields.truncate(64 << 10);
        self.fields.shrink_to(64 << 10);
    }
}

/// The fields that lie end to end in `bytes`; those cut off are short or empty.
fn fields<'a>(bytes: &'a [u8], ends: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(ends).map(|(start, end)| {
        let end = (*end).min(bytes.len());
        &bytes[start.min(end)..end]
    })
}

/// The names of the columns as JSON, each once.
fn header<'a>(fields: impl Iterator<Item = &'a [u8]>, message: Option<&str>) -> Vec<Box<[u8]>> {
    let mut names: Vec<String> = Vec::new();
    for (index, field) in fields.enumerate() {
        let text = String::from_utf8_lossy(field);
        let text = text.trim_start_matches('\u{feff}').trim();
        let known = |name: &str| names.iter().any(|other| other == name);
        names.push(if text.is_empty() {
            format!("column_{}", index + 1)
        } else if known(text) {
            format!("{text}_{}", index + 1)
        } else {
            text.to_owned()
        });
    }
    let named = |wanted: &str| names.iter().position(|name| name.eq_ignore_ascii_case(wanted));
    let text = match message {
        Some(column) => named(column),
        None => MESSAGE_COLUMNS.iter().find_map(|column| named(column)),
    };
    if let Some(column) = text {
        names[column] = "message".to_owned();
    }
    names.iter().map(|name| key(name)).collect()
}

/// `"name":`
fn key(name: &str) -> Box<[u8]> {
    let mut out = Vec::new();
    write_text(name.as_bytes(), &mut out);
    out.push(b':');
    out.into_boxed_slice()
}

/// The row as a JSON object of text.
fn write_object<'a>(
    header: &[Box<[u8]>],
    fields: impl Iterator<Item = &'a [u8]>,
    out: &mut Vec<u8>,
) {
    out.clear();
    out.push(b'{');
    for (index, field) in fields.enumerate().filter(|(_, field)| !field.is_empty()) {
        if out.len() > 1 {
            out.push(b',');
        }
        match header.get(index) {
            Some(key) => out.extend_from_slice(key),
            None => out.extend_from_slice(&key(&format!("column_{}", index + 1))),
        }
        write_text(field, out);
    }
    out.push(b'}');
}

/// A JSON string; bytes that are no UTF-8 become U+FFFD.
fn write_text(bytes: &[u8], out: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(bytes);
    serde_json::to_writer(out, &text).expect("text is written to memory without error");
}
