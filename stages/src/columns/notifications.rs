//! Table `notifications`.

use arrow::array::{
    Int32Builder, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::error::ArrowError;
use schemas::table::Table;
use schemas::time::EventTime;

use super::TableColumns;
use super::parts::{self, Held, TextList, array, text_or_null};

/// One row; column meanings: `schemas::notification`.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "named for the columns, which the contract explains")]
pub struct NotificationRow<'a> {
    pub timestamp: EventTime,
    pub id: &'a str,
    pub kind: &'a str,
    pub recipient: &'a str,
    pub outcome: &'a str,
    pub attempts: i32,
    pub status_code: Option<i32>,
    pub error: &'a str,
    pub title: &'a str,
    pub created: EventTime,
    pub issue_ids: Vec<&'a str>,
    pub alerts: i64,
    pub body: &'a str,
}

/// Builder of table `notifications`.
#[derive(Debug, Default)]
pub struct NotificationColumns {
    timestamp: TimestampMicrosecondBuilder,
    /// `id`, `kind`, `recipient`, `outcome`.
    texts: [StringBuilder; 4],
    attempts: Int32Builder,
    status_code: Int32Builder,
    error: StringBuilder,
    title: StringBuilder,
    created: TimestampMicrosecondBuilder,
    issue_ids: TextList,
    alerts: Int64Builder,
    body: StringBuilder,
}

impl NotificationColumns {
    /// Adds a row.
    pub fn push(&mut self, row: &NotificationRow<'_>) {
        self.timestamp.append_value(row.timestamp.micros());
        let texts = [row.id, row.kind, row.recipient, row.outcome];
        for (column, text) in self.texts.iter_mut().zip(texts) {
            column.append_value(text);
        }
        self.attempts.append_value(row.attempts);
        self.status_code.append_option(row.status_code);
        text_or_null(&mut self.error, row.error);
        self.title.append_value(row.title);
        self.created.append_value(row.created.micros());
        row.issue_ids.iter().for_each(|id| self.issue_ids.item(id));
        self.issue_ids.end_row();
        self.alerts.append_value(row.alerts);
        self.body.append_value(row.body);
    }
}

impl TableColumns for NotificationColumns {
    const TABLE: Table = Table::Notifications;

    fn rows(&self) -> usize {
        self.alerts.values_slice().len()
    }

    fn bytes(&self) -> usize {
        let texts = self.texts.iter().chain([&self.error, &self.title, &self.body]);
        texts.map(Held::held).sum::<usize>() + self.issue_ids.held() + self.rows() * 32
    }

    fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let mut columns = vec![array(self.timestamp.finish().with_timezone("UTC"))];
        columns.extend(self.texts.each_mut().map(|column| array(column.finish())));
        columns.extend([
            array(self.attempts.finish()),
            array(self.status_code.finish()),
            array(self.error.finish()),
            array(self.title.finish()),
            array(self.created.finish().with_timezone("UTC")),
            self.issue_ids.finish()?,
            array(self.alerts.finish()),
            array(self.body.finish()),
        ]);
        parts::batch(Self::TABLE, columns)
    }
}
