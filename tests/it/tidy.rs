//! Rules of the repository that no compiler checks. Each failure names the file and the rule.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Longest Rust file, in lines.
const MAX_LINES: usize = 600;

/// Which of our crates each of them may name. Arrows point downward only.
const ARROWS: [(&str, &[&str]); 9] = [
    ("schemas", &[]),
    ("search", &["schemas"]),
    // In its tests only.
    ("broker", &["schemas", "ingest"]),
    ("ingest", &["schemas"]),
    ("grouping", &["schemas"]),
    ("stages", &["schemas", "search", "grouping"]),
    ("issues", &["schemas", "search", "grouping"]),
    ("stream", &["schemas", "grouping", "stages", "issues"]),
    ("query", &["schemas", "search"]),
];

/// Locked once: two versions of one of these would not fit together, or decompress without bound.
const ONE_VERSION: [&str; 9] = [
    "arrow",
    "parquet",
    "datafusion",
    "object_store",
    "deltalake-core",
    "pgwire",
    "rdkafka",
    "tonic",
    "prost",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the repository that people write, as (path from the root, text).
fn files(endings: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open = vec![root().to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).expect("a readable directory").flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                let made = ["target", "node_modules", "corpus", "artifacts", "__pycache__"]
                    .contains(&name.as_str());
                if !made && (!name.starts_with('.') || name == ".ci") {
                    open.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push((relative(&path), fs::read_to_string(&path).unwrap_or_default()));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty());
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).to_string_lossy().into_owned()
}

#[track_caller]
fn none(broken: Vec<String>) {
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn a_rust_file_says_what_it_is_and_is_not_too_long() {
    none(
        files(&[".rs"])
            .iter()
            .filter_map(|(path, text)| {
                let lines = text.lines().count();
                let first = text.lines().find(|line| !line.is_empty() && !line.starts_with("#!["));
                if lines > MAX_LINES {
                    Some(format!(
                        "{path}: {lines} lines, at most {MAX_LINES}: split it by what it does"
                    ))
                } else if !first.unwrap_or_default().starts_with("//!") {
                    Some(format!("{path}: begins without `//!`: say what it is and why"))
                } else {
                    None
                }
            })
            .collect(),
    );
}

#[test]
fn nothing_is_left_for_later_or_for_one_machine_only() {
    // Put together here, so that this file does not break its own rule.
    let later = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];
    let machine = [concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")];
    let mut broken = Vec::new();
    for (path, text) in files(&[
        ".rs",
        ".py",
        ".js",
        ".sh",
        ".toml",
        ".yaml",
        ".yml",
        ".md",
        ".ini",
        "Makefile",
        "Dockerfile",
    ]) {
        for (number, line) in text.lines().enumerate() {
            let place = format!("{path}:{}", number + 1);
            if later.iter().any(|word| line.contains(word)) {
                broken.push(format!("{place}: do it, or open an issue"));
            }
            // A path, and not the end of an address or of a longer path.
            let is_path = |start: usize| {
                let before = line.get(..start).and_then(|text| text.chars().next_back());
                before.is_none_or(|c| !c.is_alphanumeric() && !"/.-_}>~".contains(c))
            };
            if machine.iter().any(|word| line.find(word).is_some_and(is_path)) {
                broken.push(format!("{place}: a path of one machine"));
            }
        }
    }
    none(broken);
}

#[test]
fn kafka_is_one_module_per_crate() {
    let mut broken = Vec::new();
    for (path, text) in files(&[".rs"]) {
        let of_tests = path.starts_with("tests/")
            || path.starts_with("benches/")
            || path.ends_with("tests.rs");
        let names_it = text.lines().any(|line| {
            let code = line.split("//").next().unwrap_or_default();
            code.contains(concat!("rd", "kafka::")) || code.contains(concat!("use rd", "kafka"))
        });
        let is_kafka = path.ends_with("src/kafka.rs")
            || path.contains("src/kafka/")
            || path == "broker/src/lib.rs";
        if names_it && !of_tests && !is_kafka {
            broken.push(format!("{path}: librdkafka's types stay in the module kafka"));
        }
    }
    none(broken);
}

/// Section and lines of a manifest, enough for the rules here: `[section]` and `key = value`.
fn sections(manifest: &str) -> BTreeMap<String, Vec<String>> {
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut section = String::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
        } else if !line.is_empty() && !line.starts_with('#') {
            out.entry(section.clone()).or_default().push(line.to_owned());
        }
    }
    out
}

