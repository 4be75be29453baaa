//! Reads a pipeline configuration in any of its forms; every problem has file, line and column.
//!
//! | form | recognised by |
//! |---|---|
//! | our own YAML: `tidemill.yaml` with its `pipeline:` section, or the section alone | `pipeline:`, or `pipelines`, `metrics`, `indexes` |
//! | Datadog's API JSON: a pipeline or a list of them, `{"indexes": [...]}` or an index, log-based metrics as `{"data": ...}`, the order of pipelines and indexes | `processors`, `exclusion_filters`, `data`, `pipeline_ids`, `index_names` |
//! | a published integration, `assets/logs/NAME.yaml` | `pipeline: {type: pipeline, ...}` |
//!
//! Several files are one configuration: their pipelines follow one another in the order of the files.
//! Fields that change nothing are accepted and noted; every other unknown field is refused.

mod deserialize;
mod document;
mod forms;
mod json;
mod node;
mod problem;
mod spelling;
mod typed;

use std::collections::BTreeMap;

use super::config::{Config, ConfigError};
use node::{Content, Key, Node};

pub use node::Mark;
pub use problem::{Note, Problem};

/// A configuration as read.
#[derive(Debug)]
pub struct Read {
    /// What was read; only of use where `problems` is empty.
    pub config: Config,
    /// Fields that change nothing.
    pub notes: Vec<Note>,
    /// What is wrong, in the order of files and lines. Compiling can add to it: [`Read::problem`].
    pub problems: Vec<Problem>,
    tree: Node,
}

/// Reads these texts as one configuration. No text, or none with content, means the defaults.
pub fn read(texts: &[&str]) -> Read {
    let mut pieces = forms::Pieces::default();
    for (file, text) in texts.iter().enumerate() {
        match document::read(text, file, document::Twice::Refused) {
            Ok(documents) => documents.into_iter().for_each(|node| pieces.document(node)),
            Err(problems) => pieces.problems.extend(problems),
        }
    }
    pieces.sort();
    let mut tree = compose(&mut pieces);
    let forms::Pieces { mut notes, mut problems, .. } = pieces;
    let config = typed::config(&mut tree, &mut notes, &mut problems);
    notes.sort_by_key(|note| note.at);
    problems.sort_by_key(|problem| problem.at);
    Read { config, notes, problems, tree }
}

/// The documents of a file that is no configuration, as JSON, with their places; of an object's lists, those of
/// their elements. What stands twice counts as it stands last.
pub(super) fn documents(text: &str) -> Result<Vec<(Mark, Document)>, Vec<Problem>> {
    let documents = document::read(text, 0, document::Twice::Replaces)?;
    Ok(documents.into_iter().map(|node| (node.at, Document(node))).collect())
}

/// A document.
pub(super) struct Document(Node);

impl Document {
    /// A member of the document.
    pub(super) fn get(&self, name: &str) -> Option<Member<'_>> {
        self.0.get(name).map(Member)
    }
}

/// A member of a document.
pub(super) struct Member<'d>(&'d Node);

impl Member<'_> {
    /// The elements, if it is a list.
    pub(super) fn items(&self) -> Option<Vec<(Mark, serde_json::Value)>> {
        Some(self.0.items()?.iter().map(|item| (item.at, item.into())).collect())
    }
}

impl Read {
    /// What the compiler refused, with its place.
    pub fn problem(&self, error: &ConfigError) -> Problem {
        let at = self.tree.locate(&error.path);
        Problem::at(at, &error.path, error.reason.clone())
    }
}

/// Everything as one object in our own form.
fn compose(pieces: &mut forms::Pieces) -> Node {
    let start = Mark { file: 0, line: 1, column: 1 };
    let at = |nodes: &[Node]| nodes.first().map_or(start, |node| node.at);
    let mut tree = Node { at: start, content: Content::Map(Vec::new()) };
    let mut pipelines = std::mem::take(&mut pieces.included);
    pipelines.append(&mut pieces.pipelines);
    tree.put("pipelines", Node::list(at(&pipelines), pipelines));
    let metrics = std::mem::take(&mut pieces.metrics);
    tree.put("metrics", Node::list(at(&metrics), metrics));
    if let Some(indexes) = pieces.indexes.take() {
        tree.put("indexes", Node::list(at(&indexes), indexes));
    }
    let mut sections: BTreeMap<String, (Key, Node)> = BTreeMap::new();
    for (key, value) in std::mem::take(&mut pieces.sections) {
        let Some((_, known)) = sections.get_mut(&key.text) else {
            sections.insert(key.text.clone(), (key, value));
            continue;
        };
        match (known.items_mut(), value.content) {
            (Some(items), Content::List(more)) => items.extend(more),
            _ => pieces.problems.push(
                Problem::at(key.at, &key.text, "another file has this section too".to_owned())
                    .hint("keep one of them"),
            ),
        }
    }
    if let Some(members) = tree.members_mut() {
        members.extend(sections.into_values());
    }
    tree
}

#[cfg(test)]
mod tests;
