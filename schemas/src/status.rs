//! Log status: Datadog's nine official values, and how text and numbers map to them.
//!
//! Sources: Datadog "Log Status Remapper" (prefix rules, syslog numbers); OpenTelemetry log data
//! model, "Field: SeverityNumber" (bands of four).

/// The official status of a log, ordered from the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// System unusable; `fatal` maps here.
    Emergency,
    /// Act at once.
    Alert,
    /// Critical condition.
    Critical,
    /// Error.
    Error,
    /// Warning.
    Warn,
    /// Normal but significant.
    Notice,
    /// Informational; everything unknown maps here.
    Info,
    /// Debug, trace, verbose.
    Debug,
    /// Success.
    Ok,
}

impl Status {
    /// The stored spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Emergency => "emergency",
            Status::Alert => "alert",
            Status::Critical => "critical",
            Status::Error => "error",
            Status::Warn => "warn",
            Status::Notice => "notice",
            Status::Info => "info",
            Status::Debug => "debug",
            Status::Ok => "ok",
        }
    }

    /// From any text: Datadog's case-insensitive prefixes, or a syslog severity digit. Every other `e` than
    /// `emerg` is an error, as Datadog's page had it for years: the newer `err` would make the lone `E` of glog and
    /// logcat informational.
    pub fn from_text(text: &str) -> Self {
        let text = text.trim();
        let starts = |prefix: &str| {
            text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
        };
        if let Ok(number) = text.parse::<i64>() {
            return Self::from_syslog(number);
        }
        if starts("emerg") || starts("f") {
            return Status::Emergency;
        }
        match text.bytes().next().map(|byte| byte.to_ascii_lowercase()) {
            Some(b'a') => Status::Alert,
            Some(b'c') => Status::Critical,
            Some(b'e') => Status::Error,
            Some(b'w') => Status::Warn,
            Some(b'n') => Status::Notice,
            Some(b'd' | b't' | b'v') => Status::Debug,
            Some(b'o' | b's') => Status::Ok,
            _ => Status::Info,
        }
    }

    /// From a syslog severity, 0 to 7; any other number is `info`.
    pub fn from_syslog(severity: i64) -> Self {
        match severity {
            0 => Status::Emergency,
            1 => Status::Alert,
            2 => Status::Critical,
            3 => Status::Error,
            4 => Status::Warn,
            5 => Status::Notice,
            7 => Status::Debug,
            _ => Status::Info,
        }
    }

    /// From an OpenTelemetry severity number, 1 to 24; zero is unspecified, shown as `info`.
    pub fn from_severity_number(number: i32) -> Self {
        match number {
            1..=8 => Status::Debug,
            13..=16 => Status::Warn,
            17..=20 => Status::Error,
            21..=24 => Status::Emergency,
            _ => Status::Info,
        }
    }

    /// Whether Datadog's error tracking considers a log of this status.
    pub fn is_error(self) -> bool {
        self <= Status::Error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_follow_datadogs_table() {
        for (text, status) in [
            ("FATAL", Status::Emergency),
            ("emergency", Status::Emergency),
            ("err", Status::Error),
            ("WARNING", Status::Warn),
            ("Trace", Status::Debug),
            ("verbose", Status::Debug),
            ("Success", Status::Ok),
            ("resume", Status::Info),
            ("3", Status::Error),
            ("", Status::Info),
            ("\u{e9}chec", Status::Info),
        ] {
            assert_eq!(Status::from_text(text), status, "{text:?}");
        }
    }
}
