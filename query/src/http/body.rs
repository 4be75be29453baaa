//! Streamed answers: CSV and Arrow IPC leave batch by batch, at the reader's pace.

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::error::ArrowError;
use futures::stream;

use crate::answer::Answer;
use crate::encode::arrow_ipc::IpcStream;
use crate::encode::csv;
use crate::error::{Code, QueryError};

/// A format that can be streamed.
pub(super) enum Encoder {
    Csv,
    Arrow(Box<IpcStream>),
}

impl Encoder {
    pub(super) fn arrow(answer: &Answer) -> Result<Self, QueryError> {
        Ok(Self::Arrow(Box::new(IpcStream::new(answer.schema()).map_err(unencodable)?)))
    }

    fn content_type(&self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Arrow(_) => "application/vnd.apache.arrow.stream",
        }
    }

    fn start(&mut self, answer: &Answer) -> Vec<u8> {
        match self {
            Self::Csv => csv::header(answer.schema()),
            // The schema message comes with the first batch, or with the end.
            Self::Arrow(_) => Vec::new(),
        }
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, QueryError> {
        match self {
            Self::Csv => csv::rows(batch),
            Self::Arrow(stream) => stream.batch(batch),
        }
        .map_err(unencodable)
    }

    fn finish(&mut self) -> Result<Vec<u8>, QueryError> {
        match self {
            Self::Csv => Ok(Vec::new()),
            Self::Arrow(stream) => stream.finish().map_err(unencodable),
        }
    }
}

fn unencodable(error: ArrowError) -> QueryError {
    QueryError::new(Code::ExecutionFailed, error.to_string())
}

/// The response. Waits for the first rows, so that most failures are still an error response; a
/// failure after them, or a cut answer, breaks the connection: half an answer must not look whole.
pub(super) async fn stream(
    mut answer: Answer,
    mut encoder: Encoder,
) -> Result<Response, QueryError> {
    let mut start = encoder.start(&answer);
    let mut done = false;
    match answer.next().await {
        Some(batch) => start.extend(encoder.batch(&batch?)?),
        None => {
            start.extend(encoder.finish()?);
            done = true;
        }
    }
    let content_type = HeaderValue::from_static(encoder.content_type());
    let rest =
        stream::unfold((answer, encoder, done), |(mut answer, mut encoder, done)| async move {
            if done {
                return None;
            }
            let (bytes, done) = match answer.next().await {
                Some(Ok(batch)) => (encoder.batch(&batch), false),
                Some(Err(error)) => (Err(error), true),
                None if answer.truncated() && !answer.cut_was_asked_for() => {
                    (Err(cut(&answer)), true)
                }
                None => (encoder.finish(), true),
            };
            let failed = bytes.is_err();
            Some((bytes, (answer, encoder, done || failed)))
        });
    let first = stream::once(async move { Ok(start) });
    let bytes = futures::StreamExt::map(futures::StreamExt::chain(first, rest), |bytes| {
        bytes.map(Bytes::from)
    });
    let mut response = Response::new(Body::from_stream(bytes));
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    Ok(response)
}

fn cut(answer: &Answer) -> QueryError {
    QueryError::new(Code::TooLarge, format!("the answer has more than {} rows", answer.rows()))
        .with_hint("add LIMIT, ask for max_rows, or raise query.max_rows")
}
