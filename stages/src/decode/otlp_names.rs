//! Operation name, resource and type of an OTLP span, as Datadog's agent derives them
//! (datadog-agent `pkg/trace/traceutil/otel_util.go`: `GetOTelOperationNameV2`,
//! `GetOTelResourceV2`, `GetOTelSpanType`), simplified: resources are the span name but for HTTP
//! servers, where `METHOD route` keeps ids out of them.

use bumpalo::Bump;

use super::otlp_traces::Sent;

/// What is derived.
pub(super) struct Names<'b> {
    pub(super) operation: &'b str,
    pub(super) resource: &'b str,
    pub(super) span_type: &'b str,
}

pub(super) fn derive<'b>(arena: &'b Bump, sent: &Sent<'b>) -> Names<'b> {
    let get = |path: &str| sent.attributes.get_str(path);
    Names {
        operation: get("operation.name").unwrap_or_else(|| operation(arena, sent)),
        resource: get("resource.name").unwrap_or_else(|| resource(arena, sent)),
        span_type: get("span.type").unwrap_or_else(|| span_type(sent)),
    }
}

/// First of the newer and the older name of a convention.
fn either<'b>(sent: &Sent<'b>, new: &str, old: &str) -> Option<&'b str> {
    sent.attributes.get_str(new).or_else(|| sent.attributes.get_str(old))
}

fn operation<'b>(arena: &'b Bump, sent: &Sent<'b>) -> &'b str {
    let (server, client) = (sent.kind == "server", sent.kind == "client");
    let get = |path: &str| sent.attributes.get_str(path);
    let join = |parts: [&str; 2]| {
        bumpalo::format!(in arena, "{}.{}", parts[0].to_lowercase(), parts[1]).into_bump_str()
    };
    if either(sent, "http.request.method", "http.method").is_some() && (server || client) {
        return if server { "http.server.request" } else { "http.client.request" };
    }
    if let Some(system) = either(sent, "db.system.name", "db.system").filter(|_| client) {
        return join([system, "query"]);
    }
    if let (Some(system), Some(operation)) =
        (get("messaging.system"), either(sent, "messaging.operation.type", "messaging.operation"))
    {
        return join([system, operation]);
    }
    if let Some(system) = get("rpc.system").filter(|_| server || client) {
        return join([system, if server { "server.request" } else { "client.request" }]);
    }
    if get("graphql.operation.type").is_some() {
        return "graphql.server.request";
    }
    match sent.kind {
        "server" => "server.request",
        "client" => "client.request",
        "" => "internal",
        kind => kind,
    }
}

fn resource<'b>(arena: &'b Bump, sent: &Sent<'b>) -> &'b str {
    let method = either(sent, "http.request.method", "http.method");
    match (method, sent.attributes.get_str("http.route")) {
        (Some(method), Some(route)) if sent.kind == "server" => {
            let method = if method == "_OTHER" { "HTTP" } else { method };
            bumpalo::format!(in arena, "{} {}", method, route).into_bump_str()
        }
        _ => sent.name,
    }
}

fn span_type(sent: &Sent<'_>) -> &'static str {
    match sent.kind {
        "server" => "web",
        "client" => match either(sent, "db.system.name", "db.system") {
            Some("redis" | "memcached") => "cache",
            Some(_) => "db",
            None => "http",
        },
        "producer" | "consumer" => "queue",
        _ => "custom",
    }
}
