//! Dates by pattern: Joda-Time letters, as Datadog's `date` matcher takes them, compiled at load.
//!
//! Letters: `y Y M d D E a h H k K m s S z Z x w e C`, text in single quotes. A fraction (`S`) takes any number
//! of digits after `.` or `,`. A value without a date is on 1970-01-01 (documented: `14:20:15` gives
//! 51615000); one with a month but without a year is in the year closest to the receive time.

mod names;
mod zone;

use chrono::{Datelike, NaiveDate, Weekday};
use chrono_tz::Tz;
use schemas::time::EventTime;

use names::{ENGLISH, Names};
use zone::Zone;

/// The parts of a date as they were read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Civil {
    pub(crate) year: Option<u32>,
    pub(crate) month: Option<u32>,
    pub(crate) day: Option<u32>,
    pub(crate) day_of_year: Option<u32>,
    /// ISO 8601's year, week and day of the week.
    pub(crate) week_date: (Option<u32>, Option<u32>, Option<u32>),
    pub(crate) century: Option<u32>,
    pub(crate) hour: Option<u32>,
    pub(crate) minute: Option<u32>,
    pub(crate) second: Option<u32>,
    pub(crate) nanos: u32,
    pub(crate) afternoon: Option<bool>,
    /// Seconds east of UTC.
    pub(crate) offset: Option<i32>,
    pub(crate) zone: Option<Tz>,
}

impl Civil {
    /// Hour of the day, minute, second.
    fn clock(&self) -> Option<(u32, u32, u32)> {
        let hour = match (self.hour.unwrap_or(0), self.afternoon) {
            (hour @ 0..=12, Some(afternoon)) => hour % 12 + 12 * u32::from(afternoon),
            (_, Some(_)) => return None,
            (hour, None) => hour,
        };
        // A leap second counts as the last second before it.
        let second = self.second.unwrap_or(0);
        Some((hour, self.minute.unwrap_or(0), if second == 60 { 59 } else { second }))
    }

    /// The instant of a month and a day, or neither, at a fixed offset.
    fn plain(&self, year: i32, zone: Option<Zone>) -> Option<EventTime> {
        let days = days(year, self.month.unwrap_or(1), self.day.unwrap_or(1))?;
        let (hour, minute, second) = self.clock()?;
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let offset = match (self.offset, zone) {
            (Some(own), _) | (None, Some(Zone::Fixed(own))) => own,
            _ => 0,
        };
        let clock = i64::from(hour * 3_600 + minute * 60 + second) - i64::from(offset);
        let seconds = days * 86_400 + clock;
        let nanos = seconds.checked_mul(1_000_000_000)?.checked_add(i64::from(self.nanos))?;
        Some(EventTime::from_nanos(nanos))
    }

    /// The instant. `zone` is for dates that carry none; `received` finds a missing year.
    pub(crate) fn time(
        &self,
        zone: Option<Zone>,
        received: Option<EventTime>,
    ) -> Option<EventTime> {
        let (Some(received), None, Some(_)) = (received, self.year, self.month) else {
            let year = self.year.map_or(Some(1970), |year| i32::try_from(year).ok())?;
            return self.in_year(year, zone);
        };
        let now = chrono::DateTime::from_timestamp_nanos(received.nanos()).year();
        let years = [now, now - 1, now + 1];
        let times = years.into_iter().filter_map(|year| self.in_year(year, zone));
        times.min_by_key(|time| time.nanos().abs_diff(received.nanos()))
    }

