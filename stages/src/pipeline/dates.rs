//! Dates that need no pattern: ISO 8601, Unix epoch, RFC 3164, as the date remapper and the JSON
//! preprocessing of Datadog take them (documentation, "Log Date Remapper").
//!
//! A number is milliseconds. Two extensions in the preprocessing, which meets logs of any shipper, where
//! milliseconds make no sense: from 1e9 up to 1e10 it is read as seconds (as milliseconds it would be days
//! after 1970, which Datadog refuses as too old), and past the year 2262 as micro- or nanoseconds. The
//! remapper has neither: published pipelines multiply seconds themselves, and their cases expect the days
//! after 1970 where one does not. A missing zone is UTC; a missing year is the one that brings the date
//! closest to the receive time.

use schemas::time::EventTime;

use super::grok::date::{Civil, Reader};
use crate::value::Value;

/// Event time as the date remapper takes it: a number is milliseconds, whatever it may have been meant as.
pub(crate) fn from_millis(value: &Value<'_>, received: EventTime) -> Option<EventTime> {
    match value {
        Value::Int(number) => EventTime::from_millis(*number),
        Value::Float(number) if number.abs() < 9e12 => {
            Some(EventTime::from_nanos((*number * 1e6) as i64))
        }
        Value::Str(text) => match text.trim().parse::<i64>() {
            Ok(number) if text.trim().len() != 8 => EventTime::from_millis(number),
            _ => from_text(text, received),
        },
        _ => None,
    }
}

/// Event time from an attribute of a log as it came.
pub(crate) fn from_value(value: &Value<'_>, received: EventTime) -> Option<EventTime> {
    match value {
        Value::Int(number) => from_number(*number),
        Value::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
            from_number(*number as i64)
        }
        Value::Float(number) if (1e9..1e10).contains(number) => {
            Some(EventTime::from_nanos((*number * 1e6).round() as i64 * 1_000))
        }
        Value::Float(number) if number.abs() < 9e12 => {
            Some(EventTime::from_nanos((*number * 1e6) as i64))
        }
        Value::Str(text) => from_text(text, received),
        _ => None,
    }
}

fn from_number(number: i64) -> Option<EventTime> {
    match number.unsigned_abs() {
        1_000_000_000..10_000_000_000 => EventTime::from_seconds(number),
        0..9_000_000_000_000 => EventTime::from_millis(number),
        9_000_000_000_000..9_000_000_000_000_000 => EventTime::from_micros(number),
        _ => Some(EventTime::from_nanos(number)),
    }
}

fn from_text(text: &str, received: EventTime) -> Option<EventTime> {
    let text = text.trim();
    if let Ok(number) = text.parse::<i64>() {
        return if text.len() == 8 { iso(text) } else { from_number(number) };
    }
    iso(text).or_else(|| rfc3164(text, received))
}

/// ISO 8601: extended and basic date and time, fraction, zone; also a space instead of `T`.
fn iso(text: &str) -> Option<EventTime> {
    let mut reader = Reader::new(text);
    let mut civil = Civil { year: Some(reader.digits(4, 4)?), ..Civil::default() };
    let dashed = reader.eat('-');
    civil.month = Some(reader.digits(2, 2)?);
    if dashed && !reader.eat('-') {
        return None;
    }
    civil.day = Some(reader.digits(2, 2)?);
    if reader.eat('T') || reader.eat('t') || reader.eat(' ') {
        civil.hour = Some(reader.digits(2, 2)?);
        let colons = reader.eat(':');
        civil.minute = Some(reader.digits(2, 2)?);
        let seconds = if colons { reader.eat(':') } else { reader.at_digit() };
        if seconds {
            civil.second = Some(reader.digits(2, 2)?);
            if reader.eat('.') || reader.eat(',') {
                civil.nanos = reader.fraction()?;
            }
        }
        reader.eat(' ');
        if !reader.is_done() {
            civil.offset = Some(reader.offset()?);
        }
    }
    reader.is_done().then(|| civil.time(None, None)).flatten()
}

