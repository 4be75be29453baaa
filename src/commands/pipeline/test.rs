//! `tidemill pipeline test`: the cases integrations ship with their pipelines, or one's own of the same form.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use schemas::time::EventTime;
use serde_json::{Value, json};
use stages::pipeline::cases::{self, Bench, Difference};

use crate::cli::{PipelineTestArgs, ReportFormat};
use crate::config::{Problem, Problems};
use crate::{exit, pipeline};

/// A pipeline and its cases.
struct Pair {
    pipeline: PathBuf,
    tests: PathBuf,
}

/// What became of one pair.
struct Outcome {
    pair: Pair,
    cases: usize,
    /// Line of each case that does not hold, and in what.
    failed: Vec<(usize, Vec<Difference>)>,
    /// Why nothing could be run.
    problems: Option<Problems>,
}

/// Runs all cases.
pub(super) fn run(args: &PipelineTestArgs) -> u8 {
    let pairs = match pairs(args) {
        Ok(pairs) => pairs,
        Err(error) => {
            eprintln!("tidemill: {error:#}");
            return exit::USAGE;
        }
    };
    let received = match args.received.as_deref().map(super::run::time) {
        Some(Ok(time)) => time,
        None => cases::RECEIVED,
        Some(Err(error)) => {
            eprintln!("tidemill: --received: {error:#}");
            return exit::USAGE;
        }
    };
    let outcomes: Vec<Outcome> = pairs.into_iter().map(|pair| try_one(pair, received)).collect();
    // A reader that has seen enough is no failure.
    let _ = match args.format {
        ReportFormat::Json => writeln!(std::io::stdout(), "{}", report(&outcomes)),
        ReportFormat::Table => tell(&outcomes),
    };
    let refused = outcomes.iter().any(|outcome| outcome.problems.is_some());
    let failed = outcomes.iter().any(|outcome| !outcome.failed.is_empty());
    match (refused, failed) {
        (true, _) => exit::USAGE,
        (false, true) => exit::FAILED,
        (false, false) => exit::OK,
    }
}

/// The two files given, or every `NAME.yaml` with `NAME_tests.yaml` beside it below a directory.
fn pairs(args: &PipelineTestArgs) -> anyhow::Result<Vec<Pair>> {
    let of = |pipeline: &Path, tests: PathBuf| Pair { pipeline: pipeline.to_owned(), tests };
    if let Some(tests) = &args.tests {
        return Ok(vec![of(&args.pipeline, tests.clone())]);
    }
    if !args.pipeline.is_dir() {
        let tests = beside(&args.pipeline);
        anyhow::ensure!(tests.is_file(), "no TESTS given, and there is no {}", super::name(&tests));
        return Ok(vec![of(&args.pipeline, tests)]);
    }
    let mut found = Vec::new();
    let mut directories = vec![args.pipeline.clone()];
    while let Some(directory) = directories.pop() {
        let entries = std::fs::read_dir(&directory)
            .with_context(|| format!("cannot read {}", super::name(&directory)))?;
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            // Links are not followed: no directory is its own descendant.
            if entry.file_type()?.is_dir() {
                if !name.starts_with('.') {
                    directories.push(path);
                }
            } else if beside(&path).is_file() && !name.ends_with("_tests.yaml") {
                found.push(of(&path, beside(&path)));
            }
        }
    }
    found.sort_by(|a, b| a.pipeline.cmp(&b.pipeline));
    anyhow::ensure!(
        !found.is_empty(),
        "no NAME.yaml with NAME_tests.yaml below {}",
        super::name(&args.pipeline)
    );
    Ok(found)
}

/// `nginx.yaml` -> `nginx_tests.yaml`.
fn beside(pipeline: &Path) -> PathBuf {
    let stem = pipeline.file_stem().unwrap_or_default().to_string_lossy();
    pipeline.with_file_name(format!("{stem}_tests.yaml"))
}

fn try_one(pair: Pair, received: EventTime) -> Outcome {
    let (cases, failed, problems) = match cases_of(&pair, received) {
        Ok((cases, failed)) => (cases, failed, None),
        Err(problems) => (0, Vec::new(), Some(problems)),
    };
    Outcome { pair, cases, failed, problems }
}

type Failed = Vec<(usize, Vec<Difference>)>;

fn cases_of(pair: &Pair, received: EventTime) -> Result<(usize, Failed), Problems> {
    let loaded = pipeline::load_following(std::slice::from_ref(&pair.pipeline))?;
    let one = |problem| Problems(vec![problem]);
    let text = pipeline::text(&pair.tests).map_err(one)?;
    let cases = cases::read(&text).map_err(|problems| {
        let of = |problem: stages::pipeline::read::Problem| Problem {
            file: Some(pair.tests.clone()),
            line: Some(problem.at.line),
            column: Some(problem.at.column),
            rule: problem.rule,
            reason: problem.reason,
            hint: problem.hint,
        };
        Problems(problems.into_iter().map(of).collect())
    })?;
    let bench = Bench::new(&loaded.config).map_err(|errors| {
        let of = |error: stages::pipeline::config::ConfigError| {
            Problem::of_file(&pair.pipeline, error.to_string(), "")
        };
        Problems(errors.into_iter().map(of).collect())
    })?;
    let failed = cases.iter().filter_map(|case| {
        let differences = bench.run(case, received);
        (!differences.is_empty()).then_some((case.at.line, differences))
    });
    Ok((cases.len(), failed.collect()))
}

fn tell(outcomes: &[Outcome]) -> std::io::Result<()> {
    let out = &mut std::io::stdout().lock();
    let show =
        |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), Value::to_string);
    for Outcome { pair, cases, failed, problems } in outcomes {
        let name = super::name(&pair.pipeline);
        if let Some(problems) = problems {
            writeln!(out, "refused  {name}\n{problems}")?;
            continue;
        }
        let good = cases - failed.len();
        let word = if failed.is_empty() { "ok     " } else { "failed " };
        writeln!(out, "{word}  {name}: {good} of {cases} cases")?;
        for (line, differences) in failed {
            writeln!(out, "  {}:{line}", super::name(&pair.tests))?;
            for Difference { path, expected, found } in differences {
                writeln!(out, "    {path}")?;
                writeln!(out, "      - {}", show(expected))?;
                writeln!(out, "      + {}", show(found))?;
            }
        }
    }
    let good = outcomes.iter().filter(|o| o.problems.is_none() && o.failed.is_empty()).count();
    let cases: usize = outcomes.iter().map(|o| o.cases).sum();
    let failed: usize = outcomes.iter().map(|o| o.failed.len()).sum();
    let held = cases - failed;
    writeln!(out, "{good} of {} pipelines, {held} of {cases} cases", outcomes.len())
}

fn report(outcomes: &[Outcome]) -> Value {
    let failed = |failed: &Failed| {
        let one = |(line, differences): &(usize, Vec<Difference>)| json!({ "line": line, "differences": differences });
        failed.iter().map(one).collect::<Vec<_>>()
    };
    let one = |outcome: &Outcome| {
        let Outcome { pair, cases, failed: list, problems } = outcome;
        json!({
            "pipeline": pair.pipeline, "tests": pair.tests, "cases": cases, "failed": failed(list),
            "problems": problems.as_ref().map(|problems| &problems.0),
        })
    };
    json!({ "results": outcomes.iter().map(one).collect::<Vec<_>>() })
}