    fn in_year(&self, year: i32, zone: Option<Zone>) -> Option<EventTime> {
        let fixed = self.zone.is_none() && !matches!(zone, Some(Zone::Named(_)));
        if fixed && self.day_of_year.is_none() && self.week_date.1.is_none() {
            return self.plain(year, zone);
        }
        let date = match (self.day_of_year, self.week_date) {
            (Some(day), _) => NaiveDate::from_yo_opt(year, day)?,
            (None, (week_year, Some(week), day)) => {
                let year = week_year.map_or(Some(year), |year| i32::try_from(year).ok())?;
                let day = u8::try_from(day.unwrap_or(1)).ok()?.checked_sub(1)?;
                NaiveDate::from_isoywd_opt(year, week, Weekday::try_from(day).ok()?)?
            }
            _ => NaiveDate::from_ymd_opt(year, self.month.unwrap_or(1), self.day.unwrap_or(1))?,
        };
        let (hour, minute, second) = self.clock()?;
        let local = date.and_hms_nano_opt(hour, minute, second, self.nanos)?;
        let own = self.offset.map(Zone::Fixed).or(self.zone.map(Zone::Named));
        let seconds = match own.or(zone) {
            None => 0,
            Some(Zone::Fixed(seconds)) => seconds,
            Some(Zone::Named(tz)) => zone::offset_at(tz, &local),
        };
        let utc = local.and_utc();
        let nanos = i128::from(utc.timestamp() - i64::from(seconds)) * 1_000_000_000
            + i128::from(utc.timestamp_subsec_nanos());
        i64::try_from(nanos).ok().map(EventTime::from_nanos)
    }
}

/// Days from 1970-01-01 to a day of the proleptic Gregorian calendar, if there is such a day: years begin in
/// March here, so that the day a leap year has more is its last.
fn days(year: i32, month: u32, day: u32) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if day == 0 || day > last {
        return None;
    }
    let year = i64::from(year) - i64::from(month <= 2);
    let (month, day) = (i64::from((month + 9) % 12), i64::from(day));
    let of_year = (153 * month + 2) / 5 + day - 1;
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    /// From the first of March of the year 0 to 1970.
    const EPOCH: i64 = 719_468;
    Some(year * 365 + leaps + of_year - EPOCH)
}

/// A place in a text that is being read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'t [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    pub(crate) fn is_done(&self) -> bool {
        self.at == self.text.len()
    }

    pub(crate) fn at_digit(&self) -> bool {
        self.rest().first().is_some_and(u8::is_ascii_digit)
    }

    #[inline]
    pub(crate) fn eat(&mut self, character: char) -> bool {
        if character.is_ascii() {
            let found = self.text.as_bytes().get(self.at) == Some(&(character as u8));
            self.at += usize::from(found);
            return found;
        }
        let found = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(character));
        self.at += if found { character.len_utf8() } else { 0 };
        found
    }

    /// A number of `min` to `max` digits.
    #[inline]
    pub(crate) fn digits(&mut self, min: usize, max: usize) -> Option<u32> {
        if let (2, 2, [tens, ones, ..]) = (min, max, self.rest())
            && tens.is_ascii_digit()
            && ones.is_ascii_digit()
        {
            let number = u32::from(tens - b'0') * 10 + u32::from(ones - b'0');
            self.at += 2;
            return Some(number);
        }
        let run = self.rest().iter().take(max).take_while(|byte| byte.is_ascii_digit());
        let mut count = 0;
        let number = run.fold(0u32, |number, byte| {
            count += 1;
            number.wrapping_mul(10).wrapping_add(u32::from(byte - b'0'))
        });
        self.at += count;
        (count >= min).then_some(number)
    }

    /// Digits of a fraction of a second, as nanoseconds.
    pub(crate) fn fraction(&mut self) -> Option<u32> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        let digits = self.rest().iter().copied().take(count).chain(std::iter::repeat(b'0'));
        let nanos = digits.take(9).fold(0, |number, byte| number * 10 + u32::from(byte - b'0'));
        self.at += count;
        (count > 0).then_some(nanos)
    }

    /// A month by its English name or its first three letters, any case.
    pub(crate) fn month_name(&mut self) -> Option<u32> {
        self.month_of(ENGLISH)
    }

    fn month_of(&mut self, names: &Names) -> Option<u32> {
        let (month, length) = names.month(self.text.get(self.at..)?)?;
        self.at += length;
        Some(month)
    }

    /// `Z`, `+h`, `+hh`, `+hhmm`, `+hh:mm`, `+hh:mm:ss`: seconds east of UTC.
    pub(crate) fn offset(&mut self) -> Option<i32> {
        if self.eat('Z') || self.eat('z') {
            return Some(0);
        }
        let sign = if self.eat('+') {
            1
        } else if self.eat('-') {
            -1
        } else {
            return None;
        };
        let hours = self.digits(1, 2)?;
        let colon = self.colon();
        let minutes = if colon || self.at_digit() { self.digits(2, 2)? } else { 0 };
        // Digits right behind four of them are not the offset's.
        let seconds = if colon && self.colon() { self.digits(2, 2)? } else { 0 };
        let total = i32::try_from(hours * 3_600 + minutes * 60 + seconds).ok()?;
        (minutes < 60 && seconds < 60 && total <= 18 * 3_600).then_some(sign * total)
    }

    /// A colon with a digit behind it; one without is what follows the offset.
    fn colon(&mut self) -> bool {
        let found = matches!(self.rest(), [b':', digit, ..] if digit.is_ascii_digit());
        self.at += usize::from(found);
        found
    }

    /// A zone's abbreviation or its name in the tz database, or an offset.
    fn zone(&mut self, civil: &mut Civil) -> Option<()> {
        let named = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'/' | b'_');
        let length = self.rest().iter().take_while(|byte| named(byte)).count();
        if length == 0 {
            civil.offset = Some(self.offset()?);
            return Some(());
        }
        match zone::by_name(self.text.get(self.at..self.at + length)?)? {
            Zone::Fixed(seconds) => civil.offset = Some(seconds),
            Zone::Named(tz) => civil.zone = Some(tz),
        }
        self.at += length;
        Some(())
    }
}

