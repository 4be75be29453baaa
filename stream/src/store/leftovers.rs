//! What crashes leave of a local store's writes: files staged beside their targets that never got
//! there. Nothing lists or reads them; here they are found by their names and removed once no writer
//! can be at work on them any more.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use super::Config;
use crate::clock::Clock;

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Removes staged files of the store's directory that were last written longer ago than `age`. Does
/// nothing for a store that is no directory. Blocks; walks the whole directory.
///
/// # Errors
/// The directory can not be read. A file that can not be removed is left for the next time.
pub fn remove_leftovers(
    config: &Config,
    clock: &dyn Clock,
    age: Duration,
) -> io::Result<Leftovers> {
    let path = match config.url.split_once("://") {
        None => config.url.as_str(),
        Some(("file", path)) => path,
        Some(_) => return Ok(Leftovers::default()),
    };
    let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    let before = clock.unix_millis().saturating_sub(age);
    let mut found = Leftovers::default();
    let mut directories = vec![PathBuf::from(path)];
    while let Some(directory) = directories.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            // Removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                directories.push(entry.path());
            } else if kind.is_file() && is_staged(&entry.file_name().to_string_lossy()) {
                found.remove(&entry, before);
            }
        }
    }
    Ok(found)
}

impl Leftovers {
    fn remove(&mut self, entry: &fs::DirEntry, before: i64) {
        let Ok(metadata) = entry.metadata() else { return };
        let written = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let written = written.and_then(|since| i64::try_from(since.as_millis()).ok());
        if written.is_none_or(|written| written >= before) {
            return;
        }
        match fs::remove_file(entry.path()) {
            Ok(()) => {
                self.files += 1;
                self.bytes += metadata.len();
            }
            Err(error) => {
                tracing::warn!(path = %entry.path().display(), %error, "left over, and not removed")
            }
        }
    }
}

/// `<target>#<number>`.
fn is_staged(name: &str) -> bool {
    name.rsplit_once('#').is_some_and(|(target, number)| {
        !target.is_empty() && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::System;
    use crate::fixture::Hands;

    #[test]
    fn what_a_crash_left_goes_after_a_while_and_nothing_else() {
        let root = tempfile::tempdir().expect("temporary directory");
        let deep = root.path().join("tables/logs");
        fs::create_dir_all(&deep).expect("made");
        for name in ["part-1.parquet", "part-2.parquet#1", "part-2.parquet#17", "a#b", "#1", "x#"] {
            fs::write(deep.join(name), "12345").expect("written");
        }
        let url = root.path().to_str().expect("utf-8").to_owned();
        let config = Config { url: url.clone(), options: Default::default() };
        let hour = Duration::from_secs(3_600);
        let system = System::shared();
        let none = Leftovers::default();
        assert_eq!(remove_leftovers(&config, system.as_ref(), hour).expect("walks"), none);
        let later = Hands::default();
        later.pass(system.unix_millis() + 2 * 3_600_000);
        let found = remove_leftovers(&config, &later, hour).expect("walks");
        assert_eq!(found, Leftovers { files: 2, bytes: 10 });
        let mut left: Vec<_> = fs::read_dir(&deep)
            .expect("lists")
            .map(|entry| entry.expect("entry").file_name().into_string().expect("utf-8"))
            .collect();
        left.sort();
        assert_eq!(left, ["#1", "a#b", "part-1.parquet", "x#"]);
        let remote = Config { url: "s3://bucket/x".to_owned(), ..config };
        assert_eq!(remove_leftovers(&remote, &later, hour).expect("nothing to do"), none);
    }
}
