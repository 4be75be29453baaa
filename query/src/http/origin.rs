//! Keeps web pages out: a page in the user's browser can reach a loopback port, by a plain form
//! post or through a name that resolves to 127.0.0.1 (DNS rebinding).

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::error::{Code, QueryError};

use super::respond;

/// Refuses a `Host` that is no loopback name, when the port is a loopback port, and an `Origin`
/// that is another host than the one addressed.
pub(super) async fn check(State(loopback): State<bool>, request: Request, next: Next) -> Response {
    let host = host_of(request.headers())
        .or_else(|| request.uri().authority().map(|a| a.as_str().to_owned()));
    match refusal(loopback, host.as_deref(), origin_of(request.headers())) {
        None => next.run(request).await,
        Some(error) => respond(&error, StatusCode::FORBIDDEN),
    }
}

fn host_of(headers: &HeaderMap) -> Option<String> {
    headers.get(header::HOST).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn origin_of(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::ORIGIN).map(|value| value.to_str().unwrap_or("null"))
}

fn refusal(loopback: bool, host: Option<&str>, origin: Option<&str>) -> Option<QueryError> {
    let host = host.unwrap_or_default();
    if loopback && !is_loopback(name_of(host)) {
        return Some(
            QueryError::new(
                Code::NotAllowed,
                format!("the host {} is not this service", printable(host)),
            )
            .with_hint(
                "use localhost or 127.0.0.1, or set query.http to the address others reach it at",
            ),
        );
    }
    let origin = origin?;
    let authority = origin.split_once("://").map_or("", |(_, rest)| rest);
    let same = if loopback {
        is_loopback(name_of(authority))
    } else {
        authority.eq_ignore_ascii_case(host)
    };
    (!same).then(|| {
        QueryError::new(
            Code::NotAllowed,
            format!("pages from {} may not query this service", printable(origin)),
        )
    })
}

/// The name without its port.
fn name_of(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.rsplit_once(':').map_or(authority, |(name, _)| name),
    }
}

fn is_loopback(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// At most sixty characters of what a stranger sent.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_reach_a_loopback_port() {
        for host in [
            "localhost",
            "localhost:8080",
            "LOCALHOST:1",
            "127.0.0.1:8080",
            "127.9.9.9",
            "[::1]:8080",
        ] {
            assert!(refusal(true, Some(host), None).is_none(), "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example:8080",
            "",
            "10.0.0.1",
            "localhost.evil.example",
        ] {
            assert!(refusal(true, Some(host), None).is_some(), "{host}");
        }
    }

    #[test]
    fn foreign_pages_are_refused() {
        assert!(refusal(true, Some("localhost"), Some("https://evil.example")).is_some());
        assert!(refusal(true, Some("localhost"), Some("null")).is_some());
        assert!(refusal(true, Some("localhost:8080"), Some("http://localhost:3000")).is_none());
        assert!(refusal(false, Some("tide.example"), Some("https://tide.example")).is_none());
        assert!(refusal(false, Some("tide.example"), Some("https://evil.example")).is_some());
    }
}
