//! One `tidemill up` per data directory: two embedded brokers on one file would destroy it.
//!
//! The lock is the operating system's, on `tidemill.lock`: it ends with the process, however that
//! ends. The file says who holds it, so that `tidemill sql --data-dir` finds the running service.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The lock's file in the data directory.
const FILE: &str = "tidemill.lock";
/// Bytes of it that are read.
const MAX_BYTES: u64 = 4 << 10;

/// Why the data directory can not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process runs on it.
    #[error(
        "data directory {dir} is in use by {owner}; stop it, or give this one another --data-dir"
    )]
    Held {
        /// The directory.
        dir: PathBuf,
        /// Who has it, as far as is known.
        owner: String,
    },
    /// It can not be made or written.
    #[error(
        "data directory {dir} (setting data_dir): {source}; check that it exists and is yours to write"
    )]
    Io {
        /// The directory.
        dir: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// Who holds a data directory.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Owner {
    /// Its process.
    pub pid: u32,
    /// Its HTTP API.
    pub http: SocketAddr,
}

/// The lock, held as long as this lives.
#[derive(Debug)]
pub struct DataDirLock {
    _file: File,
}

impl DataDirLock {
    /// Takes the lock; makes the directory if it is missing.
    ///
    /// # Errors
    /// When another process has it, or the directory can not be written.
    pub fn acquire(dir: &Path, http: SocketAddr) -> Result<Self, LockError> {
        let io = |source| LockError::Io { dir: dir.to_owned(), source };
        create_private(dir).map_err(io)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(dir.join(FILE)).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let owner = read_owner(&mut file).map_or_else(
                    || "another process".to_owned(),
                    |owner| format!("process {}", owner.pid),
                );
                return Err(LockError::Held { dir: dir.to_owned(), owner });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        let owner = Owner { pid: std::process::id(), http };
        let text = serde_json::to_vec(&owner).map_err(|error| io(error.into()))?;
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(&text))
            .map_err(io)?;
        Ok(Self { _file: file })
    }

    /// The process that runs on `dir` now; `None` when none does.
    pub fn owner(dir: &Path) -> Option<Owner> {
        let mut file = File::open(dir.join(FILE)).ok()?;
        match file.try_lock_shared() {
            // Nobody holds it: what it says is about a process that is gone.
            Ok(()) => None,
            Err(_) => read_owner(&mut file),
        }
    }
}

fn read_owner(file: &mut File) -> Option<Owner> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(MAX_BYTES).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// Telemetry holds secrets of its users: the directory is for its owner only.
fn create_private(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_owner_who_can_be_found() {
        let dir = tempfile::tempdir().expect("temp");
        let at: SocketAddr = "127.0.0.1:8080".parse().expect("address");
        assert_eq!(DataDirLock::owner(dir.path()), None);
        let held = DataDirLock::acquire(dir.path(), at).expect("free");
        let owner = DataDirLock::owner(dir.path()).expect("held");
        assert_eq!(owner, Owner { pid: std::process::id(), http: at });
        let refused = DataDirLock::acquire(dir.path(), at).expect_err("held").to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        drop(held);
        assert_eq!(DataDirLock::owner(dir.path()), None, "the file outlives its owner");
        DataDirLock::acquire(dir.path(), at).expect("free again");
    }
}
