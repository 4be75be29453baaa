//! Which of the forms a document has, and what it contributes: pipelines, metrics, indexes, an order.

mod scanner;

use super::document;
use super::node::{Content, Mark, Node};
use super::problem::{Note, Problem};
use super::spelling::respell;
use crate::pipeline::library;

/// Sections of `tidemill.yaml` that are not the pipeline's.
const ENGINE: [&str; 14] = [
    "data_dir",
    "shutdown_deadline",
    "storage",
    "kafka",
    "intake",
    "query",
    "worker",
    "upkeep",
    "tables",
    "issues",
    "notifications",
    "monitors",
    "health",
    "pipeline_file",
];
/// Sections of our own form; what is in them, the configuration's types say.
const SECTIONS: [&str; 10] = [
    "include",
    "pipelines",
    "metrics",
    "indexes",
    "preprocessing",
    "geo_ip_database",
    "reference_tables",
    "sensitive_data_scanner",
    "error_tracking",
    "prices",
];
/// Fields beside `pipeline` in a published integration that say nothing of what happens to a log.
const CATALOGUE: [&str; 6] =
    ["id", "metric_id", "backend_only", "facets", "installation_sources", "type"];

/// What the documents contribute together.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// Ready-made ones, which come before the user's.
    pub(super) included: Vec<Node>,
    pub(super) pipelines: Vec<Node>,
    pub(super) metrics: Vec<Node>,
    /// Absent: no document says anything of indexes.
    pub(super) indexes: Option<Vec<Node>>,
    /// Further sections of our own form.
    pub(super) sections: Vec<(super::node::Key, Node)>,
    pub(super) notes: Vec<Note>,
    pub(super) problems: Vec<Problem>,
    pipeline_order: Option<Node>,
    index_order: Option<Node>,
}

impl Pieces {
    /// Takes one document.
    pub(super) fn document(&mut self, node: Node) {
        match node.content {
            // Nothing but comments: the defaults.
            Content::Null => {}
            Content::List(items) => items.into_iter().for_each(|item| self.object(item)),
            _ => self.object(node),
        }
    }

    fn object(&mut self, mut node: Node) {
        let at = node.at;
        let is_pipeline = |node: &Node| {
            let kind = node.get("type").and_then(Node::as_text);
            node.has("processors") || kind == Some("pipeline")
        };
        if !node.is_map() {
            let reason =
                format!("{} where a pipeline, a metric or an index was expected", node.kind());
            self.problems.push(Problem::at(at, "", reason).hint(HINT));
        } else if let Some((_, data)) = node.take("data") {
            if data.get("type").and_then(Node::as_text) == Some(scanner::CONFIGURATION) {
                let nothing = || Node::list(at, Vec::new());
                let included = node.take("included").map_or_else(nothing, |(_, included)| included);
                self.sections.push(scanner::section(&data, &included, &mut self.problems));
            } else {
                self.version_2(data);
            }
        } else if node.has("pipeline_ids") {
            self.pipeline_order = node.take("pipeline_ids").map(|(_, ids)| ids);
        } else if node.has("index_names") {
            self.index_order = node.take("index_names").map(|(_, names)| names);
        } else if node.get("pipeline").is_some_and(is_pipeline) && !node.has("pipelines") {
            self.integration(node);
        } else if let Some((_, section)) = node.take("pipeline") {
            self.document(section);
        } else if is_pipeline(&node) {
            respell(&mut node);
            self.pipelines.push(node);
        } else if SECTIONS.iter().any(|section| node.has(section)) {
            self.sections(node);
        } else if node.has("compute") || node.get("attributes").is_some_and(|a| a.has("compute")) {
            self.metric(node);
        } else if is_index(&node) {
            self.index(node);
        } else if node.has("tests") {
            let reason = "these are test cases, not a pipeline".to_owned();
            self.problems.push(
                Problem::at(at, "tests", reason).hint("tidemill pipeline test PIPELINE TESTS"),
            );
        } else if !node.members().is_empty()
            && !node.members().iter().any(|(key, _)| ENGINE.contains(&key.text.as_str()))
        {
            let keys = node.members().iter().take(6).map(|(key, _)| format!("`{}`", key.text));
            let keys = keys.collect::<Vec<_>>().join(", ");
            let reason =
                format!("an object with {keys} is no form of a pipeline that is known here");
            self.problems.push(Problem::at(at, "", reason).hint(HINT));
        }
    }