/// RFC 3164: `Jul 13 10:55:36`, the day padded with a space or a zero.
fn rfc3164(text: &str, received: EventTime) -> Option<EventTime> {
    let mut reader = Reader::new(text);
    let mut civil = Civil { month: Some(reader.month_name()?), ..Civil::default() };
    while reader.eat(' ') {}
    civil.day = Some(reader.digits(1, 2)?);
    while reader.eat(' ') {}
    civil.hour = Some(reader.digits(2, 2)?);
    civil.minute = reader.eat(':').then(|| reader.digits(2, 2)).flatten();
    civil.second = reader.eat(':').then(|| reader.digits(2, 2)).flatten();
    (reader.is_done() && civil.second.is_some()).then(|| civil.time(None, Some(received))).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::grok::date::DatePattern;

    fn with_pattern(pattern: &str, zone: Option<&str>, text: &str) -> Option<i64> {
        let pattern = DatePattern::compile(pattern, zone, None).expect("a pattern");
        let (end, time) = pattern.parse(text, EventTime::default())?;
        (end == text.len()).then_some(time.nanos().div_euclid(1_000_000))
    }

    #[test]
    fn documented_forms_are_read() {
        // 2026-01-02 00:00 UTC
        let received = EventTime::from_seconds(1_767_312_000).expect("in range");
        let read = |value| from_value(&value, received).map(EventTime::micros);
        for (value, micros) in [
            (Value::Str("2024-04-27T12:00:00Z"), 1_714_219_200_000_000),
            (Value::Str("2024-04-27T14:00:00.5+02:00"), 1_714_219_200_500_000),
            (Value::Str("2024-04-27 12:00:00,123456"), 1_714_219_200_123_456),
            (Value::Str("20240427T120000Z"), 1_714_219_200_000_000),
            (Value::Str("2024-04-27"), 1_714_176_000_000_000),
            (Value::Str("1714219200000"), 1_714_219_200_000_000),
            (Value::Int(1_714_219_200_000), 1_714_219_200_000_000),
            (Value::Int(51_615_000), 51_615_000_000),
            (Value::Int(1_714_219_200), 1_714_219_200_000_000),
            (Value::Int(1_714_219_200_000_001), 1_714_219_200_000_001),
            (Value::Float(1_714_219_200.25), 1_714_219_200_250_000),
            (Value::Str("Dec 31 23:59:59"), 1_767_225_599_000_000),
            (Value::Str("Jan  2 00:00:01"), 1_767_312_001_000_000),
        ] {
            assert_eq!(read(value), Some(micros), "{value:?}");
        }
        for text in ["", "yesterday", "2024-13-01", "2024-02-30T00:00:00Z", "2024-04-27T25:00:00"] {
            assert_eq!(read(Value::Str(text)), None, "{text}");
        }
    }

    #[test]
    fn a_number_is_milliseconds_for_the_remapper() {
        let read = |value| from_millis(&value, EventTime::default()).map(EventTime::micros);
        assert_eq!(read(Value::Int(1_604_933_654)), Some(1_604_933_654_000));
        assert_eq!(read(Value::Str("1604933654000")), Some(1_604_933_654_000_000));
        assert_eq!(read(Value::Str("2024-04-27T12:00:00Z")), Some(1_714_219_200_000_000));
    }

    #[test]
    fn documented_patterns_are_read() {
        for (pattern, zone, text, millis) in [
            ("HH:mm:ss", None, "14:20:15", 51_615_000),
            ("hh:mm:ss a", None, "02:20:15 PM", 51_615_000),
            ("dd/MM/yyyy", None, "11/10/2014", 1_412_985_600_000),
            ("dd/MM/yyyy", Some("Europe/Paris"), "11/10/2014", 1_412_978_400_000),
            ("EEE MMM dd HH:mm:ss yyyy", None, "Thu Jun 16 08:29:03 2016", 1_466_065_743_000),
            ("EEE MMM d HH:mm:ss yyyy", None, "Tue Nov 1 08:29:03 2016", 1_477_988_943_000),
            ("dd/MMM/yyyy:HH:mm:ss Z", None, "06/Mar/2013:01:36:30 +0900", 1_362_501_390_000),
            ("yyyy-MM-dd'T'HH:mm:ss.SSSZ", None, "2016-11-29T16:21:36.431+0000", 1_480_436_496_431),
            (
                "yyyy-MM-dd'T'HH:mm:ss.SSSZZ",
                None,
                "2016-11-29T16:21:36.431+00:00",
                1_480_436_496_431,
            ),
            ("dd/MMM/yyyy:HH:mm:ss.SSS", None, "06/Feb/2009:12:14:14.655", 1_233_922_454_655),
            ("yyyy-MM-dd HH:mm:ss.SSS z", None, "2007-08-31 19:22:22.427 ADT", 1_188_598_942_427),
            (
                "EEE MMM dd HH:mm:ss yyyy",
                Some("Europe/Paris"),
                "Thu Jun 16 08:29:03 2016",
                1_466_058_543_000,
            ),
            (
                "EEE MMM dd HH:mm:ss yyyy",
                Some("UTC+5"),
                "Thu Jun 16 08:29:03 2016",
                1_466_047_743_000,
            ),
            ("EEE MMM dd HH:mm:ss yyyy", Some("+3"), "Thu Jun 16 08:29:03 2016", 1_466_054_943_000),
            ("yyyy-MM-dd HH:mm:ss,SSS", None, "2024-04-27 12:00:00,123", 1_714_219_200_123),
            // Winter in Paris: the offset of that day, not of today.
            ("yyyy-MM-dd HH:mm", Some("Europe/Paris"), "2016-01-16 08:29", 1_452_929_340_000),
        ] {
            assert_eq!(with_pattern(pattern, zone, text), Some(millis), "{pattern} {text}");
        }
    }
}
