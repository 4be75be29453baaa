//! JSON with Kubernetes metadata, as Fluent Bit and Fluentd (`kubernetes.pod_name`), Filebeat
//! (`kubernetes.pod.name`) and Vector (`kubernetes.pod_namespace`) ship container logs.
//!
//! The metadata stays in the attributes; what Datadog's agent makes tags of becomes the same tags here.
//! Service, env and version are tags too, so that what the log says of itself goes first.

use bumpalo::Bump;
use schemas::limits::MAX_ENVELOPE_TAGS;

use super::{Opened, without_newline};
use crate::event::LogEvent;
use crate::input::multiline::Stream;
use crate::pipeline::dates;
use crate::value::{Attributes, Value};

/// A tag of Datadog's agent, and where shippers put its value.
const TAGS: [(&str, &[&str]); 6] = [
    ("pod_name", &["kubernetes.pod_name", "kubernetes.pod.name"]),
    (
        "kube_namespace",
        &["kubernetes.namespace_name", "kubernetes.pod_namespace", "kubernetes.namespace"],
    ),
    ("kube_container_name", &CONTAINER),
    ("kube_deployment", &["kubernetes.deployment.name"]),
    ("container_id", &["kubernetes.docker_id", "kubernetes.container_id", "container.id"]),
    ("image_name", &IMAGE),
];
const CONTAINER: [&str; 2] = ["kubernetes.container_name", "kubernetes.container.name"];
const IMAGE: [&str; 3] =
    ["kubernetes.container_image", "container.image.name", "kubernetes.container.image"];
const NODE: [&str; 3] = ["kubernetes.host", "kubernetes.node.name", "kubernetes.pod_node_name"];

/// Labels that name the unified service tags, Datadog's first.
const LABELS: [(&str, &[&str]); 3] = [
    ("service", &["tags.datadoghq.com/service", "app.kubernetes.io/name", "app", "k8s-app"]),
    ("env", &["tags.datadoghq.com/env"]),
    ("version", &["tags.datadoghq.com/version", "app.kubernetes.io/version"]),
];

/// When the shipper or the runtime saw the line.
const TIMES: [&str; 3] = ["time", "@timestamp", "timestamp"];

pub(super) fn open<'b>(arena: &'b Bump, event: &mut LogEvent<'b>) -> Option<Opened> {
    let attributes = &mut event.attributes;
    let is_there = attributes.below("kubernetes").next().is_some();
    if !is_there {
        return None;
    }
    let stream = attributes.get_str("stream").map(Stream::from_name).unwrap_or_default();
    let is_partial = attributes.get_str("logtag").is_some_and(|tag| tag.starts_with('P'));
    for name in TIMES {
        let time = attributes.get(name).and_then(|time| dates::from_value(&time, event.received));
        if let Some(time) = time {
            attributes.remove(name);
            event.observed.get_or_insert(time);
        }
    }
    for name in ["log", "message"] {
        if let Some(Value::Str(text)) = attributes.get(name) {
            event.message = without_newline(text);
            attributes.remove(name);
            break;
        }
    }
    add_tags(arena, event);
    Some(Opened { stream, is_partial })
}

fn add_tags<'b>(arena: &'b Bump, event: &mut LogEvent<'b>) {
    let attributes = &event.attributes;
    if event.host.is_empty() {
        event.host = first(attributes, &NODE).unwrap_or("");
    }
    if event.source.is_empty() {
        event.source = first(attributes, &IMAGE).map(short_image).unwrap_or("");
    }
    let mut add = |name: &str, value: &str| {
        if event.tags.len() < MAX_ENVELOPE_TAGS {
            event.tags.push(bumpalo::format!(in arena, "{}:{}", name, value).into_bump_str());
        }
    };
    for (name, paths) in TAGS {
        if let Some(value) = first(attributes, paths) {
            // `containerd://4f1e...`
            add(name, value.rsplit_once("://").map_or(value, |(_, id)| id));
        }
    }
    for (name, labels) in LABELS {
        let found = labels.iter().find_map(|name| label(arena, attributes, name));
        let found = found.or_else(|| first(attributes, &CONTAINER).filter(|_| name == "service"));
        if let Some(value) = found {
            add(name, value);
        }
    }
}

fn first<'b>(attributes: &Attributes<'b>, paths: &[&str]) -> Option<&'b str> {
    paths.iter().find_map(|path| attributes.get_str(path))
}

/// A label of the pod; Filebeat writes `_` for the dots of its name.
fn label<'b>(arena: &'b Bump, attributes: &Attributes<'b>, name: &str) -> Option<&'b str> {
    let plain = name.replace('.', "_");
    let names = [name, &plain];
    names.iter().find_map(|name| {
        ["kubernetes.labels", "kubernetes.pod_labels"]
            .iter()
            .find_map(|place| attributes.get_str(&bumpalo::format!(in arena, "{}.{}", place, name)))
    })
}

/// `nginx` of `registry.example.org:5000/web/nginx:1.25@sha256:...`
fn short_image(image: &str) -> &str {
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split([':', '@']).next().unwrap_or(name)
}
