//! A file of text -> records, through the frames of [`stages::input`].

use std::collections::VecDeque;
use std::sync::Arc;

use object_store::ObjectStore;
use schemas::limits::{ARCHIVE_CHUNK_BYTES, MAX_ARCHIVE_FINDINGS, MAX_LINE_BYTES};
use schemas::topic::Signal;
use stages::input::{Frame, Framer, Input};
use stages::record::Record;

use super::bytes::{Chunk, Text};
use super::detect::Kind;
use super::finding::{Finding, Trouble};
use super::{ArchiveError, File, Next, Options, Position};

/// A file of text under way.
pub(super) struct TextFile {
    path: String,
    text: Text,
    framer: Framer,
    buffer: Vec<u8>,
    /// Frames of the last chunk.
    ready: VecDeque<Frame>,
    is_over: bool,
    /// Records given out, those before the position included.
    records: u64,
    signal: Signal,
    input: Arc<Input>,
    findings: Vec<Finding>,
    /// Records that were too long since the last findings, and the bytes they lost.
    too_long: (u64, u64),
}

impl TextFile {
    pub(super) async fn open(
        store: &Arc<dyn ObjectStore>,
        _: &Options,
        file: &File,
        kind: &Kind,
        position: &Position,
    ) -> Result<Self, ArchiveError> {
        let start = Framer::reads_from(&kind.split, &position.resume);
        let text = Text::open(store, file, kind.compression, start).await?;
        Ok(Self {
            path: file.path.to_string(),
            text,
            framer: Framer::resume(&kind.input, &kind.split, &position.resume),
            buffer: vec![0; ARCHIVE_CHUNK_BYTES],
            ready: VecDeque::new(),
            is_over: false,
            records: position.record,
            signal: kind.signal,
            input: Arc::new(kind.input.clone()),
            findings: Vec::new(),
            too_long: (0, 0),
        })
    }

    pub(super) async fn next(&mut self) -> Result<Option<Next>, ArchiveError> {
        while self.ready.is_empty() && !self.is_over {
            match self.text.read(&mut self.buffer).await? {
                Chunk::Bytes(0) => self.finish(None),
                Chunk::Bytes(read) => self.framer.feed(&self.buffer[..read], &mut self.ready),
                Chunk::Broken(trouble) => self.finish(Some(trouble)),
            }
        }
        let Some(Frame { payload, cut, next, .. }) = self.ready.pop_front() else {
            return Ok(None);
        };
        self.records += 1;
        if cut > 0 {
            self.too_long = (self.too_long.0 + 1, self.too_long.1 + cut);
        }
        let record = Record { payload, ..Record::default() };
        Ok(Some(Next { record, resume: next }))
    }

    /// The file is over, at its end or before; what came of it is given out.
    fn finish(&mut self, trouble: Option<Trouble>) {
        self.is_over = true;
        let broke_off = self.framer.finish(&mut self.ready);
        let trouble = trouble.or(broke_off.then_some(Trouble::BrokeOff));
        if let Some(trouble) = trouble {
            let records = self.records + self.ready.len() as u64;
            self.findings.push(Finding::after(&self.path, records, trouble));
        }
    }

    pub(super) fn findings(&mut self) -> Vec<Finding> {
        let (records, bytes) = std::mem::take(&mut self.too_long);
        if records > 0 {
            let trouble = Trouble::TooLong { records, bytes, most: MAX_LINE_BYTES };
            self.findings.push(Finding::after(&self.path, self.records, trouble));
        }
        self.findings.truncate(MAX_ARCHIVE_FINDINGS);
        std::mem::take(&mut self.findings)
    }

    pub(super) fn signal(&self) -> Signal {
        self.signal
    }

    pub(super) fn input(&self) -> Arc<Input> {
        Arc::clone(&self.input)
    }

    pub(super) fn consumed(&self) -> u64 {
        self.text.consumed()
    }
}
