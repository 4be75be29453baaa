//! A Parquet file -> records: each row a JSON object. Rows of Tidemill's own table `logs` take the form
//! of stored logs ([`super::rows`]); of any other file, the columns become members by their names, and
//! the one that holds the log's text becomes `message`.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::json::LineDelimitedWriter;
use futures::StreamExt as _;
use object_store::ObjectStore;
use parquet::arrow::ParquetRecordBatchStreamBuilder;
use parquet::arrow::async_reader::ParquetRecordBatchStream;
use parquet::errors::ParquetError;
use schemas::limits::{ARCHIVE_PARQUET_ROWS, MAX_ARCHIVE_ROW_GROUP_BYTES, MAX_LINE_BYTES};
use schemas::topic::Format;
use stages::input::{Envelope, Input, Multiline, Resume};
use stages::record::Record;

use super::finding::{Finding, Trouble};
use super::object::ObjectReader;
use super::{ArchiveError, File, Next, Options, rows};

/// Names of the column that is the log's text, the best first; case does not matter.
const MESSAGE_COLUMNS: [&str; 6] = ["message", "msg", "log", "body", "text", "line"];

/// A Parquet file under way.
pub(super) struct ParquetFile {
    file: File,
    stream: ParquetRecordBatchStream<ObjectReader>,
    is_own: bool,
    /// Name of the column that becomes `message`.
    message: Option<String>,
    ready: VecDeque<Vec<u8>>,
    rows: u64,
    total: u64,
    input: Arc<Input>,
    findings: Vec<Finding>,
    is_over: bool,
}

impl ParquetFile {
    /// Opens a file behind its first `skip` rows.
    pub(super) async fn open(
        store: &Arc<dyn ObjectStore>,
        options: &Options,
        file: &File,
        skip: u64,
    ) -> Result<Result<Self, Trouble>, ArchiveError> {
        let (store, path) = (Arc::clone(store), file.path.clone());
        let reader = ObjectReader { store, path, size: file.size };
        let builder = match ParquetRecordBatchStreamBuilder::new(reader).await {
            Ok(builder) => builder,
            Err(error) => return broken(file, error).map(Err),
        };
        let groups = builder.metadata().row_groups();
        if let Some(group) =
            groups.iter().find(|group| group.compressed_size() > MAX_ARCHIVE_ROW_GROUP_BYTES)
        {
            let reason = format!(
                "a row group of {} bytes is over {MAX_ARCHIVE_ROW_GROUP_BYTES}; write it with smaller ones",
                group.compressed_size()
            );
            return Ok(Err(Trouble::Parquet(reason)));
        }
        let (mut wanted, mut before) = (Vec::new(), 0);
        for (index, group) in groups.iter().enumerate() {
            let rows = u64::try_from(group.num_rows()).unwrap_or(0);
            if wanted.is_empty() && before + rows <= skip {
                before += rows;
            } else {
                wanted.push(index);
            }
        }
        let total = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        let schema = Arc::clone(builder.schema());
        let offset = usize::try_from(skip.saturating_sub(before)).unwrap_or(usize::MAX);
        let stream = builder
            .with_row_groups(wanted)
            .with_offset(offset)
            .with_batch_size(ARCHIVE_PARQUET_ROWS)
            .build();
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => return broken(file, error).map(Err),
        };
        let is_own = rows::is_own(&schema);
        let envelope = if is_own { Envelope::Datadog } else { options.envelope };
        Ok(Ok(Self {
            file: file.clone(),
            stream,
            is_own,
            message: message_column(&schema, options.csv_message.as_deref()),
            ready: VecDeque::new(),
            rows: skip,
            total,
            input: Arc::new(Input {
                format: Format::Json,
                envelope,
                multiline: Multiline::Lines,
                labels: Arc::clone(&options.labels),
            }),
            findings: Vec::new(),
            is_over: false,
        }))
    }

    pub(super) async fn next(&mut self) -> Result<Option<Next>, ArchiveError> {
        while self.ready.is_empty() && !self.is_over {
            match self.stream.next().await {
                None => self.is_over = true,
                Some(Ok(batch)) => {
                    if let Err(error) = self.take(&batch) {
                        self.stop(Trouble::Parquet(error.to_string()));
                    }
                }
                Some(Err(error)) => {
                    let trouble = broken(&self.file, error)?;
                    self.stop(trouble);
                }
            }
        }
        let Some(payload) = self.ready.pop_front() else { return Ok(None) };
        self.rows += 1;
        let record = Record { payload, ..Record::default() };
        Ok(Some(Next { record, resume: Resume::default() }))
    }

    fn stop(&mut self, trouble: Trouble) {
        self.is_over = true;
        self.findings.push(Finding::after(self.file.path.as_ref(), self.rows, trouble));
    }

    /// Turns rows into JSON.
    fn take(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        if self.is_own {
            self.ready.extend(rows::to_json(batch)?);
            return Ok(());
        }
        let batch = match &self.message {
            Some(name) => renamed(batch, name)?,
            None => batch.clone(),
        };
        let mut writer = LineDelimitedWriter::new(Vec::new());
        writer.write(&batch)?;
        writer.finish()?;
        // JSON text has no newline inside.
        let lines = writer.into_inner();
        let lines = lines.split(|byte| *byte == b'\n').take(batch.num_rows());
        self.ready.extend(lines.map(|line| line[..line.len().min(MAX_LINE_BYTES)].to_vec()));
        Ok(())
    }

    pub(super) fn findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    pub(super) fn input(&self) -> Arc<Input> {
        Arc::clone(&self.input)
    }

    /// By the rows read: how much of the file their columns are, nobody says.
    pub(super) fn consumed(&self) -> u64 {
        let share = u128::from(self.file.size) * u128::from(self.rows);
        u64::try_from(share / u128::from(self.total.max(1))).unwrap_or(self.file.size)
    }
}

/// An error of the store is one of ours; any other is about the file.
fn broken(file: &File, error: ParquetError) -> Result<Trouble, ArchiveError> {
    match error {
        ParquetError::External(inner) => match inner.downcast::<object_store::Error>() {
            Ok(source) => Err(super::bytes::failed(file, *source)),
            Err(inner) => Ok(Trouble::Parquet(inner.to_string())),
        },
        error => Ok(Trouble::Parquet(error.to_string())),
    }
}

fn message_column(schema: &Schema, wanted: Option<&str>) -> Option<String> {
    let named = |wanted: &str| {
        let mut fields = schema.fields().iter();
        fields.find(|field| field.name().eq_ignore_ascii_case(wanted) && is_text(field))
    };
    let found = match wanted {
        Some(wanted) => named(wanted),
        None => MESSAGE_COLUMNS.iter().find_map(|name| named(name)),
    };
    found.map(|field| field.name().clone())
}

fn is_text(field: &Field) -> bool {
    matches!(field.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// The rows with the column of this name as `message`.
fn renamed(batch: &RecordBatch, name: &str) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    let fields = schema.fields().iter().map(|field| {
        if field.name() == name {
            field.as_ref().clone().with_name("message")
        } else {
            field.as_ref().clone()
        }
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    RecordBatch::try_new(schema, batch.columns().to_vec())
}
