//! Table `error_issue_history`.

use arrow::array::{Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder};
use arrow::error::ArrowError;
use schemas::table::Table;
use schemas::time::EventTime;

use super::TableColumns;
use super::parts::{self, CountMap, Held, TextList, array, text_or_null};

/// One row; column meanings: `schemas::issue`.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "named for the columns, which the contract explains")]
pub struct IssueRow<'a> {
    pub timestamp: EventTime,
    pub issue_id: &'a str,
    pub change: &'a str,
    pub decided_by: &'a str,
    pub reason: &'a str,
    pub service: &'a str,
    pub error_kind: &'a str,
    pub error_message: &'a str,
    pub culprit: &'a str,
    pub state: &'a str,
    pub state_since: EventTime,
    pub first_seen: EventTime,
    pub last_seen: EventTime,
    pub first_version: &'a str,
    pub last_version: &'a str,
    pub events: i64,
    pub late_events: i64,
    pub users: i64,
    pub batches: i64,
    pub versions: Vec<(&'a str, i64)>,
    pub envs: Vec<(&'a str, i64)>,
    pub hosts: Vec<(&'a str, i64)>,
    pub hourly: Vec<(String, i64)>,
    pub resolved_at: Option<EventTime>,
    pub regressed_at: Option<EventTime>,
    pub regressed_version: &'a str,
    pub spiking_since: Option<EventTime>,
    pub aliases: Vec<&'a str>,
    pub merged_into: &'a str,
    pub samples: Vec<&'a str>,
    pub seq: i64,
}

/// Builder of table `error_issue_history`.
#[derive(Debug, Default)]
pub struct IssueColumns {
    timestamp: TimestampMicrosecondBuilder,
    /// `issue_id`, `change`, `decided_by`, `reason`, `service`, `error_kind`, `error_message`, `culprit`,
    /// `state`.
    texts: [StringBuilder; 9],
    /// `state_since`, `first_seen`, `last_seen`.
    times: [TimestampMicrosecondBuilder; 3],
    /// `first_version`, `last_version`.
    bounds: [StringBuilder; 2],
    /// `events`, `late_events`, `users`, `batches`.
    numbers: [Int64Builder; 4],
    /// `versions`, `envs`, `hosts`, `hourly`.
    counts: [CountMap; 4],
    resolved_at: TimestampMicrosecondBuilder,
    regressed_at: TimestampMicrosecondBuilder,
    regressed_version: StringBuilder,
    spiking_since: TimestampMicrosecondBuilder,
    aliases: TextList,
    merged_into: StringBuilder,
    samples: TextList,
    seq: Int64Builder,
}

impl IssueColumns {
    /// Adds a row.
    pub fn push(&mut self, row: &IssueRow<'_>) {
        self.timestamp.append_value(row.timestamp.micros());
        let texts = [
            row.issue_id,
            row.change,
            row.decided_by,
            row.reason,
            row.service,
            row.error_kind,
            row.error_message,
            row.culprit,
            row.state,
        ];
        for (column, text) in self.texts.iter_mut().zip(texts) {
            column.append_value(text);
        }
        let times = [row.state_since, row.first_seen, row.last_seen];
        for (column, time) in self.times.iter_mut().zip(times) {
            column.append_value(time.micros());
        }
        for (column, text) in self.bounds.iter_mut().zip([row.first_version, row.last_version]) {
            column.append_value(text);
        }
        let numbers = [row.events, row.late_events, row.users, row.batches];
        for (column, number) in self.numbers.iter_mut().zip(numbers) {
            column.append_value(number);
        }
        let [versions, envs, hosts, hourly] = &mut self.counts;
        versions.row(row.versions.iter().copied());
        envs.row(row.envs.iter().copied());
        hosts.row(row.hosts.iter().copied());
        hourly.row(row.hourly.iter().map(|(hour, count)| (hour.as_str(), *count)));
        self.resolved_at.append_option(row.resolved_at.map(EventTime::micros));
        self.regressed_at.append_option(row.regressed_at.map(EventTime::micros));
        text_or_null(&mut self.regressed_version, row.regressed_version);
        self.spiking_since.append_option(row.spiking_since.map(EventTime::micros));
        row.aliases.iter().for_each(|alias| self.aliases.item(alias));
        self.aliases.end_row();
        text_or_null(&mut self.merged_into, row.merged_into);
        row.samples.iter().for_each(|sample| self.samples.item(sample));
        self.samples.end_row();
        self.seq.append_value(row.seq);
    }
}

impl TableColumns for IssueColumns {
    const TABLE: Table = Table::ErrorIssueHistory;

    fn rows(&self) -> usize {
        self.seq.values_slice().len()
    }

    fn bytes(&self) -> usize {
        let texts = self.texts.iter().chain(&self.bounds);
        texts.chain([&self.regressed_version, &self.merged_into]).map(Held::held).sum::<usize>()
            + self.counts.iter().map(CountMap::held).sum::<usize>()
            + self.aliases.held()
            + self.samples.held()
            + self.rows() * 96
    }

    fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let time =
            |column: &mut TimestampMicrosecondBuilder| array(column.finish().with_timezone("UTC"));
        let mut columns = vec![time(&mut self.timestamp)];
        columns.extend(self.texts.each_mut().map(|column| array(column.finish())));
        columns.extend(self.times.each_mut().map(time));
        columns.extend(self.bounds.each_mut().map(|column| array(column.finish())));
        columns.extend(self.numbers.each_mut().map(|column| array(column.finish())));
        for counts in &mut self.counts {
            columns.push(counts.finish()?);
        }
        columns.extend([
            time(&mut self.resolved_at),
            time(&mut self.regressed_at),
            array(self.regressed_version.finish()),
            time(&mut self.spiking_since),
            self.aliases.finish()?,
            array(self.merged_into.finish()),
            self.samples.finish()?,
            array(self.seq.finish()),
        ]);
        parts::batch(Self::TABLE, columns)
    }
}