/// One element of a pattern.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Item {
    Year(usize, usize),
    ShortYear,
    Month(usize),
    MonthName,
    Day(usize),
    DayOfYear,
    DayName,
    DayOfWeek,
    WeekYear(usize),
    Week(usize),
    Century,
    AmPm,
    Hour(usize),
    /// 1 to 24.
    ClockHour(usize),
    Minute(usize),
    Second(usize),
    Fraction,
    Offset,
    Zone,
    /// `.` or `,` before a fraction.
    Point,
    Literal(char),
}

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(crate) struct DatePattern {
    items: Vec<Item>,
    zone: Option<Zone>,
    names: &'static Names,
}

impl DatePattern {
    /// Compiles a pattern, a zone for dates that carry none, and a locale for names; or says what is
    /// wrong.
    pub(crate) fn compile(
        pattern: &str,
        zone: Option<&str>,
        locale: Option<&str>,
    ) -> Result<Self, String> {
        let mut items = Vec::new();
        let mut rest = pattern.chars().peekable();
        while let Some(letter) = rest.next() {
            if letter == '\'' {
                quoted(&mut rest, &mut items)?;
            } else if letter.is_ascii_alphabetic() {
                let mut count = 1;
                while rest.next_if_eq(&letter).is_some() {
                    count += 1;
                }
                items.push(item(letter, count)?);
            } else {
                items.push(Item::Literal(letter));
            }
        }
        for index in 1..items.len() {
            if items[index] == Item::Fraction
                && matches!(items[index - 1], Item::Literal('.' | ','))
            {
                items[index - 1] = Item::Point;
            }
        }
        if items.is_empty() {
            return Err(
                "an empty date pattern: write for example \"yyyy-MM-dd HH:mm:ss\"".to_owned()
            );
        }
        let names = locale.map_or(Ok(ENGLISH), names::of_locale)?;
        Ok(Self { items, zone: zone.map(zone::parse).transpose()?, names })
    }

    /// Where a text of this shape at the start of `text` ends; there may be no such day.
    pub(crate) fn end(&self, text: &str) -> Option<usize> {
        self.civil(text).map(|(end, _)| end)
    }

