//! The file system as the durable store uses it: one function per call that changes something.
//!
//! In tests a disk keeps a journal of these calls (`power.rs`), so that a power cut can be
//! played: what was not fsynced may be gone, or half there. It can also be full, and its fsync can
//! fail.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use crate::mutant::{Mutant, planted};

#[cfg(test)]
use super::power::Journal;

/// A disk.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk {
    #[cfg(test)]
    pub(super) journal: Option<std::sync::Arc<Journal>>,
}

impl Disk {
    /// A new empty file.
    pub(super) fn create(&self, path: &Path) -> io::Result<File> {
        let file = File::options().read(true).write(true).create_new(true).open(path)?;
        #[cfg(test)]
        self.note(|journal| journal.created(path));
        Ok(file)
    }

    /// Writes bytes at an offset.
    pub(super) fn write(
        &self,
        path: &Path,
        file: &mut File,
        offset: u64,
        bytes: &[u8],
    ) -> io::Result<()> {
        #[cfg(test)]
        let (bytes, refused) = match &self.journal {
            None => (bytes, None),
            Some(journal) => journal.room(bytes),
        };
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(bytes)?;
        #[cfg(test)]
        {
            self.note(|journal| journal.wrote(path, offset, bytes));
            if let Some(error) = refused {
                return Err(error);
            }
        }
        #[cfg(not(test))]
        let _ = path;
        Ok(())
    }

    /// Makes a file's bytes durable.
    pub(super) fn sync(&self, path: &Path, file: &File) -> io::Result<()> {
        if planted(Mutant::FileNotSynced) {
            return Ok(());
        }
        #[cfg(test)]
        if let Some(journal) = &self.journal {
            journal.sync(path)?;
        }
        #[cfg(not(test))]
        let _ = path;
        file.sync_all()
    }

    /// A second name for a file; fails where there is something of that name.
    pub(super) fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::hard_link(from, to)?;
        #[cfg(test)]
        self.note(|journal| journal.linked(from, to));
        Ok(())
    }

    /// Another name for a file, in place of what may be there.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)?;
        #[cfg(test)]
        self.note(|journal| journal.renamed(from, to));
        Ok(())
    }

    /// Removes a name.
    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)?;
        #[cfg(test)]
        self.note(|journal| journal.removed(path));
        Ok(())
    }

    /// Makes a directory and those above it.
    pub(super) fn make_directories(&self, path: &Path) -> io::Result<()> {
        #[cfg(test)]
        let new: Vec<_> = path.ancestors().take_while(|above| !above.exists()).collect();
        std::fs::create_dir_all(path)?;
        #[cfg(test)]
        for directory in new.into_iter().rev() {
            self.note(|journal| journal.made(directory));
        }
        Ok(())
    }

    /// Makes the names in a directory durable.
    pub(super) fn sync_directory(&self, path: &Path) -> io::Result<()> {
        if planted(Mutant::DirectoryNotSynced) {
            return Ok(());
        }
        #[cfg(test)]
        if let Some(journal) = &self.journal {
            journal.sync_directory(path)?;
        }
        File::open(path)?.sync_all()
    }

    #[cfg(test)]
    fn note(&self, note: impl FnOnce(&Journal)) {
        if let Some(journal) = &self.journal {
            note(journal);
        }
    }
}
