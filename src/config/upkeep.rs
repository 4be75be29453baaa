//! `upkeep` and `tables`: when tables are tidied up, and how long their rows stay.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::limits;
use schemas::table::Table;
use stages::pipeline::config::IndexConfig;
use stream::upkeep::Settings;

use super::check::Checker;
use super::raw::{RawTable, RawUpkeep};

/// Longest retention: a hundred years, which is "for ever" with a date.
const MAX_RETENTION: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

/// Checks both sections.
pub(super) fn settings(
    raw: &RawUpkeep,
    tables: &BTreeMap<String, RawTable>,
    check: &mut Checker<'_>,
) -> Settings {
    let default = Settings::default();
    let seconds = Duration::from_secs;
    Settings {
        enabled: check.flag("upkeep.enabled", raw.enabled.as_ref(), true),
        interval: check.duration(
            "upkeep.interval",
            raw.interval.as_ref(),
            default.interval,
            seconds(1)..=seconds(24 * 3_600),
        ),
        compact_after: check.duration(
            "upkeep.compact_after",
            raw.compact_after.as_ref(),
            default.compact_after,
            seconds(0)..=seconds(30 * 24 * 3_600),
        ),
        horizon: check.duration(
            "upkeep.keep_removed",
            raw.keep_removed.as_ref(),
            default.horizon,
            seconds(limits::MIN_VACUUM_HORIZON_SECONDS)
                ..=seconds(limits::MAX_VACUUM_HORIZON_SECONDS),
        ),
        merge_bytes: default.merge_bytes,
        log_horizon: default.log_horizon,
        delete_interval: default.delete_interval,
        retention: retention(tables, check),
        index_retention: default.index_retention,
    }
}

fn retention(
    tables: &BTreeMap<String, RawTable>,
    check: &mut Checker<'_>,
) -> BTreeMap<Table, Duration> {
    let mut retention = BTreeMap::new();
    for (name, raw) in tables {
        let Some(table) = Table::from_name(name) else {
            let known = Table::ALL.map(Table::name).join(", ");
            check.problem(&format!("tables.{name}"), format!("there is no table {name:?}"), known);
            continue;
        };
        if table == Table::ErrorIssueHistory && raw.retention.is_some() {
            let rule = format!("tables.{name}.retention");
            check.problem(&rule, "an issue's last row says how it stands", "remove it");
            continue;
        }
        if let Some(scalar) = &raw.retention {
            let rule = format!("tables.{name}.retention");
            let bounds = Duration::from_secs(3_600)..=MAX_RETENTION;
            retention.insert(table, check.duration(&rule, Some(scalar), MAX_RETENTION, bounds));
        }
    }
    retention
}

/// How long the logs of each index stay, where it says so.
pub(super) fn index_retention(indexes: &[IndexConfig]) -> BTreeMap<String, Duration> {
    let day = Duration::from_secs(24 * 3_600);
    let kept = |index: &IndexConfig| Some((index.name.clone(), day * index.retention_days()?));
    indexes.iter().filter_map(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_keeps_its_logs_as_many_days_as_it_says() {
        let index = |name: &str, days| IndexConfig {
            name: name.to_owned(),
            num_retention_days: days,
            ..IndexConfig::default()
        };
        let kept = index_retention(&[index("main", None), index("noise", Some(3))]);
        let expected = [("noise".to_owned(), Duration::from_secs(3 * 24 * 3_600))];
        assert_eq!(kept, BTreeMap::from(expected));
    }
}
