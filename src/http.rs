//! A small HTTP/1.1 client: one kept-alive connection to one host, bounded answers. For the command
//! line, which talks to our own API, and for the demo, which plays the clients of the intake.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{HeaderMap, Method, Request, header};
use hyper_util::rt::TokioIo;
use schemas::limits;
use tokio::net::TcpStream;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may take: queries have timeouts of their own below this.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3_660);

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Nobody listens there.
    #[error("cannot connect to {host}: {reason}")]
    Connect {
        /// `host:port`.
        host: String,
        /// The system's reason.
        reason: String,
    },
    /// The request can not be written.
    #[error("bad request for {host}: {reason}")]
    Request {
        /// `host:port`.
        host: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The connection broke before the answer was complete.
    #[error("{host} broke off: {reason}")]
    Broken {
        /// `host:port`.
        host: String,
        /// What happened.
        reason: String,
    },
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// Whether it is a 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A connection to one host, made when first needed and again when it was closed.
#[derive(Debug)]
pub struct Client {
    host: String,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// For `host:port`; connects with the first request.
    pub fn new(host: impl Into<String>) -> Self {
        Self { host: host.into(), connection: None }
    }

    /// GET.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn get(&mut self, path: &str) -> Result<Answer, HttpError> {
        self.send(Method::GET, path, &[], Bytes::new()).await
    }

    /// Sends a request and reads the answer. Never sends twice: a caller knows whether it may.
    ///
    /// # Errors
    /// When there is no complete answer.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer, HttpError> {
        let mut request =
            Request::builder().method(method).uri(path).header(header::HOST, &self.host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).map_err(|error| HttpError::Request {
            host: self.host.clone(),
            reason: error.to_string(),
        })?;
        let connection = self.connection().await?;
        let exchange = async {
            let response =
                connection.send_request(request).await.map_err(|error| error.to_string())?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, limits::MAX_ANSWER_BYTES);
            let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
            Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
        };
        let outcome = tokio::time::timeout(ANSWER_TIMEOUT, exchange).await;
        let outcome =
            outcome.unwrap_or_else(|_| Err(format!("no answer within {ANSWER_TIMEOUT:?}")));
        outcome.map_err(|reason| {
            self.connection = None;
            HttpError::Broken { host: self.host.clone(), reason }
        })
    }

    async fn connection(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, HttpError> {
        let usable = match &mut self.connection {
            Some(connection) => connection.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            self.connection = None;
        }
        if self.connection.is_none() {
            let connect = |reason: String| HttpError::Connect { host: self.host.clone(), reason };
            let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.host))
                .await
                .map_err(|_| connect(format!("no connection within {CONNECT_TIMEOUT:?}")))?
                .map_err(|error| connect(error.to_string()))?;
            let _ = stream.set_nodelay(true);
            let (sender, driver) = handshake(TokioIo::new(stream))
                .await
                .map_err(|error| connect(error.to_string()))?;
            tokio::spawn(async move {
                // How it ended shows in the request that was under way.
                let _ = driver.await;
            });
            self.connection = Some(sender);
        }
        self.connection.as_mut().ok_or_else(|| HttpError::Connect {
            host: self.host.clone(),
            reason: "the connection was closed at once".to_owned(),
        })
    }
}
