//! Pipeline files: from what the user names, files and directories, to a compiled pipeline. Every command and
//! the configuration's `pipeline_file` take the same forms this way (`stages::pipeline::read`).

use std::path::{Path, PathBuf};

use schemas::limits::{MAX_CONFIG_BYTES, MAX_PIPELINE_FILES};
use stages::pipeline::Pipeline;
use stages::pipeline::config::{Config, ConfigError};
use stages::pipeline::read::{self, Mark, Read};

use crate::config::{Beside, Problem, Problems};

/// A field that was accepted and changes nothing, with its place.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Note {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// The field.
    pub field: String,
    /// Why it changes nothing.
    pub reason: String,
}

/// A pipeline, its configuration, and what it was read from.
#[derive(Debug)]
pub struct Loaded {
    /// As read.
    pub config: Config,
    /// Compiled.
    pub pipeline: Pipeline,
    /// Fields that change nothing.
    pub notes: Vec<Note>,
    /// Where the files it names lie.
    pub(crate) beside: Beside,
}

/// Reads and compiles these files, and those in these directories, as one configuration. None: the defaults.
///
/// # Errors
/// Everything that is wrong with them, at once.
pub fn load(paths: &[PathBuf]) -> Result<Loaded, Problems> {
    let files = files(paths)?;
    let mut texts = Vec::with_capacity(files.len());
    let mut problems = Vec::new();
    for file in &files {
        match text(file) {
            Ok(text) => texts.push(text),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    let sources: Vec<(&Path, &str)> =
        files.iter().map(PathBuf::as_path).zip(texts.iter().map(String::as_str)).collect();
    compile(&sources)
}

/// Compiles texts whose files have these names.
///
/// # Errors
/// Everything that is wrong with them, at once.
pub fn compile(sources: &[(&Path, &str)]) -> Result<Loaded, Problems> {
    let texts: Vec<&str> = sources.iter().map(|(_, text)| *text).collect();
    let read = read::read(&texts);
    let files: Vec<&Path> = sources.iter().map(|(file, _)| *file).collect();
    let beside = beside(&files);
    let compiled = Pipeline::compile_with(&read.config, &beside);
    let problems = problems(&read, compiled.as_ref().err(), &files);
    match compiled {
        Ok(pipeline) if problems.is_empty() => {
            let notes = read.notes.iter().map(|note| Note {
                file: file(&files, note.at),
                line: note.at.line,
                column: note.at.column,
                field: note.field.clone(),
                reason: note.reason.clone(),
            });
            let compiled = pipeline.notes().iter().map(|note| {
                let note = read.problem(note);
                Note {
                    file: file(&files, note.at),
                    line: note.at.line,
                    column: note.at.column,
                    field: note.rule,
                    reason: note.reason,
                }
            });
            let notes = notes.chain(compiled).collect();
            Ok(Loaded { config: read.config, pipeline, notes, beside })
        }
        _ => Err(Problems(problems)),
    }
}

/// What the pipeline names lies beside the first file.
fn beside(files: &[&Path]) -> Beside {
    let base = files.first().and_then(|file| file.parent()).map(Path::to_owned);
    Beside { base: base.unwrap_or_default() }
}

fn file(files: &[&Path], at: Mark) -> PathBuf {
    files.get(at.file).map_or_else(PathBuf::new, |file| file.to_path_buf())
}

/// What reader and compiler refused, in the order of files and lines.
fn problems(read: &Read, compiled: Option<&Vec<ConfigError>>, files: &[&Path]) -> Vec<Problem> {
    let errors = compiled.into_iter().flatten().map(|error| read.problem(error));
    let mut all: Vec<read::Problem> = read.problems.iter().cloned().chain(errors).collect();
    all.sort_by_key(|problem| problem.at);
    let known = |problem: read::Problem| Problem {
        file: Some(file(files, problem.at)).filter(|file| !file.as_os_str().is_empty()),
        line: Some(problem.at.line),
        column: Some(problem.at.column),
        rule: problem.rule,
        reason: problem.reason,
        hint: problem.hint,
    };
    all.into_iter().map(known).collect()
}

/// The files these paths stand for: of a directory those that end in `.yaml`, `.yml` or `.json`, by name,
/// without test cases.
///
/// # Errors
/// A directory that can not be read or holds no configuration.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Problems> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let entries = entries.map_err(|error| refuse(path, format!("cannot read it: {error}")))?;
        let mut found: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
        found.retain(|file| is_pipeline(file));
        found.sort();
        if found.is_empty() {
            return Err(refuse(path, "no file in it ends in .yaml, .yml or .json".to_owned()));
        }
        files.append(&mut found);
    }
    if files.len() > MAX_PIPELINE_FILES {
        let reason = format!("{} files are more than {MAX_PIPELINE_FILES}", files.len());
        return Err(refuse(Path::new(""), reason));
    }
    Ok(files)
}

fn refuse(path: &Path, reason: String) -> Problems {
    Problems(vec![Problem::of_file(path, reason, "")])
}

/// Whether a file in a directory is taken for one of its pipelines.
fn is_pipeline(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let ends = |ending: &str| name.ends_with(ending);
    file.is_file()
        && (ends(".yaml") || ends(".yml") || ends(".json"))
        && !(ends("_tests.yaml") || ends("_tests.yml"))
}

/// Reads a file within its limit.
///
/// # Errors
/// Why it can not be read.
#[expect(
    clippy::result_large_err,
    reason = "once a file, and all problems are gathered as they are"
)]
pub fn text(path: &Path) -> Result<String, Problem> {
    let size = std::fs::metadata(path).map(|meta| meta.len());
    if size.is_ok_and(|size| size > MAX_CONFIG_BYTES) {
        let reason = format!("larger than {MAX_CONFIG_BYTES} bytes");
        return Err(Problem::of_file(path, reason, "is this really a configuration file?"));
    }
    let bytes = std::fs::read(path).map_err(|error| {
        Problem::of_file(path, format!("cannot read it: {error}"), "check the path and its rights")
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Problem::of_file(path, format!("byte {at} is no UTF-8"), "save it as UTF-8")
    })
}

/// What a configuration file names with `pipeline_file`, relative to its own directory.
pub fn named_by(file: &Path) -> Option<PathBuf> {
    #[derive(serde::Deserialize)]
    struct Peek {
        pipeline_file: Option<String>,
    }
    let text = text(file).ok()?;
    let peek: Peek = serde_yaml_ng::from_str(&text).ok()?;
    let base = file.parent().map(Path::to_owned).unwrap_or_default();
    peek.pipeline_file.map(|name| base.join(name))
}

/// Like [`load`], following `pipeline_file` of a configuration file.
///
/// # Errors
/// Everything that is wrong with them, at once.
pub fn load_following(paths: &[PathBuf]) -> Result<Loaded, Problems> {
    let follow = |path: &PathBuf| named_by(path).unwrap_or_else(|| path.clone());
    load(&paths.iter().map(follow).collect::<Vec<_>>())
}
