//! Why errors are in their issue, and why two are, or are not, one: by one error of each, and the rules as they are
//! configured now.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use arrow::array::{Array as _, AsArray as _};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use grouping::{ErrorInput, Explanation, Grouper};
use issues::issue::Issue;
use issues::tracker::Tracker;
use query::engine::{Engine, Limits};

/// Why nothing can be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// There is no such issue.
    #[error("there is no issue {0}; `tidemill issues list --state all` shows them")]
    Unknown(String),
    /// Its errors have nothing in common.
    #[error(
        "{0} stands for errors of issues there was no room for; their rows in error_events keep their own issue_id"
    )]
    Overflow(String),
    /// None of its errors has its context any more.
    #[error("no error of {0} has its context any more: retention removed it")]
    NoSample(String),
    /// The tables can not be read.
    #[error("error_events: {0}")]
    Query(String),
}

/// An error with what grouping looks at.
struct Sample {
    id: String,
    texts: BTreeMap<&'static str, String>,
    attributes: BTreeMap<String, String>,
}

/// The columns of a sample that are text.
const TEXTS: [&str; 9] = [
    "issue_id",
    "service",
    "env",
    "version",
    "signal",
    "error_kind",
    "error_message",
    "error_stack",
    "message",
];

/// The words for one issue, or for two.
///
/// # Errors
/// There is no such issue, or no error of it to look at.
pub async fn explain(
    engine: &Engine,
    grouper: &Grouper,
    tracker: &Tracker,
    one: &str,
    other: Option<&str>,
) -> Result<String, ExplainError> {
    let first = sample(engine, tracker, one).await?;
    let mut said = tell(tracker, grouper, one, &first)?;
    let Some(other) = other else { return Ok(said) };
    let second = sample(engine, tracker, other).await?;
    said.push('\n');
    said.push_str(&tell(tracker, grouper, other, &second)?);
    said.push('\n');
    said.push_str(&compare(tracker, grouper, (one, &first), (other, &second)));
    Ok(said)
}

fn issue<'t>(tracker: &'t Tracker, id: &str) -> Result<&'t Issue, ExplainError> {
    tracker.get(id).ok_or_else(|| ExplainError::Unknown(id.to_owned()))
}

/// The latest error with its context: under the id itself where it is an alias, else under any of the issue's.
async fn sample(engine: &Engine, tracker: &Tracker, id: &str) -> Result<Sample, ExplainError> {
    let issue = issue(tracker, id)?;
    if issue.is_overflow() {
        return Err(ExplainError::Overflow(id.to_owned()));
    }
    let quoted = |id: &String| format!("'{}'", id.replace('\'', "''"));
    let ids: Vec<String> = if issue.id == id {
        issue.members.keys().map(quoted).collect()
    } else {
        vec![quoted(&id.to_owned())]
    };
    let sql = format!(
        "SELECT {}, to_json(attributes) AS attributes FROM error_events WHERE issue_id IN ({}) AND context \
         ORDER BY timestamp DESC LIMIT 1",
        TEXTS.join(", "),
        ids.join(", ")
    );
    let failed = |error: query::QueryError| ExplainError::Query(error.message);
    let mut answer = engine.query(&sql, Limits::default()).await.map_err(failed)?;
    let batches = answer.collect().await.map_err(failed)?;
    let batch = batches.iter().find(|batch| batch.num_rows() > 0);
    let batch = batch.ok_or_else(|| ExplainError::NoSample(id.to_owned()))?;
    let text = |name: &str| -> Result<String, ExplainError> {
        let bad = || ExplainError::Query(format!("column {name} can not be read"));
        let column = batch.column_by_name(name).ok_or_else(bad)?;
        let column = cast(column, &DataType::Utf8).map_err(|_| bad())?;
        let column = column.as_string_opt::<i32>().ok_or_else(bad)?;
        Ok(if column.is_valid(0) { column.value(0).to_owned() } else { String::new() })
    };
    let mut texts = BTreeMap::new();
    for name in TEXTS {
        texts.insert(name, text(name)?);
    }
    let attributes = serde_json::from_str(&text("attributes")?).unwrap_or_default();
    Ok(Sample { id: text("issue_id")?, texts, attributes })
}

fn explanation(grouper: &Grouper, sample: &Sample) -> Explanation {
    let arena = bumpalo::Bump::new();
    let text = |name: &str| sample.texts.get(name).map(String::as_str).unwrap_or_default();
    let lookup = |path: &str| sample.attributes.get(path).map(String::as_str);
    let said = text("message");
    let (log, operation) = if text("signal") == "span" { ("", said) } else { (said, "") };
    let input = ErrorInput {
        service: text("service"),
        env: text("env"),
        version: text("version"),
        status: None,
        kind: text("error_kind"),
        message: text("error_message"),
        stack: text("error_stack"),
        fingerprint: lookup("error.fingerprint").unwrap_or_default(),
        text: log,
        operation,
    };
    grouper.explain(&arena, &input, &lookup)
}

fn tell(
    tracker: &Tracker,
    grouper: &Grouper,
    id: &str,
    sample: &Sample,
) -> Result<String, ExplainError> {
    let found = issue(tracker, id)?;
    let explained = explanation(grouper, sample);
    let mut said = explained.to_string();
    if explained.issue_id.hex().as_str() != sample.id {
        let _ = writeln!(
            said,
            "note       the error is in {}: it came under other rules, or its parts are not all kept",
            sample.id
        );
    }
    if found.id != id {
        let _ = writeln!(said, "note       {id} is a part of {}", found.id);
    }
    if found.members.len() > 1 {
        let ids: Vec<&str> = found.members.keys().map(String::as_str).collect();
        let _ = writeln!(said, "stands for {}", ids.join(", "));
        for (id, variant) in found.variants.iter().filter(|(_, variant)| variant.is_mined) {
            let _ = writeln!(said, "  {id} differs in a name only: {}", variant.title);
        }
    }
    Ok(said)
}

/// Whether an id is a part of its issue because its message is a variant of the issue's.
fn is_mined(tracker: &Tracker, id: &str) -> bool {
    let issue = tracker.get(id);
    issue.and_then(|issue| issue.variants.get(id)).is_some_and(|variant| variant.is_mined)
}

fn compare(
    tracker: &Tracker,
    grouper: &Grouper,
    (one, first): (&str, &Sample),
    (other, second): (&str, &Sample),
) -> String {
    let differences = explanation(grouper, first).differences(&explanation(grouper, second));
    let are_one = tracker.resolve(one) == tracker.resolve(other);
    let mut said = match (are_one, differences.is_empty()) {
        (true, true) => "one issue, by their fingerprint\n".to_owned(),
        (true, false) if is_mined(tracker, one) || is_mined(tracker, other) => {
            "one issue, because their messages differ in a name only (`issues split` takes them apart for ever):\n"
                .to_owned()
        }
        (true, false) => {
            "one issue by a decision or a regrouping (see error_issue_history), not by their fingerprint:\n".to_owned()
        }
        (false, true) => "two issues, which these rules would make one: a replay does\n".to_owned(),
        (false, false) => "two issues, because of:\n".to_owned(),
    };
    for difference in differences {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let (one, other) = (shown(&difference.one), shown(&difference.other));
        let _ = writeln!(said, "  {:<16} {one}\n  {:<16} {other}", difference.name, "");
    }
    said
}
