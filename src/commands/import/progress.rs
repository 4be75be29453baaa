//! How far an import is: a file in the data directory, so that the same command goes on after a stop, and does
//! not import twice what is done.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use stream::archive::{Batch, Position};

use crate::cli::ImportArgs;

/// Pause before a full queue is tried again.
pub(super) const PAUSE: Duration = Duration::from_millis(200);
/// Time between two lines about the progress.
const TELL: Duration = Duration::from_secs(2);

/// How far an import is.
pub(super) struct Progress {
    file: PathBuf,
    written: Written,
    pub(super) position: Position,
    /// Findings of this run.
    pub(super) troubles: usize,
    total: u64,
    bytes_done: u64,
    began: Instant,
    told: Instant,
    before: u64,
}

/// What the file holds.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    path: String,
    fingerprint: String,
    records: u64,
    done: bool,
    position: Position,
}

impl Progress {
    /// Reads how far the import of this path is.
    pub(super) fn load(
        data_dir: &Path,
        args: &ImportArgs,
        fingerprint: &str,
        total: u64,
    ) -> anyhow::Result<Self> {
        // A name for the path: what stands in it may not stand in a file's name.
        let name: String = args
            .path
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' })
            .collect();
        let tail = name.len().saturating_sub(150);
        let file = data_dir.join("imports").join(format!("{}.json", &name[tail..]));
        let mut written = match std::fs::read(&file) {
            _ if args.dry_run => Written::default(),
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("{}: delete it to begin again", file.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Written::default(),
            Err(error) => return Err(error).with_context(|| format!("{}", file.display())),
        };
        let is_known = written.path == args.path;
        if is_known && written.done && !args.again {
            bail!(
                "{} was imported before, {} records; import it once more with --again",
                args.path,
                written.records
            );
        }
        if is_known && !written.done && written.fingerprint != fingerprint && !args.again {
            bail!(
                "{} has other files than when its import began; begin again from its start with --again, which sends again \
                 what was sent",
                args.path
            );
        }
        if !is_known || args.again {
            written = Written {
                path: args.path.clone(),
                fingerprint: fingerprint.to_owned(),
                ..Written::default()
            };
        }
        let now = Instant::now();
        Ok(Self {
            file,
            position: written.position.clone(),
            before: written.records,
            written,
            troubles: 0,
            total,
            bytes_done: 0,
            began: now,
            told: now,
        })
    }

    pub(super) fn is_done(&self) -> bool {
        self.written.done
    }

    /// A batch was acknowledged.
    pub(super) fn take(&mut self, batch: Batch) {
        self.written.records += batch.records.len() as u64;
        self.written.done = batch.done;
        self.troubles += batch.findings.len();
        self.bytes_done = batch.bytes_done;
        self.position = batch.next;
    }

    /// Writes it down; a kill leaves the old or the new.
    pub(super) fn save(&mut self) -> anyhow::Result<()> {
        self.written.position = self.position.clone();
        let failed = || format!("{}", self.file.display());
        if let Some(directory) = self.file.parent() {
            std::fs::create_dir_all(directory).with_context(failed)?;
        }
        let new = self.file.with_extension("new");
        std::fs::write(&new, serde_json::to_vec(&self.written)?).with_context(failed)?;
        std::fs::rename(&new, &self.file).with_context(failed)
    }

    /// Says every few seconds how far it is, how fast, and how long it will take.
    pub(super) fn tell(&mut self) {
        if self.told.elapsed() < TELL {
            return;
        }
        self.told = Instant::now();
        let seconds = self.began.elapsed().as_secs_f64();
        let rate = (self.written.records - self.before) as f64 / seconds;
        let share = self.bytes_done as f64 / self.total.max(1) as f64;
        let left = seconds / share.max(0.001) - seconds;
        eprintln!(
            "{} records, {:.0} %, {rate:.0} records/s, about {left:.0} s left",
            self.written.records,
            share * 100.0
        );
    }

    /// The last word.
    pub(super) fn summary(&self, is_dry: bool) -> String {
        let what = if is_dry { "would be sent" } else { "sent" };
        let records = self.written.records;
        let troubles = self.troubles;
        let found = match troubles {
            0 => String::new(),
            1 => "; one finding, see above".to_owned(),
            _ => format!("; {troubles} findings, see above"),
        };
        format!("{records} records {what}{found}")
    }
}
