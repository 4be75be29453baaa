//! Matchers: what `%{name}` stands for. One file each for those that are more than a set of
//! characters. Regular expressions as in Datadog's documentation and its Vector implementation.
//!
//! A matcher that is a run of characters becomes an operation of the program itself; the others
//! say where a match that starts at a place ends, and, where a shorter one is possible too, the
//! next shorter.

mod boolean;
mod hostname;
mod ip;
mod mac;
mod number;
mod quoted;
mod uuid;

use std::sync::Arc;

use boolean::Truth;

use super::class::{self, Class};
use super::date::DatePattern;
use super::token::{Arg, Call};

/// What a token matches.
#[derive(Debug, Clone)]
pub(crate) enum Matcher {
    /// A run of characters.
    Run { class: Class, min: usize, greedy: bool, source: &'static str },
    /// A regular expression given by the user.
    Regex(String),
    /// Anything else.
    Exact(Exact),
}

/// A matcher with code of its own.
#[derive(Debug, Clone)]
pub(crate) enum Exact {
    Date(Arc<DatePattern>),
    Boolean { truth: String, falsehood: String },
    Number { exponent: bool },
    Integer { exponent: bool },
    Port,
    Word,
    Quoted { single: bool, double: bool },
    Uuid,
    Mac,
    Ipv4,
    Ipv6,
    Ip,
    Hostname,
    IpOrHost,
    HostPort,
}

/// What becomes of the matched text before filters.
#[derive(Debug, Clone)]
pub(crate) enum Convert {
    Text,
    Number,
    Integer,
    Boolean {
        truth: String,
    },
    /// The same, where the words are expressions.
    BooleanLike(Arc<boolean::Truth>),
    Date(Arc<DatePattern>),
}

/// Names offered where somebody writes one that does not exist.
const NAMES: &str = "date, regex, notSpace, boolean, number, numberStr, numberExt, numberExtStr, \
    integer, integerStr, integerExt, integerExtStr, word, doubleQuotedString, singleQuotedString, \
    quotedString, uuid, mac, ipv4, ipv6, ip, hostname, ipOrHost, port, data";

/// The matcher a token names, and how its text is converted.
pub(crate) fn compile(call: &Call) -> Result<(Matcher, Convert), String> {
    let run = |class, min, greedy, source| Matcher::Run { class, min, greedy, source };
    let text = |exact| (Matcher::Exact(exact), Convert::Text);
    let found = match call.name.as_str() {
        "date" => {
            let pattern = Arc::new(date(&call.args)?);
            let exact = Matcher::Exact(Exact::Date(Arc::clone(&pattern)));
            return Ok((exact, Convert::Date(pattern)));
        }
        "boolean" => {
            let truth = call.text(0)?.unwrap_or("true").to_owned();
            let falsehood = call.text(1)?.unwrap_or("false").to_owned();
            if truth.is_empty() || falsehood.is_empty() {
                return Err(
                    "the words of boolean are not empty: boolean(\"yes\",\"no\")".to_owned()
                );
            }
            if [&truth, &falsehood].iter().any(|word| regex::escape(word) != **word) {
                let source = format!("(?i:{truth}|{falsehood})");
                let truth = Arc::new(Truth::compile(&truth)?);
                return Ok((Matcher::Regex(source), Convert::BooleanLike(truth)));
            }
            let exact = Exact::Boolean { truth: truth.clone(), falsehood };
            return Ok((Matcher::Exact(exact), Convert::Boolean { truth }));
        }
        "regex" => {
            let source = call.text(0)?.ok_or("regex needs an expression: regex(\"[a-z]+\")")?;
            return Ok((Matcher::Regex(source.to_owned()), Convert::Text));
        }
        "data" => (run(Class::any(), 0, false, ".*?"), Convert::Text),
        "greedyData" => (run(Class::any(), 0, true, ".*"), Convert::Text),
        "notSpace" => (run(Class::space().negated(), 1, true, r"\S+"), Convert::Text),
        "space" => (run(Class::space(), 1, true, r"\s+"), Convert::Text),
        "number" => (Matcher::Exact(Exact::Number { exponent: false }), Convert::Number),
        "numberStr" => text(Exact::Number { exponent: false }),
        "numberExt" => (Matcher::Exact(Exact::Number { exponent: true }), Convert::Number),
        "numberExtStr" => text(Exact::Number { exponent: true }),
        "integer" => (Matcher::Exact(Exact::Integer { exponent: false }), Convert::Integer),
        "integerStr" => text(Exact::Integer { exponent: false }),
        "integerExt" => (Matcher::Exact(Exact::Integer { exponent: true }), Convert::Integer),
        "integerExtStr" => text(Exact::Integer { exponent: true }),
        "word" => text(Exact::Word),
        "doubleQuotedString" => text(Exact::Quoted { single: false, double: true }),
        "singleQuotedString" => text(Exact::Quoted { single: true, double: false }),
        "quotedString" => text(Exact::Quoted { single: true, double: true }),
        "uuid" => text(Exact::Uuid),
        "mac" => text(Exact::Mac),
        "ipv4" => text(Exact::Ipv4),
        "ipv6" => text(Exact::Ipv6),
        "ip" => text(Exact::Ip),
        "hostname" | "host" => text(Exact::Hostname),
        "ipOrHost" => text(Exact::IpOrHost),
        "hostPort" => text(Exact::HostPort),
        "port" => text(Exact::Port),
        other => {
            return Err(format!(
                "unknown matcher or rule `{other}`: it is no rule above this one, and the matchers are {NAMES}"
            ));
        }
    };
    if call.args.is_empty() { Ok(found) } else { Err(format!("{} takes no arguments", call.name)) }
}

fn date(args: &[Arg]) -> Result<DatePattern, String> {
    match args {
        [Arg::Text(pattern)] => DatePattern::compile(pattern, None, None),
        [Arg::Text(pattern), Arg::Text(zone)] => DatePattern::compile(pattern, Some(zone), None),
        [Arg::Text(pattern), Arg::Null, Arg::Text(locale)] => {
            DatePattern::compile(pattern, None, Some(locale))
        }
        [Arg::Text(pattern), Arg::Text(zone), Arg::Text(locale)] => {
            DatePattern::compile(pattern, Some(zone), Some(locale))
        }
        _ => Err("date needs a pattern, and can have a zone and a locale, in double quotes: \
                  date(\"dd MMM yyyy\",\"Europe/Paris\",\"fr\")"
            .to_owned()),
    }
}

impl Exact {
    /// Where the preferred match at `at` ends.
    pub(crate) fn first(&self, text: &str, at: usize) -> Option<usize> {
        match self {
            Exact::Date(pattern) => pattern.end(text.get(at..)?).map(|length| at + length),
            Exact::Boolean { truth, falsehood } => boolean::end(text, at, truth, falsehood),
            Exact::Number { exponent } => number::number(text, at, *exponent),
            Exact::Integer { exponent } => number::integer(text, at, *exponent),
            Exact::Port => number::port(text, at),
            Exact::Word => word(text, at),
            Exact::Quoted { single, double } => quoted::end(text, at, *single, *double),
            Exact::Uuid => uuid::end(text, at),
            Exact::Mac => mac::end(text, at),
            Exact::Ipv4 => ip::v4(text, at),
            Exact::Ipv6 => ip::v6(text, at),
            Exact::Ip => ip::v6(text, at).or_else(|| ip::v4(text, at)),
            Exact::Hostname => hostname::end(text, at),
            Exact::IpOrHost => {
                ip::v6(text, at).or_else(|| ip::v4(text, at)).or_else(|| hostname::end(text, at))
            }
            Exact::HostPort => hostname::with_port(text, at),
        }
    }