    /// A text of this shape at the start of `text`: its length and its parts; there may be no such day.
    pub(crate) fn civil(&self, text: &str) -> Option<(usize, Civil)> {
        let mut reader = Reader::new(text);
        let mut civil = Civil::default();
        for item in &self.items {
            read(*item, self.names, &mut reader, &mut civil)?;
        }
        Some((reader.at, civil))
    }

    /// Whether a date can start with this byte; rather once too often.
    pub(crate) fn can_start_with(&self, byte: u8) -> bool {
        match self.items.first() {
            None | Some(Item::MonthName | Item::DayName | Item::AmPm) => {
                byte.is_ascii_alphabetic() || !byte.is_ascii()
            }
            Some(Item::Offset) => matches!(byte, b'Z' | b'z' | b'+' | b'-'),
            Some(Item::Zone) => {
                byte.is_ascii_alphabetic() || matches!(byte, b'/' | b'_' | b'+' | b'-')
            }
            Some(Item::Point) => matches!(byte, b'.' | b','),
            Some(Item::Literal(own)) => {
                let mut first = [0; 4];
                own.encode_utf8(&mut first).as_bytes().first() == Some(&byte)
            }
            Some(Item::Day(1)) => byte.is_ascii_digit() || byte == b' ',
            Some(_) => byte.is_ascii_digit(),
        }
    }

    /// The instant of parts it has read.
    pub(crate) fn time(&self, civil: &Civil, received: EventTime) -> Option<EventTime> {
        civil.time(self.zone, Some(received))
    }

    /// Reads a date at the start of `text`: where it ends, and the instant.
    pub(crate) fn parse(&self, text: &str, received: EventTime) -> Option<(usize, EventTime)> {
        let (end, civil) = self.civil(text)?;
        Some((end, civil.time(self.zone, Some(received))?))
    }

    /// The same as a regular expression, for rules that need one.
    pub(crate) fn source(&self) -> String {
        let mut source = String::new();
        for item in &self.items {
            match item {
                Item::Year(min, max) => source.push_str(&format!("[0-9]{{{min},{max}}}")),
                Item::ShortYear => source.push_str("[0-9]{2}"),
                Item::Day(1) => source.push_str(" *[0-9]{1,2}"),
                Item::Month(min)
                | Item::Day(min)
                | Item::Hour(min)
                | Item::Minute(min)
                | Item::Second(min) => source.push_str(&format!("[0-9]{{{min},2}}")),
                Item::WeekYear(min) => source.push_str(&format!("[0-9]{{{min},4}}")),
                Item::ClockHour(min) | Item::Week(min) => {
                    source.push_str(&format!("[0-9]{{{min},2}}"));
                }
                Item::DayOfWeek => source.push_str("[0-9]"),
                Item::Century => source.push_str("[0-9]{2}"),
                Item::DayOfYear => source.push_str("[0-9]{1,3}"),
                Item::MonthName | Item::DayName => source.push_str(r"[\w-]{2,14}\.?"),
                Item::AmPm => source.push_str(r"(?i:[ap]m|[ap]\. ?m\.)"),
                Item::Fraction => source.push_str("[0-9]+"),
                Item::Offset => source.push_str("(?:[Zz]|[+-][0-9:]{1,8})"),
                Item::Zone => source.push_str("(?:[A-Za-z/_]+|[+-][0-9:]{1,8})"),
                Item::Point => source.push_str("[.,]"),
                Item::Literal(character) => source.push_str(&regex::escape(&character.to_string())),
            }
        }
        source
    }
}

/// Text in single quotes; two of them are one quote.
fn quoted(
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
    items: &mut Vec<Item>,
) -> Result<(), String> {
    if rest.next_if_eq(&'\'').is_some() {
        items.push(Item::Literal('\''));
        return Ok(());
    }
    loop {
        match rest.next() {
            None => return Err("a quote without its end in the date pattern".to_owned()),
            Some('\'') if rest.next_if_eq(&'\'').is_none() => return Ok(()),
            Some(character) => items.push(Item::Literal(character)),
        }
    }
}

