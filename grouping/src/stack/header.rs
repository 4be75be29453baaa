//! The line that says what was raised: `java.io.IOException: disk full`, `ValueError: no`, `KeyError`.

/// Type and message of an exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header<'a> {
    pub(super) kind: &'a str,
    pub(super) message: &'a str,
}

/// What runtimes write before the type.
const PREFIXES: [&str; 10] = [
    "Uncaught (in promise) ",
    "Uncaught ",
    "Unhandled exception. ",
    "Unhandled Exception: ",
    "UnhandledPromiseRejection: ",
    "PHP Fatal error:  Uncaught ",
    "Fatal error: Uncaught ",
    "Exception Type:  ",
    "(Inner Exception #0) ",
    ": ",
];

/// How the last part of a type's name mostly ends.
const ENDINGS: [&str; 12] = [
    "Error",
    "Exception",
    "Failure",
    "Fault",
    "Interrupt",
    "Warning",
    "Exit",
    "Throwable",
    "Timeout",
    "Panic",
    "Group",
    "Iteration",
];

/// A line as a header, whatever its type is called.
pub(super) fn of(line: &str) -> Option<Header<'_>> {
    let mut line = line.trim();
    if let Some(rest) = line.strip_prefix("Exception in thread \"") {
        line = rest.split_once("\" ").map_or(rest, |(_, rest)| rest);
    }
    for prefix in PREFIXES {
        line = line.strip_prefix(prefix).unwrap_or(line);
    }
    let (kind, message) = match line.split_once(": ") {
        Some((kind, message)) => (kind, message),
        None => (line.strip_suffix(':').unwrap_or(line), ""),
    };
    // Node: `TypeError [ERR_INVALID_ARG_TYPE]: …`; Rails: `ZeroDivisionError (divided by 0):`.
    let (kind, message) = match kind.split_once(" (") {
        Some((kind, inside)) if message.is_empty() => (kind, inside.trim_end_matches(')')),
        _ => (kind.split(" [").next().unwrap_or(kind), message),
    };
    is_name(kind).then_some(Header { kind, message: message.trim() })
}

/// A header whose type is one by its name, too: in a log line `Foo: bar` mostly is none.
pub(super) fn strong(line: &str) -> Option<Header<'_>> {
    of(line).filter(|header| {
        let last = header.kind.rsplit(['.', ':', '\\', '$']).next().unwrap_or(header.kind);
        let qualified = last.len() < header.kind.len();
        ENDINGS.iter().any(|ending| last.ends_with(ending))
            || (qualified
                && last.starts_with(|c: char| c.is_ascii_uppercase())
                && !header.kind.contains('/'))
    })
}

/// Letters, digits and what joins the parts of a qualified name.
fn is_name(kind: &str) -> bool {
    let part = |byte: u8| {
        byte.is_ascii_alphanumeric() || b"._$\\:*/`+<>&-".contains(&byte) || byte >= 0x80
    };
    kind.starts_with(|c: char| c.is_alphabetic() || c == '*' || c == '_' || c == '\\')
        && kind.len() <= 256
        && kind.bytes().all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_from_other_text() {
        for (line, kind, message) in [
            ("java.io.IOException: disk: full", "java.io.IOException", "disk: full"),
            ("Exception in thread \"main\" com.acme.Broken: x", "com.acme.Broken", "x"),
            ("KeyError", "KeyError", ""),
            ("TypeError [ERR_X]: no", "TypeError", "no"),
            ("ZeroDivisionError (divided by 0):", "ZeroDivisionError", "divided by 0"),
            (r"PHP Fatal error:  Uncaught App\Nope: x", r"App\Nope", "x"),
            ("Uncaught (in promise) RangeError: y", "RangeError", "y"),
            ("ActiveRecord::RecordNotFound: z", "ActiveRecord::RecordNotFound", "z"),
        ] {
            assert_eq!(strong(line), Some(Header { kind, message }), "{line}");
        }
        for line in ["INFO: starting", "2024-01-01 boom", "the end: here", "user: ann", ""] {
            assert_eq!(strong(line), None, "{line}");
        }
    }
}