    /// Our own form, and the API's wrappers around lists.
    fn sections(&mut self, node: Node) {
        let Content::Map(members) = node.content else { return };
        for (key, value) in members {
            if key.text == "include" {
                self.include(&value);
                continue;
            }
            let list = matches!(key.text.as_str(), "pipelines" | "metrics" | "indexes");
            if !list {
                self.sections.push((key, value));
                continue;
            }
            let items = match value.content {
                Content::List(items) => items,
                Content::Null => Vec::new(),
                _ => {
                    let reason = format!("{} where a list was expected", value.kind());
                    self.problems.push(
                        Problem::at(value.at, &key.text, reason)
                            .hint("begin each element with `- `"),
                    );
                    continue;
                }
            };
            match key.text.as_str() {
                "pipelines" => self.pipelines.extend(items.into_iter().map(|mut item| {
                    respell(&mut item);
                    item
                })),
                "metrics" => items.into_iter().for_each(|item| self.metric(item)),
                _ => {
                    self.indexes.get_or_insert_default();
                    items.into_iter().for_each(|item| self.index(item));
                }
            }
        }
    }

    /// Ready-made pipelines, by their names.
    fn include(&mut self, names: &Node) {
        let Some(items) = names.items() else {
            let reason = format!("{} where a list of names was expected", names.kind());
            let problem = Problem::at(names.at, "include", reason);
            self.problems.push(problem.hint("write include: [nginx, java]"));
            return;
        };
        for item in items {
            let name = item.as_text().unwrap_or_default();
            let Some(ready) = library::find(name) else {
                let reason = format!("there is no ready-made pipeline {name:?}");
                let hint = format!("known: {}", library::names());
                self.problems.push(Problem::at(item.at, "include", reason).hint(hint));
                continue;
            };
            let own = std::mem::take(&mut self.pipelines);
            match document::read(ready.pipeline, item.at.file, document::Twice::Refused) {
                Ok(documents) => documents.into_iter().for_each(|node| self.document(node)),
                Err(problems) => self.problems.extend(problems),
            }
            self.included.append(&mut self.pipelines);
            self.pipelines = own;
        }
    }

    fn index(&mut self, mut node: Node) {
        respell(&mut node);
        self.indexes.get_or_insert_default().push(node);
    }

    /// `{"data": ...}` of the API's second version.
    fn version_2(&mut self, data: Node) {
        let items = match data.content {
            Content::List(items) => items,
            content => vec![Node { at: data.at, content }],
        };
        for item in items {
            match item.get("type").and_then(Node::as_text) {
                Some("logs_metrics") => self.metric(item),
                kind => {
                    let reason = format!("`{}` is not read here", kind.unwrap_or("no type"));
                    let hint = "of the API's version 2, `logs_metrics` and the configuration of the \
                                sensitive-data scanner are";
                    self.problems.push(Problem::at(item.at, "data", reason).hint(hint));
                }
            }
        }
    }

