//! Client of our own HTTP API, `POST /api/v1/sql`.

use bytes::Bytes;
use hyper::Method;
use serde::Deserialize;

use crate::http::{Client, HttpError};

/// Path of the endpoint.
const PATH: &str = "/api/v1/sql";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No service, or it broke off.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The service refused the query.
    #[error("{message}{}", hint_line(.hint))]
    Refused {
        /// `code` of the answer, or its HTTP status.
        code: String,
        /// What is wrong.
        message: String,
        /// What to do; may be empty.
        hint: String,
    },
    /// What answered is no Tidemill.
    #[error("the answer of {0} is not Tidemill's: {1}; is something else listening there?")]
    Foreign(String, String),
}

fn hint_line(hint: &str) -> String {
    if hint.is_empty() { String::new() } else { format!("\n    hint: {hint}") }
}

/// A column of an answer.
#[derive(Debug, Clone, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as the service names it.
    #[serde(rename = "type")]
    pub kind: String,
}

/// An answer in JSON.
#[derive(Debug, Clone, Deserialize)]
pub struct Rows {
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows, a value per column.
    pub rows: Vec<Vec<serde_json::Value>>,
    /// What the answer covers.
    #[serde(default)]
    pub meta: serde_json::Value,
}

/// The refusal's shape: `{"error": {"code", "message", "hint"}}`.
#[derive(Deserialize)]
struct Refusal {
    error: RefusalBody,
}

#[derive(Deserialize)]
struct RefusalBody {
    code: serde_json::Value,
    message: String,
    #[serde(default)]
    hint: Option<String>,
}

/// A connection to the API.
#[derive(Debug)]
pub struct Api {
    host: String,
    client: Client,
}

impl Api {
    /// For the service at `host:port`.
    pub fn new(host: impl Into<String>) -> Self {
        let host = host.into();
        Self { client: Client::new(host.clone()), host }
    }

    /// Asks, and gives the answer's bytes as the service wrote them. `format` is `json`, `csv` or
    /// `arrow`.
    ///
    /// # Errors
    /// When there is no service, or it refuses.
    pub async fn raw(&mut self, sql: &str, format: &str) -> Result<Bytes, ApiError> {
        let body = serde_json::json!({ "sql": sql, "format": format }).to_string();
        let headers = [("content-type", "application/json"), ("accept", accept(format))];
        let answer = self.client.send(Method::POST, PATH, &headers, Bytes::from(body)).await?;
        if answer.is_success() {
            return Ok(answer.body);
        }
        match serde_json::from_slice::<Refusal>(&answer.body) {
            Ok(refusal) => Err(ApiError::Refused {
                code: refusal.error.code.to_string(),
                message: refusal.error.message,
                hint: refusal.error.hint.unwrap_or_default(),
            }),
            Err(_) => {
                Err(ApiError::Foreign(self.host.clone(), format!("status {}", answer.status)))
            }
        }
    }

    /// Asks, and reads the answer.
    ///
    /// # Errors
    /// When there is no service, it refuses, or its answer is not ours.
    pub async fn rows(&mut self, sql: &str) -> Result<Rows, ApiError> {
        let body = self.raw(sql, "json").await?;
        serde_json::from_slice(&body)
            .map_err(|error| ApiError::Foreign(self.host.clone(), error.to_string()))
    }
}

fn accept(format: &str) -> &'static str {
    match format {
        "csv" => "text/csv",
        "arrow" => "application/vnd.apache.arrow.stream",
        _ => "application/json",
    }
}
