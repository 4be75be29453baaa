//! Why a request was not taken, before a protocol puts it into its own words.
//!
//! The split that matters to every client is *come back* against *give up*: a client told the wrong
//! one either loses good data or sends bad data for ever.

use crate::sink::SendError;

/// One refused request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Refusal {
    /// What kind of refusal.
    pub(crate) kind: Kind,
    /// For the person who reads the client's log.
    pub(crate) text: String,
}

/// Kinds of refusals; each protocol maps them to its own status codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The bytes are not what they claim to be. Permanent.
    Malformed,
    /// A limit of size or count. Permanent.
    TooLarge,
    /// A content type or encoding we do not read. Permanent.
    Unsupported,
    /// The client did not finish its request in time.
    Slow,
    /// Too much is in flight. Come back.
    Busy,
    /// Kafka did not acknowledge. Come back.
    Unavailable,
}

impl Kind {
    /// The name in counters and log lines.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Malformed => "malformed",
            Kind::TooLarge => "too_large",
            Kind::Unsupported => "unsupported",
            Kind::Slow => "slow_client",
            Kind::Busy => "busy",
            Kind::Unavailable => "kafka_unavailable",
        }
    }
}

impl Refusal {
    /// Bytes that are not what they claim to be.
    pub(crate) fn malformed(text: impl Into<String>) -> Self {
        Self { kind: Kind::Malformed, text: text.into() }
    }

    /// A broken limit.
    pub(crate) fn too_large(text: impl Into<String>) -> Self {
        Self { kind: Kind::TooLarge, text: text.into() }
    }

    /// A content type or encoding we do not read.
    pub(crate) fn unsupported(text: impl Into<String>) -> Self {
        Self { kind: Kind::Unsupported, text: text.into() }
    }

    /// A client that did not finish in time.
    pub(crate) fn slow(text: impl Into<String>) -> Self {
        Self { kind: Kind::Slow, text: text.into() }
    }

    /// Too much in flight.
    pub(crate) fn busy(text: impl Into<String>) -> Self {
        Self { kind: Kind::Busy, text: text.into() }
    }

    /// Kafka did not acknowledge.
    pub(crate) fn unavailable(text: impl Into<String>) -> Self {
        Self { kind: Kind::Unavailable, text: text.into() }
    }
}

impl From<SendError> for Refusal {
    fn from(error: SendError) -> Self {
        let text = error.to_string();
        match error {
            SendError::Busy => Self::busy(text),
            SendError::Unavailable(_) => Self::unavailable(text),
            SendError::TooLarge { .. } => Self::too_large(text),
        }
    }
}
