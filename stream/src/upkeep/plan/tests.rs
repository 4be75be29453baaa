//! Planning, as properties.

use super::*;
use proptest::prelude::*;
use schemas::time::EventTime;

const MIB: i64 = 1 << 20;
const HOUR_MILLIS: i64 = 3_600_000;
/// 2024-04-27 12:00.
const NOON: i64 = 1_714_219_200_000;

fn file(hour: i64, number: usize, size: i64, modified_millis: i64) -> TableFile {
    let time = EventTime::from_millis(NOON + hour * HOUR_MILLIS).expect("in range");
    let path = format!("{hour}/{number}.parquet");
    TableFile { path, hour: time.hour(), size, rows: size / 100 + 1, modified_millis }
}

fn times(now_millis: i64) -> Times {
    Times { now_millis, closed_after: Duration::from_secs(600) }
}

fn sizes(groups: &[Group]) -> Vec<Vec<i64>> {
    groups.iter().map(|group| group.files.iter().map(|file| file.size).collect()).collect()
}

#[test]
fn an_hour_is_left_alone_until_it_is_closed() {
    let files: Vec<_> = (0..8).map(|n| file(0, n, 100, NOON)).collect();
    let end = NOON + HOUR_MILLIS;
    assert_eq!(compaction(&files, times(end + 599_999)), []);
    let groups = compaction(&files, times(end + 600_000));
    assert_eq!(sizes(&groups), [vec![100; 8]]);
    assert_eq!(groups[0].rows(), 16);
}

#[test]
fn a_late_file_waits_for_others_and_never_has_a_large_one_written_again() {
    let now = NOON + 10 * HOUR_MILLIS;
    let old = now - 2 * HOUR_MILLIS;
    let mut files = vec![file(0, 0, 100 * MIB, old), file(0, 1, 1_000, now)];
    assert_eq!(compaction(&files, times(now)), [], "one late file");
    files.push(file(0, 2, 1_000, now));
    assert_eq!(compaction(&files, times(now)), [], "more may come");
    let groups = compaction(&files, times(now + 600_000));
    assert_eq!(sizes(&groups), [[1_000, 1_000]], "none came for ten minutes");
}

#[test]
fn an_hour_larger_than_one_file_becomes_several_and_full_ones_stay() {
    let now = NOON + 10 * HOUR_MILLIS;
    let mut files: Vec<_> = (0..5).map(|n| file(0, n, 100 * MIB, NOON)).collect();
    files.push(file(0, 9, 130 * MIB, NOON));
    let groups = compaction(&files, times(now));
    assert_eq!(sizes(&groups), [[100 * MIB; 2]; 2]);
}

#[test]
fn whole_hours_expire() {
    let files: Vec<_> = (0..3).map(|hour| file(hour, 0, 1, NOON)).collect();
    let day = Duration::from_secs(24 * 3_600);
    let now = NOON + 26 * HOUR_MILLIS;
    assert_eq!(expired(&files, now, day), files[..2]);
    assert_eq!(expired(&files, now - 1, day), files[..1]);
    assert_eq!(expired(&files, now, Duration::MAX), []);
}

#[test]
fn ages_are_counted_to_the_wall_clock_but_no_further_than_a_day_after_the_newest_record() {
    let (day, month) = (24 * HOUR_MILLIS, 720 * HOUR_MILLIS);
    let newest = Some(NOON * 1_000_000);
    assert_eq!(age_to(NOON + day, newest), NOON + day);
    assert_eq!(age_to(NOON + month, newest), NOON + day);
    assert_eq!(age_to(NOON - month, newest), NOON - month, "a clock that is behind keeps more");
    assert_eq!(age_to(NOON + month, None), NOON + month, "no record has told its time");
}

#[test]
fn only_old_unreferenced_files_of_our_own_naming_are_garbage() {
    let stored = |path: &str, modified_millis| StoredFile {
        path: path.to_owned(),
        size: 1,
        modified_millis,
    };
    let ours = |bits| crate::files::relative_path(file(0, 0, 1, 0).hour, "abc-1", bits);
    let files = [
        stored(&ours(1), 0),
        stored(&ours(2), 0),
        stored(&ours(3), 5_000),
        stored("_delta_log/00000000000000000100.checkpoint.parquet", 0),
        stored("date=2024-04-27/hour=12/notes.txt", 0),
        stored("date=2024-04-27/hour=12/export.parquet", 0),
        stored("backup/march.parquet", 0),
    ];
    let referenced = BTreeSet::from([ours(2)]);
    let found = garbage(&files, &referenced, 6_000, Duration::from_secs(2));
    assert_eq!(found, files[..1]);
}

proptest! {
    /// Files keep coming to a closed hour while it is compacted: few remain, all bytes are there,
    /// and the work stays within a small multiple of them.
    #[test]
    fn compacting_as_files_come_keeps_few_files_and_writes_each_byte_a_few_times(
        arrivals in prop::collection::vec(prop::collection::vec(1..4 * MIB, 0..6), 1..80),
    ) {
        let mut now = NOON + 10 * HOUR_MILLIS;
        let mut files: Vec<TableFile> = Vec::new();
        let (mut number, mut arrived, mut written) = (0, 0, 0);
        let mut rounds = arrivals;
        rounds.extend(vec![Vec::new(); 20]);
        for sizes in rounds {
            for size in sizes {
                number += 1;
                arrived += size;
                files.push(file(0, number, size, now));
            }
            now += 60_000;
            for group in compaction(&files, times(now)) {
                prop_assert!(group.files.len() >= 2);
                prop_assert!(group.bytes() <= 256 * MIB);
                for gone in &group.files {
                    let place = files.iter().position(|file| file == gone);
                    files.remove(place.expect("a file of the table, once"));
                }
                number += 1;
                written += group.bytes();
                files.push(file(0, number, group.bytes(), now));
            }
        }
        prop_assert_eq!(files.iter().map(|file| file.size).sum::<i64>(), arrived);
        let small = files.iter().filter(|file| file.size < 128 * MIB).count();
        prop_assert!(small <= 12, "{small} small files remain");
        prop_assert!(written <= 6 * arrived, "{written} bytes written for {arrived}");
    }

    #[test]
    fn a_plan_names_every_file_at_most_once_and_only_closed_hours(
        sizes in prop::collection::vec((0..4i64, 1..300 * MIB), 0..60),
        ago in 0..6 * HOUR_MILLIS,
    ) {
        let files: Vec<_> = sizes
            .iter()
            .enumerate()
            .map(|(number, (hour, size))| file(*hour, number, *size, NOON))
            .collect();
        let now = NOON + ago;
        let mut seen = BTreeSet::new();
        for group in compaction(&files, times(now)) {
            prop_assert!(end_millis(group.hour) + 600_000 <= now);
            for file in group.files {
                prop_assert_eq!(file.hour, group.hour);
                prop_assert!(files.contains(&file));
                prop_assert!(seen.insert(file.path));
            }
        }
    }
}
