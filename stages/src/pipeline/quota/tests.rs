//! Daily limits against a plain count.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::pipeline::config::Config;

const HOUR: i64 = 60 * NANOS_PER_MINUTE;

fn pipeline(yaml: &str) -> Pipeline {
    let config: Config = serde_yaml_ng::from_str(yaml).expect("valid YAML");
    Pipeline::compile(&config).expect("compiles")
}

fn limited(events: u64) -> Pipeline {
    pipeline(&format!(
        "indexes: [{{name: main, daily_limit: {events}, daily_limit_warning_threshold_percentage: 70}}, {{name: free}}]"
    ))
}

fn at(hours: i64) -> EventTime {
    EventTime::from_nanos(hours * HOUR)
}

#[test]
fn an_index_keeps_its_daily_limit_and_goes_on_after_the_reset() {
    let mut quotas = Quotas::new(&limited(2));
    assert_eq!(quotas.admit("main", at(13)), Ok(()));
    assert_eq!(quotas.admit("main", at(13)), Ok(()));
    assert_eq!(quotas.admit("main", at(13)), Err("main/daily_limit"));
    assert_eq!(quotas.admit("free", at(13)), Ok(()), "no limit of its own");
    assert_eq!(quotas.admit("main", at(14)), Ok(()), "a day begins at 14:00 UTC");
    assert_eq!(quotas.admit("main", at(13)), Err("main/daily_limit"), "yesterday stays full");
}

#[test]
fn what_others_kept_counts_and_what_was_handed_over_counts_once() {
    let mut quotas = Quotas::new(&limited(5));
    assert_eq!(quotas.admit("main", at(1)), Ok(()));
    let kept = quotas.take();
    assert_eq!(kept, [Kept { index: "main".to_owned(), day: -1, events: 1 }]);
    assert!(quotas.take().is_empty(), "handed over once");
    quotas.rebase(&KeptByDay::from([(("main".to_owned(), -1), 4)]));
    assert_eq!(quotas.admit("main", at(1)), Ok(()));
    assert_eq!(quotas.admit("main", at(1)), Err("main/daily_limit"));
}

#[test]
fn a_lane_that_has_seen_nothing_of_a_day_learns_that_it_is_full() {
    let mut quotas = Quotas::new(&limited(3));
    quotas.rebase(&KeptByDay::from([(("main".to_owned(), 0), 3)]));
    assert_eq!(quotas.admit("main", at(20)), Err("main/daily_limit"));
}

#[test]
fn a_reset_is_read_with_its_offset_and_a_limit_can_be_switched_off() {
    let pipeline = pipeline(
        r#"
indexes:
  - {name: off, daily_limit: 1, disable_daily_limit: true}
  - name: tokyo
    daily_limit: 10
    daily_limit_warning_threshold_percentage: 55
    daily_limit_reset: {reset_time: "03:30", reset_utc_offset: "+09:00"}
"#,
    );
    let [limit] = &*pipeline.limits else { panic!("one limit") };
    assert_eq!((limit.index(), limit.events(), limit.warn_at()), ("tokyo", 10, Some(6)));
    let reset = EventTime::from_nanos(18 * HOUR + 30 * NANOS_PER_MINUTE);
    let before = EventTime::from_nanos(reset.nanos() - 1);
    assert_eq!((limit.day(before), limit.day(reset)), (-1, 0));
}

#[test]
fn a_bad_reset_or_threshold_is_refused_by_field() {
    let config: Config = serde_yaml_ng::from_str(
        r#"
indexes:
  - {name: a, daily_limit: 1, daily_limit_reset: {reset_time: "25:00"}}
  - {name: b, daily_limit: 1, daily_limit_reset: {reset_time: "1:00", reset_utc_offset: "9"}}
  - {name: c, daily_limit_warning_threshold_percentage: 101}
"#,
    )
    .expect("valid YAML");
    let errors = Pipeline::compile(&config).expect_err("refused");
    let paths: Vec<&str> = errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "indexes[0].daily_limit_reset",
            "indexes[1].daily_limit_reset",
            "indexes[2].daily_limit_warning_threshold_percentage"
        ]
    );
}

proptest! {
    /// Whenever counts are handed over, and whatever the order of days.
    #[test]
    fn exactly_the_limit_is_kept_of_each_day(
        limit in 0u64..20,
        logs in prop::collection::vec((0i64..100, any::<bool>()), 0..200),
    ) {
        let mut quotas = Quotas::new(&limited(limit));
        let mut book = KeptByDay::new();
        let (mut came, mut kept) = (BTreeMap::<i64, u64>::new(), BTreeMap::<i64, u64>::new());
        for (hours, hand_over) in logs {
            let day = (hours - 14).div_euclid(24);
            *came.entry(day).or_default() += 1;
            *kept.entry(day).or_default() += u64::from(quotas.admit("main", at(hours)).is_ok());
            if hand_over {
                add_kept(&mut book, &quotas.take());
                quotas.rebase(&book);
            }
        }
        for (day, came) in came {
            prop_assert_eq!(kept.get(&day).copied().unwrap_or(0), came.min(limit));
        }
    }
}
