//! Power cuts, for tests: a journal of what the durable store did to its disk, and what of it may be
//! left when the power goes between two of these steps.
//!
//! The model is that of a disk that owes nothing without an fsync (after ALICE, Pillai and others,
//! 2014): bytes of a file are there, or gone, or there in part until the file was fsynced; a name is
//! there or not until its directory was fsynced, whatever other names of that directory do. A rename
//! happens or does not.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use object_store::ObjectStore;

use super::disk::Disk;
use super::durable::DurableStore;
use crate::simulation::chance::Chance;

/// "No space left on device", on Linux and macOS.
const ENOSPC: i32 = 28;

/// One change, in the order it was made.
#[derive(Debug, Clone)]
enum Step {
    Created(PathBuf),
    Wrote(PathBuf, u64, Vec<u8>),
    Synced(PathBuf),
    Linked(PathBuf, PathBuf),
    Renamed(PathBuf, PathBuf),
    Removed(PathBuf),
    Made(PathBuf),
    SyncedDirectory(PathBuf),
}

/// What was done to a disk, and what is wrong with it.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    steps: Mutex<Vec<Step>>,
    /// Bytes that still fit, when there is a limit.
    room: Mutex<Option<u64>>,
    refused: AtomicU64,
    /// Fsyncs until one fails.
    failing: AtomicU64,
    failed: AtomicU64,
}

impl Journal {
    fn note(&self, step: Step) {
        self.steps.lock().expect("not poisoned").push(step);
    }

    pub(super) fn created(&self, path: &Path) {
        self.note(Step::Created(path.to_owned()));
    }

    pub(super) fn wrote(&self, path: &Path, offset: u64, bytes: &[u8]) {
        self.note(Step::Wrote(path.to_owned(), offset, bytes.to_vec()));
    }

    pub(super) fn linked(&self, from: &Path, to: &Path) {
        self.note(Step::Linked(from.to_owned(), to.to_owned()));
    }

    pub(super) fn renamed(&self, from: &Path, to: &Path) {
        self.note(Step::Renamed(from.to_owned(), to.to_owned()));
    }

    pub(super) fn removed(&self, path: &Path) {
        self.note(Step::Removed(path.to_owned()));
    }

    pub(super) fn made(&self, path: &Path) {
        self.note(Step::Made(path.to_owned()));
    }

    pub(super) fn sync(&self, path: &Path) -> io::Result<()> {
        self.fail_if_due()?;
        self.note(Step::Synced(path.to_owned()));
        Ok(())
    }

    pub(super) fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.fail_if_due()?;
        self.note(Step::SyncedDirectory(path.to_owned()));
        Ok(())
    }

    fn fail_if_due(&self) -> io::Result<()> {
        let due = self.failing.load(Ordering::SeqCst);
        if due > 0 && self.failing.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.failed.fetch_add(1, Ordering::SeqCst);
            return Err(io::Error::other("injected: fsync failed"));
        }
        Ok(())
    }

    /// What of these bytes still fits, and the error that the rest meets.
    pub(super) fn room<'b>(&self, bytes: &'b [u8]) -> (&'b [u8], Option<io::Error>) {
        let mut room = self.room.lock().expect("not poisoned");
        let Some(left) = room.as_mut() else { return (bytes, None) };
        let fits = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
        *left -= fits as u64;
        if fits == bytes.len() {
            return (bytes, None);
        }
        self.refused.fetch_add(1, Ordering::SeqCst);
        (&bytes[..fits], Some(io::Error::from_raw_os_error(ENOSPC)))
    }

    /// From now on only so many bytes fit; `None`: there is room again.
    pub(crate) fn limit(&self, bytes: Option<u64>) {
        *self.room.lock().expect("not poisoned") = bytes;
    }

    /// Writes that met a full disk.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::SeqCst)
    }

    /// Lets the fsync after so many others fail.
    pub(crate) fn fail_sync(&self, after: u64) {
        self.failing.store(after + 1, Ordering::SeqCst);
    }

    /// Fsyncs that failed.
    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Ordering::SeqCst)
    }

    /// Changes so far.
    pub(crate) fn steps(&self) -> usize {
        self.steps.lock().expect("not poisoned").len()
    }

    /// Puts into the empty directory `after` what may be left of `before` when the power goes after so many steps.
    pub(crate) fn cut(
        &self,
        before: &Path,
        steps: usize,
        after: &Path,
        chance: &mut Chance,
    ) -> Lost {
        let before = std::fs::canonicalize(before).expect("there");
        let mut model = Model::default();
        for step in self.steps.lock().expect("not poisoned").iter().take(steps) {
            model.step(step);
        }
        model.cut(&before, after, chance)
    }
}

