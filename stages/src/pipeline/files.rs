//! Files that a configuration names: GeoIP databases, lookup and reference tables. Reading them is
//! IO, so it is the caller's; their contents are part of the pipeline's version.

/// Reads the files a configuration names.
pub trait Files {
    /// The content of a file.
    ///
    /// # Errors
    /// What is wrong, and the fix, for whoever wrote the name.
    fn read(&self, name: &str) -> Result<Vec<u8>, String>;
}

/// Where there are no files: each name is refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _name: &str) -> Result<Vec<u8>, String> {
        Err("files can not be read here".to_owned())
    }
}
