//! What kind of value a text is: for the template people read. Fingerprints do not depend on it.

/// What a value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `=` gave a name this value.
    Value,
    /// Text in quotes.
    Quoted,
    /// Somebody's name.
    Name,
    /// `scheme://…`
    Url,
    /// A path in a file system or of a request.
    Path,
    /// An e-mail address, or a user at a host.
    Email,
    /// A host name, with or without port.
    Host,
    /// An IPv4 or IPv6 address, with or without port.
    Ip,
    /// A UUID.
    Uuid,
    /// A date, a time, or both.
    Date,
    /// A number with a unit of time.
    Duration,
    /// A number with a unit of bytes.
    Size,
    /// The unit of the number before it.
    Unit,
    /// Hex digits.
    Hex,
    /// A number.
    Number,
    /// Base64, or another long mixture of letters and digits.
    Base64,
    /// Any other identifier.
    Id,
}

impl Shape {
    /// What stands in a template.
    pub fn placeholder(self) -> &'static str {
        match self {
            Shape::Value => "<value>",
            Shape::Quoted => "<quoted>",
            Shape::Name => "<name>",
            Shape::Url => "<url>",
            Shape::Path => "<path>",
            Shape::Email => "<email>",
            Shape::Host => "<host>",
            Shape::Ip => "<ip>",
            Shape::Uuid => "<uuid>",
            Shape::Date => "<date>",
            Shape::Duration => "<duration>",
            Shape::Size => "<size>",
            Shape::Unit => "<unit>",
            Shape::Hex => "<hex>",
            Shape::Number => "<num>",
            Shape::Base64 => "<base64>",
            Shape::Id => "<id>",
        }
    }
}

/// Length from which a mixture of letters and digits is called Base64.
const MIN_BASE64: usize = 20;

/// The shape of a value the scanner found by its digits.
pub(super) fn shape(raw: &str) -> Shape {
    let bytes = raw.as_bytes();
    let count = |test: fn(&u8) -> bool| bytes.iter().filter(|byte| test(byte)).count();
    let (digits, hex) = (count(u8::is_ascii_digit), count(u8::is_ascii_hexdigit));
    let (dots, dashes, colons) =
        (count(|b| *b == b'.'), count(|b| *b == b'-'), count(|b| *b == b':'));
    let other = bytes.len() - digits - dots - dashes - colons - count(|b| *b == b'/');
    if is_uuid(bytes) {
        Shape::Uuid
    } else if is_ip(raw, colons) {
        Shape::Ip
    } else if other == 0 && (dashes == 2 || colons == 2) || is_timestamp(bytes) {
        Shape::Date
    } else if other == 0 && digits > 0 {
        Shape::Number
    } else if hex == bytes.len() || raw.strip_prefix("0x").or(raw.strip_prefix("0X")).is_some() {
        Shape::Hex
    } else if bytes.first().is_some_and(u8::is_ascii_digit) {
        unit(raw)
    } else if bytes.len() >= MIN_BASE64 {
        Shape::Base64
    } else {
        Shape::Id
    }
}

fn is_uuid(bytes: &[u8]) -> bool {
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Four numbers and dots, or hex and at least two colons; a port may follow the first.
fn is_ip(raw: &str, colons: usize) -> bool {
    let host = raw.split(':').next().unwrap_or_default();
    let v4 = colons <= 1
        && host.split('.').count() == 4
        && host.split('.').all(|part| part.parse::<u8>().is_ok());
    let v6 = colons >= 2
        && raw.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':')
        && (raw.contains("::") || colons == 7);
    v4 || v6
}

/// `2024-01-01T…`
fn is_timestamp(bytes: &[u8]) -> bool {
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    bytes.len() > 10 && digit(0) && digit(3) && bytes[4] == b'-' && bytes[7] == b'-' && digit(9)
}

/// A number and its unit.
fn unit(raw: &str) -> Shape {
    let unit = raw.trim_start_matches(|c: char| c.is_ascii_digit() || ".-:+".contains(c));
    match unit.to_ascii_lowercase().as_str() {
        "ns" | "us" | "µs" | "ms" | "s" | "sec" | "secs" | "m" | "min" | "mins" | "h" | "hr"
        | "hrs" | "d" => Shape::Duration,
        "b" | "kb" | "mb" | "gb" | "tb" | "kib" | "mib" | "gib" | "tib" | "k" | "g" | "kb/s"
        | "mb/s" => Shape::Size,
        _ if raw.len() > unit.len() && unit.bytes().all(|b| b.is_ascii_alphabetic()) => {
            Shape::Number
        }
        _ => Shape::Id,
    }
}
