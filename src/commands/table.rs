//! Draws an answer as a table that fits the terminal.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use serde_json::Value;

use crate::api::Rows;

/// The table as text, without a final line break. Numbers stand on the right, nothing is `NULL`.
pub(crate) fn draw(rows: &Rows) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(rows.columns.iter().map(|column| Cell::new(&column.name)));
    for row in &rows.rows {
        table.add_row(row.iter().map(|value| {
            let cell = Cell::new(text(value));
            if value.is_number() { cell.set_alignment(CellAlignment::Right) } else { cell }
        }));
    }
    // Trailing blanks would only wrap in narrow terminals.
    let drawn = table.to_string();
    drawn.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// A value as a person reads it; control characters would disturb the terminal.
fn text(value: &Value) -> String {
    let text = match value {
        Value::Null => return "NULL".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.chars()
        .map(|c| match c {
            '\n' => '\n',
            '\t' => ' ',
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_nulls_and_hostile_text_are_drawn_safely() {
        let rows: Rows = serde_json::from_value(serde_json::json!({
            "columns": [{"name": "service", "type": "text"}, {"name": "n", "type": "bigint"}],
            "rows": [["cart\u{1b}[2J", 7], [null, 12_345]],
        }))
        .expect("rows");
        let drawn = draw(&rows);
        assert!(drawn.contains("service") && drawn.contains("NULL"), "{drawn}");
        assert!(drawn.contains("     7"), "{drawn}");
        assert!(!drawn.contains('\u{1b}'), "{drawn:?}");
    }
}
