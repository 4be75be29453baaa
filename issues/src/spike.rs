//! Whether more errors of an issue come than usual at this time of the week.
//!
//! The baseline is the median of the counts of the same hour of the week, and its neighbours, in the four weeks
//! before; of a younger issue the median of the last complete hours. The spread is the median absolute
//! deviation, scaled to a normal distribution's standard deviation (1.4826). Both are blind to a few outliers,
//! former spikes among them.

use crate::counts::Ring;
use crate::settings::Spike;
use crate::{HOUR, MINUTE, Micros};

/// Hours of a week.
const WEEK: i64 = 7 * 24;
/// Weeks compared with.
const WEEKS: i64 = 4;
/// Complete hours needed before anything counts as usual.
const LEAST_HOURS: usize = 3;
/// Hours a young issue is compared with.
const RECENT_HOURS: i64 = 24;
/// Standard deviations over the median from which on it is a spike.
const DEVIATIONS: f64 = 6.0;
/// Median absolute deviation -> standard deviation.
const SCALE: f64 = 1.4826;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finding {
    /// Errors in the window.
    pub count: u64,
    /// What is usual in a window of its length.
    pub usual: f64,
    /// From how many on it is a spike.
    pub threshold: f64,
}

impl Finding {
    /// Whether it is a spike.
    pub fn is_spike(&self) -> bool {
        self.count as f64 > self.threshold
    }

    /// Whether a spike is over: well below, so that it does not begin and end all the time.
    pub fn is_calm(&self) -> bool {
        (self.count as f64) <= self.threshold / 2.0
    }
}

/// Compares the last complete minutes before `clock`; `None` while nothing is known to be usual.
pub fn look(
    minutes: &Ring,
    hours: &Ring,
    first_seen: Micros,
    clock: Micros,
    settings: &Spike,
) -> Option<Finding> {
    let end = clock.div_euclid(MINUTE);
    let length = settings.window.div_euclid(MINUTE).max(1);
    let count = minutes.sum(end - length, end);
    let now = clock.div_euclid(HOUR);
    let begun = first_seen.div_euclid(HOUR) + 1;
    let is_known = |hour: &i64| (begun..now).contains(hour);
    let around = |week: i64| (-1..=1).map(move |near| now - week * WEEK + near);
    let mut usual: Vec<f64> =
        (1..=WEEKS).flat_map(around).filter(is_known).map(|hour| hours.at(hour) as f64).collect();
    if usual.len() < LEAST_HOURS {
        let recent = (now - RECENT_HOURS..now).filter(is_known);
        usual = recent.map(|hour| hours.at(hour) as f64).collect();
    }
    if usual.len() < LEAST_HOURS {
        return None;
    }
    let middle = median(&mut usual);
    let mut off: Vec<f64> = usual.iter().map(|count| (count - middle).abs()).collect();
    let spread = SCALE * median(&mut off);
    let share = length as f64 / 60.0;
    let usual = middle * share;
    let threshold = (usual * settings.factor)
        .max(usual + DEVIATIONS * spread * share)
        .max(settings.min_events as f64 - 0.5);
    Some(Finding { count, usual, threshold })
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.get(middle.wrapping_sub(1))) {
        (Some(upper), Some(lower)) if values.len().is_multiple_of(2) => {
            f64::midpoint(*upper, *lower)
        }
        (Some(upper), _) => *upper,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 40 * WEEK;

    fn look_at(hourly: impl Fn(i64) -> u64, recent: u64, begun: i64) -> Option<Finding> {
        let (mut minutes, mut hours) = (Ring::default(), Ring::default());
        for hour in begun..NOW {
            hours.add(hour, hourly(hour), 35 * 24);
        }
        minutes.add(NOW * 60 + 25, recent, 120);
        let clock = NOW * HOUR + 30 * MINUTE;
        look(&minutes, &hours, begun * HOUR - 1, clock, &Spike::default())
    }

    #[test]
    fn a_spike_is_measured_by_the_same_hour_of_other_weeks() {
        // Every Monday at this hour a job has 600 errors an hour; otherwise there are 6.
        let weekly = |hour: i64| if (hour - NOW + 1).rem_euclid(WEEK) < 3 { 600 } else { 6 };
        let usual = look_at(weekly, 120, NOW - 5 * WEEK).expect("known");
        assert!(!usual.is_spike() && (usual.usual - 100.0).abs() < 1e-9, "{usual:?}");
        assert!(look_at(weekly, 500, NOW - 5 * WEEK).is_some_and(|found| found.is_spike()));
        let quiet = |_| 6;
        assert!(look_at(quiet, 120, NOW - 5 * WEEK).is_some_and(|found| found.is_spike()));
    }

    #[test]
    fn a_young_issue_is_measured_by_its_last_hours_and_a_new_one_not_at_all() {
        assert!(look_at(|_| 60, 60, NOW - 5).is_some_and(|found| found.is_spike()));
        assert!(look_at(|_| 600, 60, NOW - 5).is_some_and(|found| !found.is_spike()));
        assert_eq!(look_at(|_| 1, 10_000, NOW - 2), None);
    }

    #[test]
    fn few_errors_are_no_spike_however_rare_they_are() {
        assert!(look_at(|_| 0, 49, NOW - 50).is_some_and(|found| !found.is_spike()));
        assert!(look_at(|_| 0, 50, NOW - 50).is_some_and(|found| found.is_spike()));
    }

    #[test]
    fn one_former_spike_does_not_hide_the_next() {
        let once = |hour: i64| if hour == NOW - WEEK { 50_000 } else { 6 };
        assert!(look_at(once, 120, NOW - 5 * WEEK).is_some_and(|found| found.is_spike()));
    }
}
