//! The tree against the configuration's types, element by element, so that one bad element does not hide the
//! others. A bad one is noted and replaced by one that does nothing, which keeps the numbers of the rest.

use serde::de::DeserializeOwned;

use super::node::{Content, Node};
use super::problem::{Note, Problem};
use crate::pipeline::config::{Config, IndexConfig, MetricConfig, PipelineConfig, ProcessorConfig};

/// Fields of Datadog's own that are accepted where a type does not know them: they change nothing of what
/// becomes of a log.
const WITHOUT_MEANING: [&str; 23] = [
    "id",
    "type",
    "name",
    "description",
    "tags",
    "samples",
    "is_read_only",
    "metric_id",
    "backend_only",
    "facets",
    "meta",
    "ocsf",
    "version",
    "created_at",
    "modified_at",
    "created_by",
    "modified_by",
    "is_rate_limited",
    "relationships",
    "links",
    "ip_processing_behavior",
    "extensions",
    "include_percentiles",
];
/// Fields that integrations carry at processors that have no use for them.
const STRAY: [(&str, &[&str]); 4] = [
    ("date-remapper", &["override_on_conflict", "preserve_source"]),
    ("message-remapper", &["override_on_conflict", "preserve_source"]),
    ("geo-ip-parser", &["override_on_conflict", "is_encoded"]),
    ("user-agent-parser", &["combine_version_details"]),
];

/// Reads the tree; what it refuses goes to `problems`.
pub(super) fn config(
    tree: &mut Node,
    notes: &mut Vec<Note>,
    problems: &mut Vec<Problem>,
) -> Config {
    let mut reader = Reader { notes, problems };
    reader.elements(tree, "pipelines", "", |reader, node, rule| reader.pipeline(node, rule));
    reader.elements(tree, "metrics", "", |reader, node, rule| {
        reader.settle::<MetricConfig>(node, rule)
    });
    reader.elements(tree, "indexes", "", |reader, node, rule| {
        reader.settle::<IndexConfig>(node, rule)
    });
    match serde::Deserialize::deserialize(&*tree) {
        Ok(config) => config,
        Err(refused) => {
            let refused: super::deserialize::Refused = refused;
            let at = refused.place(tree);
            reader.problems.push(Problem::at(at, "", refused.reason));
            Config::default()
        }
    }
}

struct Reader<'a> {
    notes: &'a mut Vec<Note>,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    /// Checks each element of a list; refused ones leave it, or are replaced.
    fn elements(
        &mut self,
        node: &mut Node,
        list: &str,
        rule: &str,
        check: impl Fn(&mut Self, &mut Node, &str) -> bool,
    ) {
        let dot = if rule.is_empty() { "" } else { "." };
        let Some(items) = node.get_mut(list).and_then(Node::items_mut) else { return };
        let mut good = Vec::with_capacity(items.len());
        for (index, mut item) in std::mem::take(items).into_iter().enumerate() {
            let rule = format!("{rule}{dot}{list}[{index}]");
            if check(self, &mut item, &rule) {
                good.push(item);
            } else if matches!(list, "pipelines" | "processors") {
                good.push(nothing(&item));
            }
        }
        *items = good;
    }

    fn pipeline(&mut self, node: &mut Node, rule: &str) -> bool {
        self.elements(node, "processors", rule, |reader, node, rule| {
            if node.get("type").and_then(Node::as_text) == Some("pipeline") {
                reader.pipeline(node, rule)
            } else {
                reader.settle::<ProcessorConfig>(node, rule)
            }
        });
        self.settle::<PipelineConfig>(node, rule)
    }

    /// Whether the type accepts the node, fields without meaning taken out.
    fn settle<T: DeserializeOwned>(&mut self, node: &mut Node, rule: &str) -> bool {
        loop {
            let refused = match T::deserialize(&*node) {
                Ok(_) => return true,
                Err(refused) => refused,
            };
            let at = refused.place(node);
            if let Some(field) = refused.unknown_field().map(str::to_owned)
                && (WITHOUT_MEANING.contains(&field.as_str()) || is_stray(node, &field))
                && remove(node, &field, at)
            {
                let reason = "accepted; it changes nothing here".to_owned();
                self.notes.push(Note { at, field: format!("{rule}.{field}"), reason });
                continue;
            }
            let hint = if refused.unknown_field().is_some() {
                "check the spelling; a field that would change what happens to a log is never ignored"
            } else {
                ""
            };
            self.problems.push(Problem::at(at, rule, refused.reason).hint(hint));
            return false;
        }
    }
}

fn is_stray(node: &Node, field: &str) -> bool {
    let kind = node.get("type").and_then(Node::as_text).unwrap_or_default();
    STRAY.iter().any(|(own, fields)| *own == kind && fields.contains(&field))
}

/// Takes out the member whose key stands at `at`.
fn remove(node: &mut Node, field: &str, at: super::Mark) -> bool {
    match &mut node.content {
        Content::Map(members) => {
            let before = members.len();
            members.retain(|(key, _)| !(key.text == field && key.at == at));
            before != members.len() || members.iter_mut().any(|(_, value)| remove(value, field, at))
        }
        Content::List(items) => items.iter_mut().any(|item| remove(item, field, at)),
        _ => false,
    }
}

/// A nested pipeline that is off.
fn nothing(like: &Node) -> Node {
    let mut node = Node { at: like.at, content: Content::Map(Vec::new()) };
    node.put("type", Node::text(like.at, "pipeline"));
    node.put("is_enabled", Node { at: like.at, content: Content::Bool(false) });
    node
}
