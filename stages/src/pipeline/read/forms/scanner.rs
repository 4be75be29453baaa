//! The Sensitive Data Scanner's configuration as Datadog's API gives it (`GET
//! /api/v2/sensitive-data-scanner/config`): `data` names the groups in their order, `included` holds groups,
//! rules and, if asked for, standard patterns, which refer to one another by id. What is inside `attributes` has
//! the names of our own form.

use super::super::node::{Content, Key, Mark, Node};
use super::super::problem::Problem;

/// What `data` is then.
pub(super) const CONFIGURATION: &str = "sensitive_data_scanner_configuration";

/// The section `sensitive_data_scanner` of our own form.
pub(super) fn section(data: &Node, included: &Node, problems: &mut Vec<Problem>) -> (Key, Node) {
    let groups = referred(data, "groups");
    let mut found = Vec::new();
    for (at, id) in &groups {
        match by_id(included, "sensitive_data_scanner_group", id) {
            Some(group) => found.push(group_of(group, included, problems)),
            None => problems.push(missing(*at, "group", id)),
        }
    }
    let mut section = Node { at: data.at, content: Content::Map(Vec::new()) };
    section.put("groups", Node::list(data.at, found));
    (Key { at: data.at, text: "sensitive_data_scanner".to_owned() }, section)
}

fn group_of(group: &Node, included: &Node, problems: &mut Vec<Problem>) -> Node {
    let mut own = attributes(group);
    let mut rules = Vec::new();
    for (at, id) in referred(group, "rules") {
        match by_id(included, "sensitive_data_scanner_rule", &id) {
            Some(rule) => rules.push(rule_of(rule, included)),
            None => problems.push(missing(at, "rule", &id)),
        }
    }
    own.put("rules", Node::list(group.at, rules));
    own
}

/// A rule; a standard pattern by its name where that is there, else by its id, which the compiler then names.
fn rule_of(rule: &Node, included: &Node) -> Node {
    let mut own = attributes(rule);
    let pattern = rule.get("relationships").and_then(|all| all.get("standard_pattern"));
    let id = pattern.and_then(|one| one.get("data")?.get("id"));
    if let Some(id) = id {
        let text = id.as_text().unwrap_or_default();
        let known = by_id(included, "sensitive_data_scanner_standard_pattern", text);
        let name = known.and_then(|known| known.get("attributes")?.get("name")?.as_text());
        own.put("standard_pattern", Node::text(id.at, name.unwrap_or(text)));
    }
    own
}

/// The attributes of an object, those that say nothing left out.
fn attributes(object: &Node) -> Node {
    let empty = Node { at: object.at, content: Content::Map(Vec::new()) };
    let mut own = object.get("attributes").cloned().unwrap_or(empty);
    if let Some(members) = own.members_mut() {
        members.retain(|(_, value)| !value.is_null());
    }
    own
}

/// Ids an object's relationship names.
fn referred(object: &Node, name: &str) -> Vec<(Mark, String)> {
    let data = object.get("relationships").and_then(|all| all.get(name)?.get("data"));
    let items = data.and_then(Node::items).unwrap_or_default();
    let ids =
        items.iter().filter_map(|item| Some((item.at, item.get("id")?.as_text()?.to_owned())));
    ids.collect()
}

fn by_id<'n>(included: &'n Node, kind: &str, id: &str) -> Option<&'n Node> {
    let text = |node: &'n Node, name: &str| node.get(name).and_then(Node::as_text);
    let is_it = |node: &&'n Node| text(node, "id") == Some(id) && text(node, "type") == Some(kind);
    included.items().unwrap_or_default().iter().find(is_it)
}

fn missing(at: Mark, what: &str, id: &str) -> Problem {
    let reason = format!("the {what} {id:?} is not in `included`");
    Problem::at(at, "data", reason).hint("take the whole answer of the API, `included` too")
}