fn item(letter: char, count: usize) -> Result<Item, String> {
    Ok(match (letter, count) {
        ('y' | 'Y', 2) => Item::ShortYear,
        ('y' | 'Y', 4) => Item::Year(4, 4),
        ('y' | 'Y', _) => Item::Year(1, 4),
        ('M', 1 | 2) => Item::Month(count),
        ('M', _) => Item::MonthName,
        ('d', _) => Item::Day(count.min(2)),
        ('D', _) => Item::DayOfYear,
        ('E', _) => Item::DayName,
        ('a', _) => Item::AmPm,
        ('h' | 'H' | 'K', _) => Item::Hour(count.min(2)),
        ('k', _) => Item::ClockHour(count.min(2)),
        ('x', _) => Item::WeekYear(count.min(4)),
        ('w', _) => Item::Week(count.min(2)),
        ('e', _) => Item::DayOfWeek,
        ('C' | 'c', _) => Item::Century,
        ('m', _) => Item::Minute(count.min(2)),
        ('s', _) => Item::Second(count.min(2)),
        ('S', _) => Item::Fraction,
        ('Z', 1 | 2) => Item::Offset,
        ('Z' | 'z', _) => Item::Zone,
        _ => {
            return Err(format!(
                "`{letter}` is no letter of a date pattern: use y M d D E a h H k K m s S z Z x w e C, \
                 and put text in single quotes ('{letter}')"
            ));
        }
    })
}

fn read(item: Item, names: &Names, reader: &mut Reader<'_>, civil: &mut Civil) -> Option<()> {
    match item {
        Item::Year(min, max) => civil.year = Some(reader.digits(min, max)?),
        // As Joda and POSIX have it: 69 to 99 are the last century.
        Item::ShortYear => {
            let year = reader.digits(2, 2)?;
            civil.year = Some(match civil.century {
                Some(century) => century * 100 + year,
                None if year < 69 => 2000 + year,
                None => 1900 + year,
            });
        }
        Item::Month(min) => civil.month = Some(reader.digits(min, 2)?),
        Item::MonthName => civil.month = Some(reader.month_of(names)?),
        Item::Day(min) => {
            while min == 1 && reader.eat(' ') {}
            civil.day = Some(reader.digits(min, 2)?);
        }
        Item::DayOfYear => civil.day_of_year = Some(reader.digits(1, 3)?),
        Item::DayName => reader.at += names.day(reader.text.get(reader.at..)?)?,
        Item::DayOfWeek => civil.week_date.2 = Some(reader.digits(1, 1)?),
        Item::WeekYear(min) => civil.week_date.0 = Some(reader.digits(min, 4)?),
        Item::Week(min) => civil.week_date.1 = Some(reader.digits(min, 2)?),
        Item::Century => civil.century = Some(reader.digits(2, 2)?),
        Item::AmPm => {
            let (afternoon, length) = names.afternoon(reader.text.get(reader.at..)?)?;
            civil.afternoon = Some(afternoon);
            reader.at += length;
        }
        Item::ClockHour(min) => civil.hour = Some(reader.digits(min, 2)? % 24),
        Item::Hour(min) => civil.hour = Some(reader.digits(min, 2)?),
        Item::Minute(min) => civil.minute = Some(reader.digits(min, 2)?),
        Item::Second(min) => civil.second = Some(reader.digits(min, 2)?),
        Item::Fraction => civil.nanos = reader.fraction()?,
        Item::Offset => civil.offset = Some(reader.offset()?),
        Item::Zone => reader.zone(civil)?,
        Item::Point => (reader.eat('.') || reader.eat(',')).then_some(())?,
        Item::Literal(character) => reader.eat(character).then_some(())?,
    }
    Some(())
}