fn manifest(name: &str) -> BTreeMap<String, Vec<String>> {
    let path: PathBuf = root().join(name).join("Cargo.toml");
    sections(
        &fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
    )
}

fn dependency(line: &str) -> &str {
    line.split([' ', '.', '=']).next().unwrap_or_default()
}

#[test]
fn crates_name_one_another_only_downward() {
    let mut broken = Vec::new();
    for (name, allowed) in ARROWS {
        for (section, lines) in manifest(name) {
            if !section.ends_with("dependencies") {
                continue;
            }
            for other in lines.iter().map(|line| dependency(line)) {
                let ours = ARROWS.iter().any(|(known, _)| *known == other) || other == "tidemill";
                if ours && !allowed.contains(&other) {
                    broken.push(format!(
                        "{name}/Cargo.toml [{section}]: {name} must not name {other}"
                    ));
                }
            }
        }
    }
    none(broken);
}

#[test]
fn versions_and_features_are_chosen_in_one_place() {
    let mut broken = Vec::new();
    let whole = manifest("");
    for (name, sections) in
        ARROWS.iter().map(|(name, _)| (*name, manifest(name))).chain([("", whole.clone())])
    {
        for (section, lines) in sections {
            let own = section.ends_with("dependencies") && section != "workspace.dependencies";
            for line in lines.iter().filter(|_| own) {
                let plain = line.contains("workspace = true");
                if !plain || line.contains("features") || line.contains("version =") {
                    broken.push(format!(
                        "{name}/Cargo.toml [{section}]: `{line}`: write `name.workspace = true`"
                    ));
                }
            }
        }
        if name.is_empty() {
            continue;
        }
        let lints = manifest(name).remove("lints").unwrap_or_default();
        if lints != ["workspace = true"] {
            broken.push(format!("{name}/Cargo.toml: takes the workspace's lints"));
        }
    }
    for name in
        ["arrow", "parquet", "datafusion", "deltalake-core", "object_store", "tonic", "axum"]
    {
        let lines = whole.get("workspace.dependencies").map(Vec::as_slice).unwrap_or_default();
        let line = lines
            .iter()
            .find(|line| dependency(line) == name)
            .map(String::as_str)
            .unwrap_or_default();
        if !line.contains("default-features = false") || !line.contains('#') {
            broken.push(format!(
                "Cargo.toml: {name}: chosen features, and a comment that says what it is for"
            ));
        }
    }
    none(broken);
}

#[test]
fn what_must_fit_together_is_locked_once() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock is committed");
    let version = |name: &str| -> Vec<&str> {
        let head = format!("name = \"{name}\"\nversion = \"");
        lock.split(&head).skip(1).filter_map(|rest| rest.split('"').next()).collect()
    };
    for name in ONE_VERSION {
        assert_eq!(version(name).len(), 1, "{name} is locked as {:?}", version(name));
    }
    let tonic: Vec<u32> =
        version("tonic")[0].split('.').filter_map(|part| part.parse().ok()).collect();
    assert!(tonic >= vec![0, 14, 3], "older versions of tonic decompress without bound");
}

#[test]
fn pure_crates_are_kept_from_clock_and_chance() {
    for name in ["schemas", "search", "grouping", "stages", "issues", "stream"] {
        let text = fs::read_to_string(root().join(name).join("clippy.toml")).unwrap_or_default();
        for banned in
            ["SystemTime::now", "Instant::now", "rand::rng", "Uuid::new_v4", "unbounded_channel"]
        {
            assert!(text.contains(banned), "{name}/clippy.toml: forbids {banned}");
        }
    }
    let text = fs::read_to_string(root().join("clippy.toml")).unwrap_or_default();
    assert!(text.contains("unbounded_channel"));
}

#[test]
fn scripts_stop_at_the_first_error() {
    let broken = files(&[".sh", "run"])
        .into_iter()
        .filter(|(_, text)| text.starts_with("#!") && text.contains("bash"));
    none(
        broken
            .filter(|(_, text)| !text.contains("set -euo pipefail"))
            .map(|(path, _)| format!("{path}: begins with `set -euo pipefail`"))
            .collect(),
    );
}