/// A durable store whose disk keeps a journal.
pub(crate) fn open(root: &Path) -> (Arc<dyn ObjectStore>, Arc<Journal>) {
    let journal = Arc::new(Journal::default());
    let disk = Disk { journal: Some(journal.clone()) };
    let store = DurableStore::open_on(root, disk).expect("opens");
    (Arc::new(store), journal)
}

/// What a power cut took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// Names that were given, moved or removed, and were not.
    pub(crate) names: u64,
    /// Files whose last bytes are not there, or in part.
    pub(crate) bytes: u64,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thing {
    File(usize),
    Directory,
}

/// Names given and taken at once.
type Change = Vec<(PathBuf, Option<Thing>)>;

#[derive(Debug, Default)]
struct Model {
    /// Bytes of each file, as written and as fsynced.
    files: Vec<(Vec<u8>, Vec<u8>)>,
    /// Names as a running system sees them.
    names: BTreeMap<PathBuf, usize>,
    /// Names that are durable.
    durable: BTreeMap<PathBuf, Thing>,
    /// Per directory, what its next fsync makes durable.
    pending: BTreeMap<PathBuf, Vec<Change>>,
}

impl Model {
    fn file(&self, path: &Path) -> usize {
        self.names.get(path).copied().expect("a file the journal has seen")
    }

    fn change(&mut self, path: &Path, change: Change) {
        let directory = path.parent().expect("below the root").to_owned();
        self.pending.entry(directory).or_default().push(change);
    }

    fn give(&mut self, path: &Path, file: usize) {
        self.names.insert(path.to_owned(), file);
        self.change(path, vec![(path.to_owned(), Some(Thing::File(file)))]);
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Created(path) => {
                self.files.push(Default::default());
                self.give(path, self.files.len() - 1);
            }
            Step::Wrote(path, offset, bytes) => {
                let file = self.file(path);
                let (from, now) = (*offset as usize, &mut self.files[file].0);
                now.resize(now.len().max(from + bytes.len()), 0);
                now[from..from + bytes.len()].copy_from_slice(bytes);
            }
            Step::Synced(path) => {
                let file = self.file(path);
                self.files[file].1 = self.files[file].0.clone();
            }
            Step::Linked(from, to) => self.give(to, self.file(from)),
            Step::Renamed(from, to) => {
                let file = self.names.remove(from).expect("a file the journal has seen");
                self.names.insert(to.clone(), file);
                let change = vec![(from.clone(), None), (to.clone(), Some(Thing::File(file)))];
                self.change(to, change);
            }
            Step::Removed(path) => {
                self.names.remove(path);
                self.change(path, vec![(path.clone(), None)]);
            }
            Step::Made(path) => self.change(path, vec![(path.clone(), Some(Thing::Directory))]),
            Step::SyncedDirectory(path) => {
                for change in self.pending.remove(path).unwrap_or_default() {
                    self.apply(change);
                }
            }
        }
    }

    fn apply(&mut self, change: Change) {
        for (path, thing) in change {
            match thing {
                Some(thing) => drop(self.durable.insert(path, thing)),
                None => drop(self.durable.remove(&path)),
            }
        }
    }

    fn cut(mut self, before: &Path, after: &Path, chance: &mut Chance) -> Lost {
        let mut lost = Lost::default();
        for change in std::mem::take(&mut self.pending).into_values().flatten() {
            // Nothing forces them to disk, nothing keeps them from it.
            match chance.below(2) {
                0 => self.apply(change),
                _ => lost.names += 1,
            }
        }
        for (path, thing) in &self.durable {
            let mut above = path.ancestors().skip(1).take_while(|above| *above != before);
            if !above.all(|above| self.durable.get(above) == Some(&Thing::Directory)) {
                continue;
            }
            let place = after.join(path.strip_prefix(before).expect("below the root"));
            match thing {
                Thing::Directory => std::fs::create_dir_all(&place).expect("made"),
                Thing::File(file) => {
                    let (now, synced) = &self.files[*file];
                    let (now, synced) = (&now[..], &synced[..]);
                    let torn = chance.below(now.len() as u64 + 1) as usize;
                    let left = match chance.below(3) {
                        _ if now == synced => now,
                        0 => now,
                        1 => synced,
                        _ => &now[..torn],
                    };
                    lost.bytes += u64::from(left != now);
                    std::fs::create_dir_all(place.parent().expect("below")).expect("made");
                    std::fs::write(&place, left).expect("written");
                }
            }
        }
        lost
    }
}
