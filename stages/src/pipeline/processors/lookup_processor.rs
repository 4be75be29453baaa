//! `lookup-processor`: the value a table has for the source's value, compared as text.
//!
//! Three tables: lines `key,value` in the configuration, a CSV file of two columns, a reference table
//! whose further columns are written below the target. Of two lines with one key the last counts. No
//! source, nothing written; not in the table, `default_lookup` if there is one.

use std::sync::Arc;

use bumpalo::Bump;
use hashbrown::HashMap;

use crate::event::LogEvent;
use crate::pipeline::compiler::Compiler;
use crate::pipeline::config::LookupProcessorConfig;
use crate::pipeline::source;
use crate::value::Value;

/// The compiled table.
#[derive(Debug)]
pub(in crate::pipeline) struct LookupProcessor {
    sources: [Box<str>; 1],
    target: Box<str>,
    table: Table,
    default: Option<Box<str>>,
}

#[derive(Debug)]
enum Table {
    Values(HashMap<Box<str>, Box<str>>),
    Rows(Arc<ReferenceTable>),
}

/// A CSV file with a header, by the values of one column.
#[derive(Debug)]
pub(in crate::pipeline) struct ReferenceTable {
    columns: Vec<Box<str>>,
    key: usize,
    rows: HashMap<Box<str>, Vec<Box<str>>>,
}

impl ReferenceTable {
    /// Reads a CSV file; `key` names the column that is looked up, else the first is.
    pub(in crate::pipeline) fn parse(content: &[u8], key: Option<&str>) -> Result<Self, String> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(content);
        let header = reader.headers().map_err(|error| error.to_string())?;
        let columns: Vec<Box<str>> = header.iter().map(Into::into).collect();
        let key = match key {
            None => 0,
            Some(name) => columns.iter().position(|column| **column == *name).ok_or_else(|| {
                format!("no column `{name}`: primary_key is one of `{}`", columns.join("`, `"))
            })?,
        };
        let mut rows = HashMap::new();
        for record in reader.records() {
            let record = record.map_err(|error| error.to_string())?;
            let row: Vec<Box<str>> = record.iter().map(Into::into).collect();
            let Some(value) = row.get(key) else { continue };
            rows.insert(value.clone(), row);
        }
        Ok(Self { columns, key, rows })
    }
}

impl LookupProcessor {
    /// Builds the table.
    pub(super) fn compile(
        config: &LookupProcessorConfig,
        path: &str,
        compiler: &mut Compiler<'_>,
    ) -> Option<Self> {
        let source = super::name(&config.source, "source", path, compiler);
        let target = super::name(&config.target, "target", path, compiler);
        let table =
            match (&config.lookup_table, &config.lookup_file, &config.lookup_enrichment_table) {
                (Some(lines), None, None) => {
                    let path = format!("{path}.lookup_table");
                    inline(lines, &path, compiler).map(Table::Values)
                }
                (None, Some(file), None) => {
                    let path = format!("{path}.lookup_file");
                    let content = compiler.read(&path, file)?;
                    compiler.count_lookup(&path, content.len());
                    let values =
                        from_file(&content).map_err(|reason| compiler.refuse(path, reason));
                    values.ok().map(Table::Values)
                }
                (None, None, Some(name)) => {
                    let path = format!("{path}.lookup_enrichment_table");
                    compiler.table(&path, name).map(Table::Rows)
                }
                _ => {
                    let reason =
                        "write one of lookup_table, lookup_file and lookup_enrichment_table";
                    compiler.refuse(path.to_owned(), reason);
                    None
                }
            };
        let default = config.default_lookup.as_deref().map(Into::into);
        Some(Self { sources: [source?], target: target?, table: table?, default })
    }

    /// Looks up.
    pub(super) fn apply<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>) {
        let Some(key) = source::first_text(arena, event, &self.sources) else { return };
        let mut write = |path: &str, text: &str| {
            source::replace(arena, event, path, Value::Str(arena.alloc_str(text)));
        };
        let found = match &self.table {
            Table::Values(values) => values.get(key).map(|value| write(&self.target, value)),
            Table::Rows(table) => table.rows.get(key).map(|row| {
                for (index, (column, value)) in table.columns.iter().zip(row).enumerate() {
                    if index != table.key && !value.is_empty() {
                        write(source::below(arena, &self.target, column), value);
                    }
                }
            }),
        };
        if let (None, Some(default)) = (found, &self.default) {
            write(&self.target, default);
        }
    }
}

/// Lines `key,value`; a value may have commas, a key in quotes may have them too.
fn inline(
    lines: &[String],
    path: &str,
    compiler: &mut Compiler<'_>,
) -> Option<HashMap<Box<str>, Box<str>>> {
    let mut values = HashMap::with_capacity(lines.len());
    let mut good = true;
    for (index, line) in lines.iter().enumerate() {
        let pair = if line.trim_start().starts_with('"') {
            from_file(line.as_bytes()).ok().and_then(|pair| pair.into_iter().next())
        } else {
            line.split_once(',').map(|(key, value)| (key.trim().into(), value.trim().into()))
        };
        match pair {
            Some((key, value)) => {
                values.insert(key, value);
            }
            None => {
                compiler.refuse(format!("{path}[{index}]"), "must be `key,value`");
                good = false;
            }
        }
    }
    compiler.count_lookup(path, lines.iter().map(String::len).sum());
    good.then_some(values)
}

/// Two columns without a header.
fn from_file(content: &[u8]) -> Result<HashMap<Box<str>, Box<str>>, String> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(content);
    let mut values = HashMap::new();
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        let line = record.position().map_or(0, csv::Position::line);
        match (record.get(0), record.get(1), record.len()) {
            (Some(key), Some(value), 2) => values.insert(key.into(), value.into()),
            _ => return Err(format!("line {line}: must have two columns, key and value")),
        };
    }
    Ok(values)
}
