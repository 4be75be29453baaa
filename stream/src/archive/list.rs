//! Which files an archive is, in which order, and the time each stands for.

use std::sync::Arc;

use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _};
use schemas::limits::MAX_ARCHIVE_FILES;
use schemas::time::EventTime;

use super::{ArchiveError, Options};

/// Nanoseconds of an hour.
const HOUR: i64 = 3_600_000_000_000;

/// A file of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path in the store.
    pub path: Path,
    /// Bytes.
    pub size: u64,
    /// What the store tells versions of it apart by.
    pub version: Option<String>,
    /// The time of logs in it that have none: the one in its path, else when it was written.
    pub time: EventTime,
}

/// Lists one file, or all below a path.
pub(super) async fn list(
    store: &Arc<dyn ObjectStore>,
    path: &Path,
    options: &Options,
) -> Result<Vec<File>, ArchiveError> {
    if !path.as_ref().is_empty()
        && let Ok(meta) = store.head(path).await
    {
        refuse(&meta)?;
        return Ok(vec![file(meta)]);
    }
    let mut files = Vec::new();
    let mut listing = store.list(Some(path).filter(|path| !path.as_ref().is_empty()));
    let failed = |source| ArchiveError::Store { path: path.to_string(), source };
    while let Some(meta) = listing.try_next().await.map_err(failed)? {
        if meta.location.parts().any(|part| part.as_ref() == "_delta_log") {
            return Err(ArchiveError::DeltaTable { path: meta.location.to_string() });
        }
        if is_hidden(&meta.location, path) || meta.size == 0 {
            continue;
        }
        let outside = options.time.is_some_and(|(from, to)| {
            hour(meta.location.as_ref()).is_some_and(|start| {
                start.nanos() >= to.nanos() || start.nanos() + HOUR <= from.nanos()
            })
        });
        if outside {
            continue;
        }
        refuse(&meta)?;
        if files.len() == MAX_ARCHIVE_FILES {
            return Err(ArchiveError::TooMany { path: path.to_string(), most: MAX_ARCHIVE_FILES });
        }
        files.push(file(meta));
    }
    if files.is_empty() && options.time.is_none() {
        return Err(ArchiveError::Empty { path: path.to_string() });
    }
    // Stores list in orders of their own.
    files.sort_unstable_by(|one, other| one.path.as_ref().cmp(other.path.as_ref()));
    Ok(files)
}

fn file(meta: ObjectMeta) -> File {
    let written = meta.last_modified.timestamp_nanos_opt().map(EventTime::from_nanos);
    let time = time(meta.location.as_ref()).or(written).unwrap_or_default();
    File { time, size: meta.size, version: meta.e_tag, path: meta.location }
}

/// Below the path asked for, a name that begins with a dot or an underscore is nobody's log: `.part`
/// files, `_SUCCESS`, `_temporary`.
fn is_hidden(path: &Path, root: &Path) -> bool {
    let below = path.prefix_match(root);
    below.is_some_and(|mut parts| {
        parts.any(|part| {
            let name = part.as_ref();
            name.starts_with('.') || (name.starts_with('_') && !name.contains('='))
        })
    })
}

/// Kinds of files that are known and not read, by the end of their name.
const UNSUPPORTED: [(&[&str], &str, &str); 7] = [
    (&[".tar", ".tgz", ".tar.gz", ".tar.zst", ".zip", ".7z"], "a container of files", "unpack it"),
    (&[".bz2"], "bzip2", "decompress it with bunzip2"),
    (&[".xz", ".lzma"], "xz", "decompress it with unxz"),
    (&[".lz4"], "lz4", "decompress it with lz4 -d"),
    (&[".sz", ".snappy"], "snappy", "decompress it, or write it as zstd"),
    (&[".avro"], "Avro", "convert it to Parquet or JSON lines"),
    (&[".orc"], "ORC", "convert it to Parquet or JSON lines"),
];

/// Refuses before anything is read what is known to end badly.
fn refuse(meta: &ObjectMeta) -> Result<(), ArchiveError> {
    let name = meta.location.as_ref().to_ascii_lowercase();
    let found = UNSUPPORTED.iter().find(|(ends, ..)| ends.iter().any(|end| name.ends_with(end)));
    match found {
        Some((_, what, fix)) => {
            Err(ArchiveError::Unsupported { path: meta.location.to_string(), what, fix })
        }
        None => Ok(()),
    }
}

