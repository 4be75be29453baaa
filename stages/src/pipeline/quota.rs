//! Daily limits of indexes: how many logs of a day an index keeps.
//!
//! A day is one of receipt (Kafka's timestamps), not of event time: it is what a budget is about, and
//! a late log can not spend yesterday's. Counting goes over all partitions and workers: what they
//! have kept so far is an argument ([`Quotas::rebase`]), what came since is counted here. Workers
//! learn of one another's counts with their commits, so together they may keep one epoch's worth
//! more than the limit.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemas::limits::MAX_QUOTA_DAYS;
use schemas::time::EventTime;

use super::Pipeline;
use super::config::{ConfigError, DailyLimitReset, IndexConfig};

const NANOS_PER_MINUTE: i64 = 60_000_000_000;
const MINUTES_PER_DAY: i64 = 24 * 60;
/// Datadog's own reset: 14:00 UTC.
const DEFAULT_RESET_MINUTES: i64 = 14 * 60;

/// A compiled daily limit.
#[derive(Debug)]
pub struct DailyLimit {
    index: Box<str>,
    /// `index/daily_limit`, as the ledger shows it.
    rule: Box<str>,
    events: u64,
    /// Kept events at which a warning is due.
    warn_at: Option<u64>,
    reset_minutes: i64,
}

impl DailyLimit {
    /// Name of the index.
    pub fn index(&self) -> &str {
        &self.index
    }

    /// Logs a day.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Kept logs of a day at which a warning is due.
    pub fn warn_at(&self) -> Option<u64> {
        self.warn_at
    }

    /// The day `received` falls into: days since 1970-01-01 at the reset time.
    pub fn day(&self, received: EventTime) -> i64 {
        let minutes = received.nanos().div_euclid(NANOS_PER_MINUTE);
        minutes.saturating_sub(self.reset_minutes).div_euclid(MINUTES_PER_DAY)
    }
}

/// Logs an index with a daily limit kept of a day.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Kept {
    /// Name of the index.
    pub index: String,
    /// As [`DailyLimit::day`] counts.
    pub day: i64,
    /// How many.
    pub events: u64,
}

/// Kept logs by index and day.
pub type KeptByDay = BTreeMap<(String, i64), u64>;

/// The limits of one lane, and what it has kept since it last handed its counts over.
#[derive(Debug)]
pub struct Quotas {
    limits: Arc<[DailyLimit]>,
    /// One a limit. Nearly every log is of the latest day.
    days: Vec<BTreeMap<i64, Day>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Day {
    /// Kept by everybody, as far as known.
    base: u64,
    /// Kept here since.
    own: u64,
}

impl Quotas {
    /// None kept yet.
    pub fn new(pipeline: &Pipeline) -> Self {
        let limits = Arc::clone(&pipeline.limits);
        let days = vec![BTreeMap::new(); limits.len()];
        Self { limits, days }
    }

    /// Whether no index has a limit: nothing is counted.
    pub fn is_empty(&self) -> bool {
        self.limits.is_empty()
    }

    /// Asks for room for one more log of `index`, received then. An error is the rule that refuses.
    /// Days long before the latest are counted as one.
    pub fn admit(&mut self, index: &str, received: EventTime) -> Result<(), &str> {
        let mut limits = self.limits.iter().zip(&mut self.days);
        let Some((limit, days)) = limits.find(|(limit, _)| *limit.index == *index) else {
            return Ok(());
        };
        let mut day = limit.day(received);
        if let Some((latest, _)) = days.last_key_value() {
            day = day.max(latest.saturating_sub(MAX_QUOTA_DAYS - 1));
        }
        let count = days.entry(day).or_default();
        if count.base.saturating_add(count.own) >= limit.events {
            return Err(&limit.rule);
        }
        count.own += 1;
        Ok(())
    }

