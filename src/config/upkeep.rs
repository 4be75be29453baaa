//! `upkeep` and `tables`: when tables are tidied up, and how long their rows stay.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::limits;
use schemas::table::Table;
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