    /// The next shorter match that starts at `at`, where there is one.
    pub(crate) fn shorter(&self, text: &str, at: usize, end: usize) -> Option<usize> {
        match self {
            Exact::Integer { .. } | Exact::Port => number::shorter(text, at, end),
            Exact::Number { exponent: true } => number::shorter_exponent(text, at, end),
            Exact::Hostname => hostname::shorter(at, end),
            Exact::Ipv6 | Exact::Ip if is_v6(text, at, end) => ip::v6_up_to(text, at, end - 1),
            Exact::IpOrHost => next_ip_or_host(text, at, end),
            _ => None,
        }
    }

    /// Whether it can match shorter.
    pub(crate) fn gives_back(&self) -> bool {
        use Exact::{Hostname, Integer, Ip, IpOrHost, Ipv6, Number, Port};
        matches!(
            self,
            Integer { .. } | Number { exponent: true } | Port | Hostname | IpOrHost | Ipv6 | Ip
        )
    }

    /// Whether a match can start with this byte; rather once too often.
    pub(crate) fn can_start_with(&self, byte: u8) -> bool {
        match self {
            Exact::Date(pattern) => pattern.can_start_with(byte),
            Exact::Boolean { truth, falsehood } => [truth, falsehood].iter().any(|word| {
                !byte.is_ascii()
                    || word.bytes().next().is_none_or(|own| own.eq_ignore_ascii_case(&byte))
            }),
            Exact::Number { .. } => matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.'),
            Exact::Integer { .. } => matches!(byte, b'0'..=b'9' | b'+' | b'-'),
            Exact::Port => matches!(byte, b'1'..=b'9'),
            Exact::Word => byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii(),
            Exact::Quoted { single, double } => {
                (byte == b'\'' && *single) || (byte == b'"' && *double)
            }
            Exact::Uuid | Exact::Mac => byte.is_ascii_hexdigit(),
            Exact::Ipv4 => byte.is_ascii_digit(),
            Exact::Ipv6 | Exact::Ip => byte.is_ascii_hexdigit() || byte == b':',
            Exact::Hostname => byte.is_ascii_alphanumeric(),
            Exact::IpOrHost | Exact::HostPort => byte.is_ascii_alphanumeric() || byte == b':',
        }
    }

