//! The files of a table's current version, and those removed from it lately.

use chrono::{Datelike as _, NaiveDate};
use deltalake_core::DeltaTableError;
use futures::TryStreamExt as _;
use schemas::table::{DATE, HOUR};
use schemas::time::{EventHour, EventTime};

use super::delta::{PublishedTable, TableError};
use crate::commit_log::record::FileRemove;

/// A Parquet file of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFile {
    /// Path below the table.
    pub path: String,
    /// Its partition.
    pub hour: EventHour,
    /// Bytes.
    pub size: i64,
    /// Rows.
    pub rows: i64,
    /// When it was written, Unix milliseconds.
    pub modified_millis: i64,
}

impl TableFile {
    /// As a maintenance record names it.
    pub fn remove(&self) -> FileRemove {
        FileRemove {
            path: self.path.clone(),
            date: self.hour.date(),
            hour: self.hour.hour_of_day(),
            size: self.size,
            rows: self.rows,
        }
    }
}

impl PublishedTable {
    /// The files of the version last read. Files without a partition or a number of rows, which
    /// we never write, are left out: upkeep does not touch what it does not understand.
    pub fn contents(&self) -> Result<Vec<TableFile>, TableError> {
        Ok(self.contents_with_statistics()?.into_iter().map(|(file, _)| file).collect())
    }

    /// The same, each with its Delta statistics as JSON where the table has them.
    pub fn contents_with_statistics(&self) -> Result<Vec<(TableFile, Option<String>)>, TableError> {
        let snapshot = self.delta().snapshot().map_err(|source| self.failed(source))?;
        let mut files = Vec::new();
        for file in snapshot.log_data().iter() {
            let values = file.partition_values_map();
            let value = |name: &str| values.get(name).cloned().flatten();
            let hour = partition_hour(value(DATE).as_deref(), value(HOUR).as_deref());
            let rows = file.num_records().and_then(|rows| i64::try_from(rows).ok());
            let (Some(hour), Some(rows)) = (hour, rows) else {
                tracing::warn!(
                    table = self.table().name(),
                    path = %file.path(),
                    "a file without partition or number of rows is left alone"
                );
                continue;
            };
            let known = TableFile {
                path: file.path().into_owned(),
                hour,
                size: file.size(),
                rows,
                modified_millis: file.modification_time(),
            };
            files.push((known, file.stats()));
        }
        Ok(files)
    }

    /// Files removed from the table, with the time of their removal in Unix milliseconds, as far
    /// as the table remembers them: seven days.
    pub async fn removed(&self) -> Result<Vec<(String, i64)>, TableError> {
        let snapshot = self.delta().snapshot().map_err(|source| self.failed(source))?;
        let tombstones = snapshot.all_tombstones(self.log_store().as_ref());
        tombstones
            .map_ok(|file| {
                (file.path().into_owned(), file.deletion_timestamp().unwrap_or(i64::MAX))
            })
            .try_collect()
            .await
            .map_err(|source| self.failed(source))
    }

    fn failed(&self, source: DeltaTableError) -> TableError {
        TableError::Delta { table: self.table().name(), source }
    }
}

/// The hour that partition values name.
fn partition_hour(date: Option<&str>, hour: Option<&str>) -> Option<EventHour> {
    let date = NaiveDate::parse_from_str(date?, "%Y-%m-%d").ok()?;
    let hour: i64 = hour?.parse().ok().filter(|hour| (0..24).contains(hour))?;
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    let days = i64::from(date.num_days_from_ce()) - i64::from(epoch.num_days_from_ce());
    Some(EventTime::from_seconds((days * 24 + hour) * 3_600)?.hour())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partition_values_name_the_hour_they_were_made_from() {
        for seconds in [0, -1, 1_714_219_200, 4_102_444_799, -2_208_988_800] {
            let hour = EventTime::from_seconds(seconds).expect("in range").hour();
            let values = (hour.date(), hour.hour_of_day().to_string());
            assert_eq!(partition_hour(Some(&values.0), Some(&values.1)), Some(hour));
        }
        for (date, hour) in [("2024-13-01", "1"), ("2024-01-01", "24"), ("x", "1"), ("", "")] {
            assert_eq!(partition_hour(Some(date), Some(hour)), None);
        }
        assert_eq!(partition_hour(None, Some("1")), None);
    }
}
