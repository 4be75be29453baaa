//! Question 2: the slowest trace, as a tree.

use std::collections::{BTreeMap, BTreeSet};

use super::{Answer, Context, float, text, whole};
use crate::api::{ApiError, Rows};

/// Levels of a tree that are drawn; a cycle in bad data must not draw for ever.
const MAX_LEVELS: usize = 32;

fn sql() -> String {
    "SELECT span_id, parent_id, service, resource, start_ns, duration_ns, error, error_kind
FROM spans
WHERE trace_id = (SELECT trace_id FROM spans WHERE parent_id = '' ORDER BY duration_ns DESC LIMIT 1)
ORDER BY start_ns, span_id"
        .to_owned()
}

pub(super) async fn ask(context: &mut Context) -> Result<Answer, ApiError> {
    let sql = sql();
    let rows = context.api.rows(&sql).await?;
    let mut answer = Answer::new("The slowest trace", sql, tree(&rows));
    let truth = &context.truth.slowest;
    answer.equal("spans of it", rows.rows.len() as u64, truth.len() as u64);
    let sent: BTreeSet<(String, String, u64)> = truth
        .iter()
        .map(|span| {
            let parent =
                if span.parent == 0 { String::new() } else { format!("{:016x}", span.parent) };
            (format!("{:016x}", span.id), parent, u64::try_from(span.duration_ns).unwrap_or(0))
        })
        .collect();
    let found: BTreeSet<(String, String, u64)> = rows
        .rows
        .iter()
        .map(|row| (text(row, 0).to_owned(), text(row, 1).to_owned(), whole(row, 5)))
        .collect();
    answer.check(sent == found, "ids, parents and durations of every span, across both protocols");
    Ok(answer)
}

/// Draws the tree: a line per span, children below their parent, with where in time it ran.
fn tree(rows: &Rows) -> String {
    let mut children: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, row) in rows.rows.iter().enumerate() {
        children.entry(text(row, 1)).or_default().push(index);
    }
    let start = rows.rows.iter().map(|row| whole(row, 4)).min().unwrap_or(0);
    let total = rows
        .rows
        .iter()
        .map(|row| (whole(row, 4) + whole(row, 5)).saturating_sub(start))
        .max()
        .unwrap_or(1)
        .max(1);
    let mut lines = Vec::new();
    let mut open: Vec<(usize, usize)> =
        children.get("").into_iter().flatten().rev().map(|index| (*index, 0)).collect();
    while let Some((index, level)) = open.pop() {
        let Some(row) = rows.rows.get(index) else { continue };
        lines.push(line(row, level, start, total));
        if level < MAX_LEVELS {
            let below = children.get(text(row, 0)).into_iter().flatten().rev();
            open.extend(below.map(|child| (*child, level + 1)));
        }
    }
    lines.join("\n")
}

/// Characters of the time bar.
const BAR: u64 = 24;

fn line(row: &[serde_json::Value], level: usize, start: u64, total: u64) -> String {
    let column = |nanos: u64| nanos.saturating_mul(BAR) / total;
    let from = column(whole(row, 4).saturating_sub(start)).min(BAR - 1);
    let width = column(whole(row, 5)).clamp(1, BAR - from);
    let bar: String =
        (0..BAR).map(|at| if (from..from + width).contains(&at) { '━' } else { '·' }).collect();
    let name = format!("{}{} {}", "  ".repeat(level), text(row, 2), text(row, 3));
    let name: String = name.chars().take(58).collect();
    let error = match row.get(6).and_then(serde_json::Value::as_bool) {
        Some(true) => format!("  ✗ {}", text(row, 7)),
        _ => String::new(),
    };
    format!("{bar} {:>9.1} ms  {name}{error}", float(row, 5) / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_shows_children_below_parents_and_survives_a_cycle() {
        let rows: Rows = serde_json::from_value(serde_json::json!({
            "columns": [],
            "rows": [
                ["a", "", "web", "GET /", 0, 100, false, null],
                ["b", "a", "cart", "HGETALL", 50, 50, true, "Oops"],
                ["c", "c", "lost", "own parent", 0, 1, false, null],
            ],
        }))
        .expect("rows");
        let drawn = tree(&rows);
        let lines: Vec<&str> = drawn.lines().collect();
        assert_eq!(lines.len(), 2, "{drawn}");
        assert!(
            lines[0].ends_with("web GET /") && lines[1].ends_with("  cart HGETALL  ✗ Oops"),
            "{drawn}"
        );
        assert!(lines[1].starts_with("············━━━"), "{drawn}");
    }
}
