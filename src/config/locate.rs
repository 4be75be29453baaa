//! Finds the line of a field, so that a rule broken by a value can be shown where it stands. The YAML
//! reader knows lines only while it reads; what is checked later is looked up here by its path. It
//! follows block style, the way configurations are written; inside `{}` or `[]` the line of the
//! enclosing field is good enough.

/// One step of a path.
#[derive(Debug, PartialEq, Eq)]
enum Step<'a> {
    Key(&'a str),
    Item(usize),
    /// The n-th line of a block text, from 1.
    Line(usize),
}

/// Line (from 1) of `path` such as `kafka.sources[1].format` or `grok.match_rules:3`, or of the
/// deepest part of it that is there. `None` when not even the first part is.
pub(super) fn line_of(text: &str, path: &str) -> Option<usize> {
    let lines: Vec<&str> = text.lines().collect();
    let mut region = 0..lines.len();
    let mut found = None;
    for step in steps(path) {
        let next = match step {
            Step::Key(name) => find_key(&lines, region.clone(), name),
            Step::Item(index) => find_item(&lines, region.clone(), index),
            Step::Line(number) => {
                return found.map(|line: usize| (line + number).min(lines.len()));
            }
        };
        let Some(at) = next else { break };
        found = Some(at + 1);
        region = match step {
            Step::Item(_) => at..block_end(&lines, at, region.end),
            _ => at + 1..block_end(&lines, at, region.end),
        };
    }
    found
}

fn steps(path: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    let (path, line) = match path.rsplit_once(':') {
        Some((head, number)) => match number.trim().parse() {
            Ok(number) => (head, Some(number)),
            Err(_) => (path, None),
        },
        None => (path, None),
    };
    for part in path.split('.') {
        let (key, items) = part.split_once('[').map_or((part, ""), |(key, rest)| (key, rest));
        if !key.is_empty() {
            steps.push(Step::Key(key));
        }
        for index in items.split(['[', ']']).filter_map(|text| text.parse().ok()) {
            steps.push(Step::Item(index));
        }
    }
    steps.extend(line.map(Step::Line));
    steps
}

/// Column of a line's first character that is neither space nor, for `inside`, the dash of an item.
fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn is_blank(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

/// The keys of the outermost level of the region; a leading `- ` counts as indentation.
fn find_key(lines: &[&str], region: std::ops::Range<usize>, name: &str) -> Option<usize> {
    let column = |line: &str| {
        let body = line.trim_start_matches([' ', '-']);
        line.len() - body.len()
    };
    let body = |at: usize| lines.get(at).copied().unwrap_or_default();
    let level = region.clone().find(|at| !is_blank(body(*at))).map(|at| column(body(at)))?;
    region.into_iter().find(|at| {
        let line = body(*at);
        let text = line.trim_start_matches([' ', '-']).trim_start_matches(['"', '\'']);
        let rest = text.strip_prefix(name).map(|rest| rest.trim_start_matches(['"', '\'']));
        !is_blank(line) && column(line) == level && rest.is_some_and(|rest| rest.starts_with(':'))
    })
}

fn find_item(lines: &[&str], region: std::ops::Range<usize>, index: usize) -> Option<usize> {
    let dash = |at: &usize| lines.get(*at).is_some_and(|line| line.trim_start().starts_with("- "));
    let first = region.clone().find(dash)?;
    let level = indent(lines.get(first)?);
    region
        .filter(|at| dash(at) && lines.get(*at).is_some_and(|line| indent(line) == level))
        .nth(index)
}

/// One past the last line that belongs to the field or item at `at`.
fn block_end(lines: &[&str], at: usize, limit: usize) -> usize {
    let Some(own) = lines.get(at) else { return limit };
    let level = indent(own);
    let is_item = own.trim_start().starts_with("- ");
    let ends = |line: &str| {
        if is_blank(line) {
            return false;
        }
        // A list may stand at the same column as the key that holds it.
        let sibling_list = !is_item && line.trim_start().starts_with("- ");
        indent(line) < level || (indent(line) == level && !sibling_list)
    };
    (at + 1..limit).find(|at| lines.get(*at).is_some_and(|line| ends(line))).unwrap_or(limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "\
# a comment
kafka:
  brokers: a:1
  sources:
    - topic: one
      signal: logs
    # between
    - topic: two
      signal: spans
pipeline:
  pipelines:
  - name: first
    processors:
    - type: grok-parser
      grok:
        match_rules: |
          a %{data}
          b %{oops}
query: {http: x}
";

    #[test]
    fn a_field_is_found_where_it_stands() {
        for (path, line) in [
            ("kafka.brokers", Some(3)),
            ("kafka.sources[0].signal", Some(6)),
            ("kafka.sources[1].topic", Some(8)),
            ("kafka.sources[1].format", Some(8)),
            ("pipeline.pipelines[0].processors[0].type", Some(14)),
            ("pipeline.pipelines[0].processors[0].grok.match_rules:2", Some(18)),
            ("query.http", Some(19)),
            ("intake.datadog", None),
        ] {
            assert_eq!(line_of(TEXT, path), line, "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_text_and_no_path_make_it_panic(text in "[a-c: \\-\\n\\[\\]#é]{0,60}", path: String) {
            let _ = line_of(&text, &path);
            let _ = line_of(TEXT, &path);
        }
    }
}