    /// Whether a match that can be shorter holds this byte after its first.
    pub(crate) fn can_hold(&self, byte: u8) -> bool {
        match self {
            Exact::Integer { exponent: false } | Exact::Port => byte.is_ascii_digit(),
            Exact::Integer { .. } | Exact::Number { .. } => {
                byte.is_ascii_digit() || matches!(byte, b'e' | b'E' | b'+' | b'-' | b'.')
            }
            _ => byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':'),
        }
    }

    /// The same as a regular expression.
    fn source(&self) -> String {
        match self {
            Exact::Date(pattern) => pattern.source(),
            Exact::Boolean { truth, falsehood } => {
                format!("(?i:{}|{})", regex::escape(truth), regex::escape(falsehood))
            }
            Exact::Number { exponent } => number::number_source(*exponent).to_owned(),
            Exact::Integer { exponent } => number::integer_source(*exponent).to_owned(),
            Exact::Port => "[1-9][0-9]{0,4}".to_owned(),
            Exact::Word => r"\b\w+\b".to_owned(),
            Exact::Quoted { single, double } => quoted::source(*single, *double).to_owned(),
            Exact::Uuid => uuid::SOURCE.to_owned(),
            Exact::Mac => mac::SOURCE.to_owned(),
            Exact::Ipv4 => ip::V4.to_owned(),
            Exact::Ipv6 => ip::V6.to_owned(),
            Exact::Ip => format!("(?:{}|{})", ip::V6, ip::V4),
            Exact::Hostname => hostname::SOURCE.to_owned(),
            Exact::IpOrHost => format!("(?:{}|{})", ip::V6, hostname::SOURCE),
            Exact::HostPort => format!("{}:[1-9][0-9]{{0,4}}", hostname::SOURCE),
        }
    }
}

impl Matcher {
    /// As a regular expression without capturing groups of its own.
    pub(crate) fn source(&self) -> String {
        match self {
            Matcher::Run { source, .. } => (*source).to_owned(),
            Matcher::Regex(source) => source.clone(),
            Matcher::Exact(exact) => exact.source(),
        }
    }
}

fn is_v6(text: &str, at: usize, end: usize) -> bool {
    text.get(at..end).is_some_and(|found| found.contains(':'))
}

/// Addresses first, longest first, then names. The name that is as long as the address was tried with it.
fn next_ip_or_host(text: &str, at: usize, end: usize) -> Option<usize> {
    let v4 = ip::v4(text, at);
    if is_v6(text, at, end) {
        let address = ip::v6_up_to(text, at, end - 1).or(v4);
        return address.or_else(|| hostname::end(text, at));
    }
    if v4 == Some(end)
        && let Some(name) = hostname::end(text, at).filter(|name| *name > end)
    {
        return Some(name);
    }
    // No name starts here: the address was all.
    hostname::end(text, at)?;
    let next = hostname::shorter(at, end)?;
    if v4 == Some(next) { hostname::shorter(at, next) } else { Some(next) }
}

/// `\b\w+\b`: a whole word.
fn word(text: &str, at: usize) -> Option<usize> {
    if class::word_before(text, at) {
        return None;
    }
    let mut end = at;
    let bytes = text.as_bytes();
    while bytes.get(end).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
        end += 1;
    }
    if bytes.get(end).is_some_and(|byte| !byte.is_ascii()) {
        end = Class::word().run(text, end);
    }
    (end > at).then_some(end)
}
