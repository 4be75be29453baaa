//! Messages against a real HTTP server that behaves, and ones that do not.

use std::sync::Mutex;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::post;

use super::*;

type Heard = Arc<Mutex<Vec<(HeaderMap, String)>>>;

/// A server on a free port of loopback.
async fn server() -> (String, Heard) {
    let heard = Heard::default();
    let hear = |State(heard): State<Heard>, headers: HeaderMap, body: String| async move {
        heard.lock().expect("unpoisoned").push((headers, body));
        StatusCode::ACCEPTED
    };
    let router = Router::new()
        .route("/good", post(hear))
        .route("/away", post(|| async { Redirect::temporary("/good").into_response() }))
        .route(
            "/broken",
            post(|| async { (StatusCode::INTERNAL_SERVER_ERROR, "out\u{7} of order") }),
        )
        .route("/no", post(|| async { StatusCode::NOT_FOUND }))
        .route("/hang", post(std::future::pending::<StatusCode>))
        .with_state(Arc::clone(&heard));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, heard)
}

fn target(name: &str, url: &str, private: bool) -> Target {
    let url = Url::parse(url).expect("a URL");
    let secret = Some("s3cret".to_owned());
    Target { name: name.to_owned(), url, secret, routing_key: None, private }
}

fn message(recipient: &str) -> Message {
    Message {
        id: "k1".to_owned(),
        recipient: recipient.to_owned(),
        kind: "new_issue".to_owned(),
        title: "t".to_owned(),
        issue_ids: Vec::new(),
        alerts: 1,
        created: 0,
        body: "{\"a\":1}".to_owned(),
        attempts: 0,
        since: 0,
        next: 0,
        error: String::new(),
        status: None,
    }
}

async fn send(target: Target) -> Attempt {
    let name = target.name.clone();
    let sender = Sender::with_timeout(&[target], Duration::from_millis(300)).expect("a client");
    sender.send(&message(&name)).await
}

#[tokio::test]
async fn a_message_arrives_signed_and_with_its_key() {
    let (address, heard) = server().await;
    assert_eq!(send(target("a", &format!("{address}/good"), true)).await, Attempt::Sent(202));
    let mut duty = target("duty", &format!("{address}/good"), true);
    duty.routing_key = Some("R0".to_owned());
    assert_eq!(send(duty).await, Attempt::Sent(202));
    let heard = heard.lock().expect("unpoisoned");
    let (headers, body) = &heard[0];
    assert_eq!((headers["idempotency-key"].as_bytes(), body.as_str()), (&b"k1"[..], "{\"a\":1}"));
    let signature = headers["x-tidemill-signature"].to_str().expect("text");
    let seconds = signature.trim_start_matches("t=").split(',').next().expect("a time");
    assert_eq!(signature, sign("s3cret", seconds.parse().expect("seconds"), body));
    assert_eq!(heard[1].1, "{\"a\":1,\"routing_key\":\"R0\"}");
}

#[test]
fn the_signature_is_what_others_compute() {
    // echo -n '1.body' | openssl dgst -sha256 -hmac key
    let expected = "t=1,v1=91b5374b153842ad05b2c4eab9349b8321b14703165bd3fb8b034dfb8be98ae5";
    assert_eq!(sign("key", 1, "body"), expected);
    assert_ne!(sign("key", 1, "body"), sign("key", 2, "body"));
}

#[tokio::test]
async fn targets_that_hang_redirect_or_break_have_their_own_ends() {
    let (address, heard) = server().await;
    let at = |path: &str| target("a", &format!("{address}/{path}"), true);
    assert!(matches!(send(at("hang")).await, Attempt::Failed(None, _)));
    let broken = Attempt::Failed(Some(500), "status 500: out of order".to_owned());
    assert_eq!(send(at("broken")).await, broken);
    assert!(matches!(send(at("away")).await, Attempt::Refused(Some(307), _)));
    assert!(matches!(send(at("no")).await, Attempt::Refused(Some(404), _)));
    assert!(heard.lock().expect("unpoisoned").is_empty(), "a redirect was followed");
    let closed = target("a", "http://127.0.0.1:1/", true);
    assert!(matches!(send(closed).await, Attempt::Failed(None, _)));
}

#[tokio::test]
async fn a_target_in_our_own_network_is_refused_however_it_is_named() {
    let (address, heard) = server().await;
    let port = address.rsplit(':').next().expect("a port");
    for host in ["127.0.0.1", "localhost", "[::1]"] {
        let attempt = send(target("a", &format!("https://{host}:{port}/good"), false)).await;
        assert!(matches!(attempt, Attempt::Refused(None, _)), "{host}: {attempt:?}");
    }
    // By what a name resolves to, not by the name.
    let resolver = guard::Resolver { private: false };
    let name = "localhost".parse().expect("a name");
    assert!(reqwest::dns::Resolve::resolve(&resolver, name).await.is_err());
    assert!(heard.lock().expect("unpoisoned").is_empty());
}

#[tokio::test]
async fn a_recipient_that_is_gone_ends_its_messages() {
    let sender = Sender::new(&[]).expect("a client");
    assert!(matches!(sender.send(&message("gone")).await, Attempt::Refused(None, _)));
}
