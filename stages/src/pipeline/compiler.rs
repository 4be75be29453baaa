//! What compiling a configuration gathers: problems, notes, and the files it names, each read once.

use std::sync::Arc;

use hashbrown::HashMap;
use schemas::limits::MAX_LOOKUP_BYTES;
use xxhash_rust::xxh3::Xxh3;

use super::config::{Config, ConfigError};
use super::files::Files;
use super::processors::geo_ip_parser::GeoDatabase;
use super::processors::lookup_processor::ReferenceTable;

/// State of one compilation.
pub(super) struct Compiler<'a> {
    config: &'a Config,
    files: &'a dyn Files,
    /// What makes the configuration unusable.
    pub(super) errors: Vec<ConfigError>,
    /// What is accepted and has no effect.
    pub(super) notes: Vec<ConfigError>,
    geo: Option<Option<Arc<GeoDatabase>>>,
    tables: HashMap<&'a str, Option<Arc<ReferenceTable>>>,
    lookup_bytes: usize,
    /// Hash of all files read.
    content: Xxh3,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(config: &'a Config, files: &'a dyn Files) -> Self {
        Self {
            config,
            files,
            errors: Vec::new(),
            notes: Vec::new(),
            geo: None,
            tables: HashMap::new(),
            lookup_bytes: 0,
            content: Xxh3::new(),
        }
    }

    /// Notes a problem at `path`.
    pub(super) fn refuse(&mut self, path: String, reason: impl Into<String>) {
        self.errors.push(ConfigError { path, reason: reason.into() });
    }

    /// Reads a file that `path` names.
    pub(super) fn read(&mut self, path: &str, name: &str) -> Option<Vec<u8>> {
        match self.files.read(name) {
            Ok(content) => {
                self.content.update(&content.len().to_le_bytes());
                self.content.update(&content);
                Some(content)
            }
            Err(reason) => {
                self.refuse(path.to_owned(), format!("`{name}`: {reason}"));
                None
            }
        }
    }

    /// The GeoIP database, if one is configured and good.
    pub(super) fn geo(&mut self) -> Option<Arc<GeoDatabase>> {
        if self.geo.is_none() {
            let name = self.config.geo_ip_database.as_deref();
            let opened = name.and_then(|name| {
                let content = self.read("geo_ip_database", name)?;
                let opened = GeoDatabase::open(content);
                opened
                    .map_err(|reason| {
                        self.refuse("geo_ip_database".to_owned(), format!("`{name}`: {reason}"))
                    })
                    .ok()
            });
            self.geo = Some(opened.map(Arc::new));
        }
        self.geo.clone().flatten()
    }

    /// Whether a GeoIP database is configured at all.
    pub(super) fn names_geo(&self) -> bool {
        self.config.geo_ip_database.is_some()
    }

    /// The reference table of this name, if there is one and it is good; `path` is where it is used.
    pub(super) fn table(&mut self, path: &str, name: &str) -> Option<Arc<ReferenceTable>> {
        let mut tables = self.config.reference_tables.iter().enumerate();
        let Some((index, config)) = tables.find(|(_, table)| table.table_name == name) else {
            let reason = format!(
                "no reference table `{name}`: add it to `reference_tables` with its CSV file"
            );
            self.refuse(path.to_owned(), reason);
            return None;
        };
        if let Some(loaded) = self.tables.get(name) {
            return loaded.clone();
        }
        let at = format!("reference_tables[{index}]");
        let content = self.read(&format!("{at}.file"), &config.file);
        let loaded = content.and_then(|content| {
            self.count_lookup(&at, content.len());
            ReferenceTable::parse(&content, config.primary_key.as_deref())
                .map_err(|reason| self.refuse(at, reason))
                .ok()
        });
        let loaded = loaded.map(Arc::new);
        self.tables.insert(&config.table_name, loaded.clone());
        loaded
    }

    /// Counts bytes of tables; refuses what is too much.
    pub(super) fn count_lookup(&mut self, path: &str, bytes: usize) {
        let before = self.lookup_bytes;
        self.lookup_bytes = before.saturating_add(bytes);
        if before <= MAX_LOOKUP_BYTES && self.lookup_bytes > MAX_LOOKUP_BYTES {
            let reason = format!(
                "all tables together have more than {MAX_LOOKUP_BYTES} bytes: shorten them"
            );
            self.refuse(path.to_owned(), reason);
        }
    }

    /// Problems, notes and the hash of all files.
    pub(super) fn finish(self) -> (Vec<ConfigError>, Vec<ConfigError>, u64) {
        (self.errors, self.notes, self.content.digest())
    }
}
