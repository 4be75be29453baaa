//! Event time: nanoseconds since the Unix epoch, UTC. No clock in here.

/// A point in event time, in nanoseconds since 1970-01-01T00:00:00Z. Covers 1677 to 2262.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct EventTime(i64);

/// Nanoseconds per microsecond.
const NANOS_PER_MICRO: i64 = 1_000;
/// Nanoseconds per millisecond.
const NANOS_PER_MILLI: i64 = 1_000_000;
/// Nanoseconds per second.
const NANOS_PER_SECOND: i64 = 1_000_000_000;
/// Seconds per hour.
const SECONDS_PER_HOUR: i64 = 3_600;

impl EventTime {
    /// From nanoseconds.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From OTLP's unsigned nanoseconds; zero means "unknown" there, and values past 2262 cannot
    /// be held: both are `None`.
    pub fn from_unsigned_nanos(nanos: u64) -> Option<Self> {
        (nanos != 0).then_some(())?;
        i64::try_from(nanos).ok().map(Self)
    }

    /// From microseconds; `None` outside 1677 to 2262.
    pub fn from_micros(micros: i64) -> Option<Self> {
        micros.checked_mul(NANOS_PER_MICRO).map(Self)
    }

    /// From milliseconds; `None` outside 1677 to 2262.
    pub fn from_millis(millis: i64) -> Option<Self> {
        millis.checked_mul(NANOS_PER_MILLI).map(Self)
    }

    /// From seconds; `None` outside 1677 to 2262.
    pub fn from_seconds(seconds: i64) -> Option<Self> {
        seconds.checked_mul(NANOS_PER_SECOND).map(Self)
    }

    /// Nanoseconds since the epoch.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Microseconds since the epoch, rounded down: what the tables' `timestamp` columns hold.
    pub const fn micros(self) -> i64 {
        self.0.div_euclid(NANOS_PER_MICRO)
    }

    /// The table partition this time falls into.
    pub const fn hour(self) -> EventHour {
        EventHour(self.0.div_euclid(NANOS_PER_SECOND * SECONDS_PER_HOUR) as i32)
    }

    /// Start of the bucket of `width` nanoseconds this time falls into, aligned to the epoch.
    pub const fn bucket(self, width: i64) -> Self {
        Self(self.0.div_euclid(width).saturating_mul(width))
    }
}

/// One hour of event time, counted from the epoch: the partition unit of every table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventHour(i32);

impl EventHour {
    /// Hours since the epoch.
    pub const fn number(self) -> i32 {
        self.0
    }

    /// Days since the epoch: the partition column `date` as Arrow `Date32`.
    pub const fn day(self) -> i32 {
        self.0.div_euclid(24)
    }

    /// 0 to 23: the partition column `hour`.
    pub const fn hour_of_day(self) -> i32 {
        self.0.rem_euclid(24)
    }

    /// `YYYY-MM-DD`, as it stands in the partition path.
    pub fn date(self) -> String {
        let (year, month, day) = civil_from_days(i64::from(self.day()));
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// First instant of the hour.
    pub const fn start(self) -> EventTime {
        EventTime((self.0 as i64).saturating_mul(SECONDS_PER_HOUR * NANOS_PER_SECOND))
    }
}

/// Year, month, day of a day number (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
pub fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u32;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 } as u32;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_hour_names_its_partition() {
        let time = EventTime::from_nanos(1_714_219_200_123_456_789);
        assert_eq!(time.hour().date(), "2024-04-27");
        assert_eq!(time.hour().hour_of_day(), 12);
        assert_eq!(time.micros(), 1_714_219_200_123_456);
    }

    #[test]
    fn times_before_the_epoch_round_down() {
        let time = EventTime::from_nanos(-1);
        assert_eq!(time.micros(), -1);
        assert_eq!(time.hour().date(), "1969-12-31");
        assert_eq!(time.hour().hour_of_day(), 23);
        assert_eq!(EventTime::from_seconds(i64::MAX), None);
    }

    proptest! {
        #[test]
        fn an_hour_holds_the_times_it_is_named_for(nanos: i64) {
            let hour = EventTime::from_nanos(nanos).hour();
            prop_assert_eq!(hour.number(), hour.day() * 24 + hour.hour_of_day());
            if let Some(start) = i64::from(hour.number()).checked_mul(3_600_000_000_000) {
                prop_assert!(start <= nanos && nanos - start < 3_600_000_000_000);
            }
        }
    }
}
