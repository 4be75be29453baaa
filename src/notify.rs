//! Messages about issues and monitors over HTTP: signed, in bounded time, and only to where the configuration
//! says they may go.
//!
//! Headers of every message: `idempotency-key`, the same on every attempt; where a secret is set,
//! `x-tidemill-signature: t=SECONDS,v1=HEX`, the HMAC-SHA256 of `SECONDS.BODY`.

pub mod guard;

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;
use hmac::{Hmac, Mac as _};
use issues::outbox::{Attempt, Message};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use schemas::limits::{MAX_NOTIFY_ANSWER_BYTES, NOTIFY_TIMEOUT_SECONDS};
use sha2::Sha256;
use stream::issues::Postman;
use url::Url;

/// Where one recipient's messages go.
#[derive(Clone)]
pub struct Target {
    /// The recipient.
    pub name: String,
    /// Its address; may be a secret.
    pub url: Url,
    /// What messages are signed with.
    pub secret: Option<String>,
    /// PagerDuty's key.
    pub routing_key: Option<String>,
    /// Whether it may be in a private network, and without TLS.
    pub private: bool,
}

/// Shows nothing that may be a secret.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.host_str().unwrap_or_default();
        f.debug_struct("Target")
            .field("name", &self.name)
            .field("host", &host)
            .finish_non_exhaustive()
    }
}

/// The clients could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("notifications: cannot set up the HTTP client: {0}")]
pub struct SetupError(#[from] reqwest::Error);

/// Sends messages.
#[derive(Debug)]
pub struct Sender {
    targets: BTreeMap<String, Target>,
    public: Client,
    private: Client,
}

impl Sender {
    /// For these targets.
    ///
    /// # Errors
    /// When TLS can not be set up.
    pub fn new(targets: &[Target]) -> Result<Self, SetupError> {
        Self::with_timeout(targets, Duration::from_secs(NOTIFY_TIMEOUT_SECONDS))
    }

    fn with_timeout(targets: &[Target], timeout: Duration) -> Result<Self, SetupError> {
        let client = |private: bool| {
            Client::builder()
                .redirect(Policy::none())
                .no_proxy()
                .timeout(timeout)
                .connect_timeout(timeout)
                .pool_max_idle_per_host(1)
                .user_agent(concat!("tidemill/", env!("CARGO_PKG_VERSION")))
                .dns_resolver(Arc::new(guard::Resolver { private }))
                .build()
        };
        let targets = targets.iter().map(|target| (target.name.clone(), target.clone())).collect();
        Ok(Self { targets, public: client(false)?, private: client(true)? })
    }

    async fn attempt(&self, message: &Message) -> Attempt {
        let Some(target) = self.targets.get(&message.recipient) else {
            let reason = format!("{} is not in the configuration any more", message.recipient);
            return Attempt::Refused(None, reason);
        };
        if let Err(reason) = guard::check_url(&target.url, target.private) {
            return Attempt::Refused(None, reason);
        }
        let body = body(message, target);
        let client = if target.private { &self.private } else { &self.public };
        let mut request = client
            .post(target.url.clone())
            .header("content-type", "application/json")
            .header("idempotency-key", &message.id);
        if let Some(secret) = &target.secret {
            let seconds = Utc::now().timestamp();
            request = request.header("x-tidemill-signature", sign(secret, seconds, &body));
        }
        match request.body(body).send().await {
            Ok(response) => judge(response).await,
            Err(error) => match refusal(&error) {
                Some(reason) => Attempt::Refused(None, reason),
                // Without the address: it may be a secret.
                None => Attempt::Failed(None, reason(&error.without_url())),
            },
        }
    }
}

#[async_trait]
impl Postman for Sender {
    async fn send(&self, message: &Message) -> Attempt {
        let attempt = self.attempt(message).await;
        let Message { id, recipient, kind, title, attempts, .. } = message;
        match &attempt {
            Attempt::Sent(status) => tracing::info!(recipient, kind, id, status, "sent: {title}"),
            Attempt::Failed(_, error) => {
                tracing::warn!(recipient, kind, id, attempts, error, "not sent yet: {title}");
            }
            Attempt::Refused(_, error) => {
                tracing::error!(recipient, kind, id, error, "can not be sent: {title}");
            }
        }
        attempt
    }
}

/// The committed body, and what the target needs beside it.
fn body(message: &Message, target: &Target) -> String {
    let Some(key) = &target.routing_key else { return message.body.clone() };
    match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&message.body) {
        Ok(mut body) => {
            body.insert("routing_key".to_owned(), key.as_str().into());
            serde_json::Value::Object(body).to_string()
        }
        Err(_) => message.body.clone(),
    }
}

fn sign(secret: &str, seconds: i64, body: &str) -> String {
    // Any length of key is good.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(format!("{seconds}.{body}").as_bytes());
    let hex: String =
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},v1={hex}")
}

async fn judge(response: Response) -> Attempt {
    let status = response.status();
    let code = status.as_u16();
    if status.is_success() {
        return Attempt::Sent(code);
    }
    if status.is_redirection() {
        let reason = "it redirects; set the address it redirects to".to_owned();
        return Attempt::Refused(Some(code), reason);
    }
    let said = said(response).await;
    let passing = [
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::TOO_EARLY,
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::CONFLICT,
    ];
    if status.is_server_error() || passing.contains(&status) {
        Attempt::Failed(Some(code), format!("status {code}: {said}"))
    } else {
        Attempt::Refused(Some(code), format!("status {code}: {said}"))
    }
}

/// The beginning of what a target answers.
async fn said(mut response: Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < MAX_NOTIFY_ANSWER_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            _ => break,
        }
    }
    let text: String =
        String::from_utf8_lossy(&bytes).chars().filter(|c| !c.is_control()).take(200).collect();
    text
}

/// The guard's words, if it was the guard.
fn refusal(error: &reqwest::Error) -> Option<String> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(refused) = error.downcast_ref::<guard::Refused>() {
            return Some(refused.to_string());
        }
        source = error.source();
    }
    None
}

fn reason(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
