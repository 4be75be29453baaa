//! Files that a log pipeline names: GeoIP databases, lookup and reference tables.

use std::fs;
use std::path::PathBuf;

use schemas::limits::MAX_PIPELINE_FILE_BYTES;
use stages::pipeline::Files;

/// Files relative to the configuration that names them.
#[derive(Debug)]
pub(crate) struct Beside {
    /// Directory of the configuration.
    pub(crate) base: PathBuf,
}

impl Files for Beside {
    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        let path = self.base.join(name);
        let shown = path.display();
        let wrong = |error: std::io::Error| format!("{shown}: {error}");
        let metadata = fs::metadata(&path).map_err(wrong)?;
        if !metadata.is_file() {
            return Err(format!("{shown} is no file"));
        }
        if metadata.len() > MAX_PIPELINE_FILE_BYTES {
            return Err(format!("{shown} is larger than {MAX_PIPELINE_FILE_BYTES} bytes"));
        }
        fs::read(&path).map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_beside_the_configuration_and_problems_name_them() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("codes.csv"), "1,one\n").expect("written");
        let files = Beside { base: directory.path().to_owned() };
        assert_eq!(files.read("codes.csv"), Ok(b"1,one\n".to_vec()));
        let missing = files.read("none.csv").expect_err("missing");
        assert!(missing.contains("none.csv"), "{missing}");
        assert!(files.read(".").expect_err("a directory").contains("is no file"));
    }
}
