//! Time zones: offsets, abbreviations, names of the tz database.

use std::str::FromStr;

use chrono::{NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;

use super::Reader;

/// A zone given beside the pattern.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Zone {
    Fixed(i32),
    Named(Tz),
}

/// Zone abbreviations in common use, in hours and minutes east of UTC.
const ABBREVIATIONS: [(&str, i32, i32); 27] = [
    ("UTC", 0, 0),
    ("GMT", 0, 0),
    ("UT", 0, 0),
    ("Z", 0, 0),
    ("WET", 0, 0),
    ("WEST", 1, 0),
    ("BST", 1, 0),
    ("CET", 1, 0),
    ("CEST", 2, 0),
    ("EET", 2, 0),
    ("EEST", 3, 0),
    ("MSK", 3, 0),
    ("IST", 5, 30),
    ("SGT", 8, 0),
    ("HKT", 8, 0),
    ("JST", 9, 0),
    ("KST", 9, 0),
    ("AEST", 10, 0),
    ("AEDT", 11, 0),
    ("AST", -4, 0),
    ("ADT", -3, 0),
    ("EST", -5, 0),
    ("EDT", -4, 0),
    ("CST", -6, 0),
    ("CDT", -5, 0),
    ("PST", -8, 0),
    ("PDT", -7, 0),
];
const MOUNTAIN: [(&str, i32, i32); 2] = [("MST", -7, 0), ("MDT", -6, 0)];

pub(super) fn by_name(name: &str) -> Option<Zone> {
    let short = ABBREVIATIONS.iter().chain(&MOUNTAIN).find(|(own, ..)| *own == name);
    match short {
        Some((_, hours, minutes)) => Some(Zone::Fixed(hours * 3_600 + minutes * 60)),
        None => Tz::from_str(name).ok().map(Zone::Named),
    }
}

/// `UTC`, `+3`, `UTC+05:30`, `Europe/Paris`.
pub(super) fn parse(text: &str) -> Result<Zone, String> {
    let bare = ["GMT", "UTC", "UT"].iter().find_map(|name| text.strip_prefix(name));
    let mut reader = Reader::new(bare.unwrap_or(text));
    if let Some(seconds) = reader.offset().filter(|_| reader.is_done()) {
        return Ok(Zone::Fixed(seconds));
    }
    by_name(text).ok_or_else(|| {
        format!("unknown time zone `{text}`: write UTC, an offset such as +02:00, or a name such as Europe/Paris")
    })
}

/// Seconds east of UTC at a local time: the earlier one where it occurs twice, the one before the
/// gap where it does not occur.
pub(super) fn offset_at(tz: Tz, local: &NaiveDateTime) -> i32 {
    match tz.offset_from_local_datetime(local).earliest() {
        Some(offset) => offset.fix().local_minus_utc(),
        None => tz.offset_from_utc_datetime(local).fix().local_minus_utc(),
    }
}