    /// What everybody, this lane's handed-over counts included, has kept so far.
    pub fn rebase(&mut self, kept: &KeptByDay) {
        for (limit, days) in self.limits.iter().zip(&mut self.days) {
            days.values_mut().for_each(|day| day.base = 0);
            let from = (limit.index.to_string(), i64::MIN);
            let of_index = kept.range(from..).take_while(|((index, _), _)| **index == *limit.index);
            for ((_, day), events) in of_index {
                days.entry(*day).or_default().base = *events;
            }
            let oldest = days.last_key_value().map(|(day, _)| day.saturating_sub(MAX_QUOTA_DAYS));
            days.retain(|day, count| count.own > 0 || Some(*day) > oldest);
        }
    }

    /// Hands over what was kept here since the last time. Until [`Self::rebase`] is told of it, it
    /// counts as before.
    pub fn take(&mut self) -> Vec<Kept> {
        let mut kept = Vec::new();
        for (limit, days) in self.limits.iter().zip(&mut self.days) {
            for (day, count) in days {
                let events = std::mem::take(&mut count.own);
                count.base = count.base.saturating_add(events);
                if events > 0 {
                    kept.push(Kept { index: limit.index.to_string(), day: *day, events });
                }
            }
        }
        kept
    }
}

/// Adds counts to those by day; days long before an index's latest are forgotten.
pub fn add_kept(by_day: &mut KeptByDay, kept: &[Kept]) {
    for Kept { index, day, events } in kept {
        let sum = by_day.entry((index.clone(), *day)).or_default();
        *sum = sum.saturating_add(*events);
    }
    let mut latest = BTreeMap::<String, i64>::new();
    for (index, day) in by_day.keys() {
        let of_index = latest.entry(index.clone()).or_insert(*day);
        *of_index = (*of_index).max(*day);
    }
    by_day.retain(|(index, day), _| {
        latest.get(index).is_none_or(|latest| *day > latest.saturating_sub(MAX_QUOTA_DAYS))
    });
}

/// Compiles the limits of all indexes.
pub(super) fn compile(configs: &[IndexConfig], errors: &mut Vec<ConfigError>) -> Arc<[DailyLimit]> {
    let mut limits = Vec::new();
    for (number, config) in configs.iter().enumerate() {
        let mut refuse = |field: &str, reason: &str| {
            let path = format!("indexes[{number}].{field}");
            errors.push(ConfigError { path, reason: reason.to_owned() });
        };
        let percentage = config.daily_limit_warning_threshold_percentage;
        if percentage.is_some_and(|share| !(0.0..=100.0).contains(&share)) {
            refuse("daily_limit_warning_threshold_percentage", "a percentage is 0 to 100");
        }
        let reset_minutes = match config.daily_limit_reset.as_ref().map(reset_minutes) {
            None => DEFAULT_RESET_MINUTES,
            Some(Some(minutes)) => minutes,
            Some(None) => {
                refuse(
                    "daily_limit_reset",
                    "`reset_time` is `HH:MM` and `reset_utc_offset` is `+HH:MM` or `-HH:MM`",
                );
                continue;
            }
        };
        let Some(events) = config.daily_limit.filter(|_| !config.disable_daily_limit) else {
            continue;
        };
        let warn_at = percentage.map(|share| (events as f64 * share / 100.0).ceil() as u64);
        limits.push(DailyLimit {
            index: config.name.as_str().into(),
            rule: format!("{}/daily_limit", config.name).into(),
            events,
            warn_at,
            reset_minutes,
        });
    }
    limits.into()
}

/// Minutes of a UTC day after which the index's own day begins.
fn reset_minutes(reset: &DailyLimitReset) -> Option<i64> {
    let clock = |text: &str| {
        let (hours, minutes) = text.split_once(':')?;
        let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
        ((0..24).contains(&hours) && (0..60).contains(&minutes)).then_some(hours * 60 + minutes)
    };
    let offset = match reset.reset_utc_offset.split_at_checked(1)? {
        ("+", rest) => clock(rest)?,
        ("-", rest) => -clock(rest)?,
        _ => return None,
    };
    Some((clock(&reset.reset_time)? - offset).rem_euclid(MINUTES_PER_DAY))
}

#[cfg(test)]
mod tests;
