//! Takes the user-agent definitions out of the package of the `ua-parser` crate: they belong to it,
//! the crate only does not hand them out. Its version is pinned in Cargo.lock, so the build is the same
//! everywhere, and nothing of another project is copied into this repository.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=../Cargo.lock");
    let out = PathBuf::from(variable("OUT_DIR")).join("regexes.yaml");
    let package = package("ua-parser").expect("`cargo metadata` knows the package ua-parser");
    let definitions = package.join("uap-core/regexes.yaml");
    fs::copy(&definitions, &out)
        .unwrap_or_else(|error| panic!("{}: {error}", definitions.display()));
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}

/// The directory of a package this one depends on.
fn package(name: &str) -> Option<PathBuf> {
    let target = variable("TARGET");
    // Offline first: what is being built is there already.
    [&["--offline"][..], &[]].into_iter().find_map(|offline| {
        let output = Command::new(variable("CARGO"))
            .args(["metadata", "--format-version", "1", "--filter-platform", &target])
            .args(offline)
            .current_dir(variable("CARGO_MANIFEST_DIR"))
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let mut manifests = text.split("\"manifest_path\":\"").skip(1);
        manifests.find_map(|rest| {
            let path = Path::new(rest.split('"').next()?).parent()?;
            let directory = path.file_name()?.to_str()?;
            let version = directory.strip_prefix(name).filter(|rest| {
                rest.is_empty() || rest.starts_with('-') && !rest.contains(char::is_alphabetic)
            });
            version.map(|_| path.to_owned())
        })
    })
}
