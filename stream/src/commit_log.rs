//! The commit log: one ordered series of records that says what has been done, and nothing else
//! does. Layout below the store's root:
//!
//! ```text
//! _sys/<pipeline>/log/<seq, 20 digits>    records, created once, never overwritten
//! _sys/<pipeline>/snap/<seq, 20 digits>   folded heads, immutable; snap/LATEST is a hint
//! _sys/<pipeline>/probe/<nonce>           what the start-up probe leaves, removed at once
//! _sys/<pipeline>/pipelines/<version>     texts of pipelines that units were made with
//! _sys/<pipeline>/lease/publisher         which worker publishes to the tables; advice only
//! _sys/<pipeline>/state/<nonce>           parts of the state that records refer to, where a pipeline has one
//! ```
//!
//! In reading order: [`frame`] (bytes on disk), [`record`] (what a record says), [`head`] (the
//! pure fold that decides what is valid), [`log`] (append and recovery), [`snapshot`], [`probe`], [`lease`].

pub mod frame;
pub mod head;
pub mod lease;
pub mod log;
pub mod probe;
pub mod record;
pub mod snapshot;

use object_store::path::Path;

/// Where a pipeline keeps what.
#[derive(Debug, Clone)]
pub struct Layout {
    root: String,
}

impl Layout {
    /// The layout of this pipeline.
    pub fn new(pipeline: &str) -> Self {
        Self { root: format!("_sys/{pipeline}") }
    }

    /// The directory of the records.
    pub fn records(&self) -> Path {
        Path::from(format!("{}/log", self.root))
    }

    /// The key of one record.
    pub fn record(&self, seq: u64) -> Path {
        Path::from(format!("{}/log/{seq:020}", self.root))
    }

    /// The directory of the snapshots.
    pub fn snapshots(&self) -> Path {
        Path::from(format!("{}/snap", self.root))
    }

    /// The key of the snapshot taken before record `next_seq`.
    pub fn snapshot(&self, next_seq: u64) -> Path {
        Path::from(format!("{}/snap/{next_seq:020}", self.root))
    }

    /// The hint at the newest snapshot.
    pub fn latest_snapshot(&self) -> Path {
        Path::from(format!("{}/snap/LATEST", self.root))
    }

    /// The key of the publisher's lease.
    pub fn publisher_lease(&self) -> Path {
        Path::from(format!("{}/lease/publisher", self.root))
    }

    /// The directory of the texts of pipelines.
    pub fn pipelines(&self) -> Path {
        Path::from(format!("{}/pipelines", self.root))
    }

    /// The text of one version of the pipeline.
    pub fn pipeline(&self, version: &str) -> Path {
        Path::from(format!("{}/pipelines/{version}", self.root))
    }

    /// The directory of the state's parts.
    pub fn states(&self) -> Path {
        Path::from(format!("{}/state", self.root))
    }

    /// The key of one part of the state.
    pub fn state(&self, nonce: u128) -> Path {
        Path::from(format!("{}/state/{nonce:032x}", self.root))
    }

    /// A key nobody else uses.
    pub fn probe(&self, nonce: u128) -> Path {
        Path::from(format!("{}/probe/{nonce:032x}", self.root))
    }

    /// The sequence number a key in [`Self::records`] or [`Self::snapshots`] stands for.
    pub fn seq(key: &Path) -> Option<u64> {
        let name = key.filename()?;
        (name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit())).then_some(())?;
        name.parse().ok()
    }
}