    /// A metric: ours, `{id, type, attributes}` of the API, or that of an integration.
    fn metric(&mut self, mut node: Node) {
        let id = node.take("id");
        if let Some((_, mut attributes)) = node.take("attributes") {
            std::mem::swap(&mut node, &mut attributes);
        }
        respell(&mut node);
        let at = node.at;
        if let Some((_, id)) = id
            && !node.has("name")
        {
            node.put("name", id);
        }
        let empty = |at| Node { at, content: Content::Map(Vec::new()) };
        if let Some((_, query)) = node.take("query") {
            let mut filter = empty(query.at);
            filter.put("query", query);
            node.put("filter", filter);
            let aggregation = node.take("aggregation").map(|(_, aggregation)| aggregation);
            let kind = if aggregation.is_some() { "distribution" } else { "count" };
            let mut compute = aggregation.unwrap_or_else(|| empty(at));
            let at = compute.at;
            compute.put("aggregation_type", Node::text(at, kind));
            node.put("compute", compute);
        }
        self.metrics.push(node);
    }

    /// `{id, metric_id, backend_only, facets, pipeline}` of a published integration.
    fn integration(&mut self, node: Node) {
        let Content::Map(members) = node.content else { return };
        let mut ignored = Vec::new();
        for (key, mut value) in members {
            match key.text.as_str() {
                "pipeline" => {
                    respell(&mut value);
                    self.pipelines.push(value);
                }
                "metrics" => {
                    let items = match value.content {
                        Content::List(items) => items,
                        _ => Vec::new(),
                    };
                    items.into_iter().for_each(|item| self.metric(item));
                }
                field if CATALOGUE.contains(&field) => ignored.push(key),
                field => {
                    let reason = format!("unknown field `{field}` beside `pipeline`");
                    let hint = format!("known are pipeline, metrics, {}", CATALOGUE.join(", "));
                    self.problems.push(Problem::at(key.at, field, reason).hint(hint));
                }
            }
        }
        self.notes.extend(ignored.into_iter().map(|key| Note {
            at: key.at,
            field: key.text,
            reason: "describes the integration, not what happens to a log".to_owned(),
        }));
    }

    /// Puts pipelines and indexes into the order a document gave.
    pub(super) fn sort(&mut self) {
        let order = self.pipeline_order.take();
        let pipelines = std::mem::take(&mut self.pipelines);
        self.pipelines = self.by(order, "id", pipelines);
        let order = self.index_order.take();
        if let Some(indexes) = self.indexes.take() {
            self.indexes = Some(self.by(order, "name", indexes));
        }
    }

    fn by(&mut self, order: Option<Node>, field: &str, nodes: Vec<Node>) -> Vec<Node> {
        let Some(order) = order else { return nodes };
        let names: Vec<&str> =
            order.items().into_iter().flatten().filter_map(Node::as_text).collect();
        let place = |node: &Node| {
            let own = node.get(field).and_then(Node::as_text);
            own.and_then(|own| names.iter().position(|name| *name == own)).unwrap_or(names.len())
        };
        let missing: Vec<(Mark, String)> = order
            .items()
            .into_iter()
            .flatten()
            .filter_map(|item| Some((item.at, item.as_text()?.to_owned())))
            .filter(|(_, name)| {
                let own = |node: &Node| node.get(field).and_then(Node::as_text) == Some(name);
                !nodes.iter().any(own)
            })
            .collect();
        self.notes.extend(missing.into_iter().map(|(at, name)| Note {
            at,
            field: name,
            reason: "stands in the order, but in none of the files".to_owned(),
        }));
        let mut nodes = nodes;
        nodes.sort_by_key(place);
        nodes
    }
}

const HINT: &str = "a `pipeline:` section or its contents, Datadog's API JSON (pipelines, indexes, log-based metrics, \
                    their order, the scanner's configuration), or an integration's assets/logs/NAME.yaml";

/// An index of Datadog's API has one of these beside its name.
fn is_index(node: &Node) -> bool {
    let fields = [
        "exclusion_filters",
        "num_retention_days",
        "daily_limit",
        "num_flex_logs_retention_days",
        "is_rate_limited",
        "disable_daily_limit",
        "retention",
    ];
    node.has("name") && fields.iter().any(|field| node.has(field))
}