/// The start of the hour a path is named for: `dt=20240501/hour=10` of Datadog's archives,
/// `date=2024-05-01/hour=10` of our tables.
fn hour(path: &str) -> Option<EventTime> {
    let value = |key: &str| path.split('/').find_map(|part| part.strip_prefix(key));
    let day = day(value("dt=").or_else(|| value("date="))?)?;
    let hour: i64 = value("hour=")?.parse().ok().filter(|hour| (0..24).contains(hour))?;
    Some(EventTime::from_nanos(day.nanos() + hour * HOUR))
}

/// The time in a path: its hour, else the last date in it, with an hour behind it if one is there.
fn time(path: &str) -> Option<EventTime> {
    if let Some(hour) = hour(path) {
        return Some(hour);
    }
    let bytes = path.as_bytes();
    let starts = (0..bytes.len()).rev().filter(|&index| {
        bytes[index].is_ascii_digit() && (index == 0 || !bytes[index - 1].is_ascii_digit())
    });
    starts.filter_map(|start| dated(&path[start..])).next()
}

/// A date at the start of the text: `2024-05-01`, `2024/05/01`, `20240501`, then perhaps `T10`, `-10`, `/10`.
fn dated(text: &str) -> Option<EventTime> {
    let separated = text.get(..10).and_then(day).map(|day| (day, 10));
    let (day, length) = separated.or_else(|| {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        // 8 digits are a date, 10, 12 and 14 have a time behind it.
        matches!(digits, 8 | 10 | 12 | 14)
            .then(|| text.get(..8).and_then(day))
            .flatten()
            .map(|day| (day, 8))
    })?;
    let rest = &text[length..];
    let rest = rest.strip_prefix(['T', '-', '_', '/', ' ']).unwrap_or(rest);
    let hour = rest.get(..2).filter(|hour| hour.bytes().all(|byte| byte.is_ascii_digit()));
    let hour = hour.and_then(|hour| hour.parse().ok()).filter(|hour| (0..24).contains(hour));
    Some(EventTime::from_nanos(day.nanos() + hour.unwrap_or(0) * HOUR))
}

/// Midnight of `2024-05-01`, `2024/05/01` or `20240501`.
fn day(text: &str) -> Option<EventTime> {
    let bytes = text.as_bytes();
    if !text.is_ascii() {
        return None;
    }
    let parts = match bytes.len() {
        8 => [&text[..4], &text[4..6], &text[6..]],
        10 if matches!(bytes[4], b'-' | b'/') && bytes[7] == bytes[4] => {
            [text.get(..4)?, text.get(5..7)?, text.get(8..)?]
        }
        _ => return None,
    };
    if !parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit())) {
        return None;
    }
    let [year, month, day] = parts.map(|part| part.parse::<u32>().unwrap_or(0));
    if !(1970..2200).contains(&year) {
        return None;
    }
    let date = chrono::NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    let midnight = date.and_hms_opt(0, 0, 0)?.and_utc();
    midnight.timestamp_nanos_opt().map(EventTime::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_file_is_the_one_in_its_path() {
        let at = |text: &str| {
            let time = chrono::DateTime::parse_from_rfc3339(text).expect("a time");
            Some(EventTime::from_nanos(time.timestamp_nanos_opt().expect("in range")))
        };
        for (path, wanted) in [
            (
                "a/dt=20180515/hour=14/archive_143201.1234.7dq1a9mnSya3bFotoErfxl.json.gz",
                at("2018-05-15T14:00:00Z"),
            ),
            ("tables/logs/date=2024-05-01/hour=03/x.parquet", at("2024-05-01T03:00:00Z")),
            ("app-2024-05-01.log", at("2024-05-01T00:00:00Z")),
            ("app-20240501.log.gz", at("2024-05-01T00:00:00Z")),
            ("app.log.2024-05-01-13", at("2024-05-01T13:00:00Z")),
            ("2024/05/01/13/app.log", at("2024-05-01T13:00:00Z")),
            ("app-2024-05-01T13.jsonl", at("2024-05-01T13:00:00Z")),
            ("20230101/app-20240501101500.log", at("2024-05-01T10:00:00Z")),
            ("app.log", None),
            ("app-20241399.log", None),
            ("app-1234567890.log", None),
        ] {
            assert_eq!(time(path), wanted, "{path}");
        }
    }
}
