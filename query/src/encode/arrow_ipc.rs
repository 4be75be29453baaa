//! Arrow IPC, streaming format, batch by batch.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::writer::StreamWriter;

use super::plain;

/// A stream being written; every call gives the bytes that came of it.
pub(crate) struct IpcStream {
    schema: SchemaRef,
    writer: StreamWriter<Vec<u8>>,
}

impl IpcStream {
    /// Starts a stream of these columns.
    pub(crate) fn new(schema: &SchemaRef) -> Result<Self, ArrowError> {
        let schema = plain::schema(schema);
        let writer = StreamWriter::try_new(Vec::new(), &schema)?;
        Ok(Self { schema, writer })
    }

    /// Adds rows.
    pub(crate) fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        self.writer.write(&plain::batch(batch, &self.schema)?)?;
        Ok(std::mem::take(self.writer.get_mut()))
    }

    /// Ends the stream.
    pub(crate) fn finish(&mut self) -> Result<Vec<u8>, ArrowError> {
        self.writer.finish()?;
        Ok(std::mem::take(self.writer.get_mut()))
    }
}
