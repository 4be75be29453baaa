//! Whether a line begins like a log: with a time, a level, a syslog priority, a logfmt key.

/// Bytes within which a date counts as the line's own: room for an address and a user before it, as in
/// access logs.
const WINDOW: usize = 40;

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// Levels as loggers write them at the start of a line. In capitals: `Error: ...` begins the message
/// of an exception.
const LEVELS: [&str; 14] = [
    "TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "WARNING", "ERROR", "ERR", "CRITICAL", "CRIT",
    "FATAL", "SEVERE", "ALERT", "EMERG",
];

/// Keys that begin a line of logfmt.
const LOGFMT: [&[u8]; 6] = [b"ts=", b"time=", b"level=", b"lvl=", b"t=", b"timestamp="];

/// Whether this line begins a log.
pub(super) fn begins(text: &[u8]) -> bool {
    let Some(first) = text.first() else { return false };
    if first.is_ascii_whitespace() {
        return false;
    }
    is_time(text)
        || is_priority(text)
        || LOGFMT.iter().any(|key| text.starts_with(key))
        || is_level(text)
        || has_date(text)
}

fn has_date(text: &[u8]) -> bool {
    let starts = text.iter().take(WINDOW).enumerate().filter(|(index, byte)| {
        let inside = *index > 0 && text[index - 1].is_ascii_alphanumeric();
        byte.is_ascii_alphanumeric() && !inside
    });
    starts.map(|(index, _)| index).any(|index| is_date(&text[index..]))
}

/// Matches a shape: `0` is a digit, everything else itself.
fn shaped(text: &[u8], shape: &[u8]) -> bool {
    text.len() >= shape.len()
        && shape.iter().zip(text).all(|(wanted, byte)| match wanted {
            b'0' => byte.is_ascii_digit(),
            wanted => wanted == byte,
        })
}

fn is_month(text: &[u8]) -> bool {
    text.len() >= 3 && MONTHS.iter().any(|month| text[..3] == month[..])
}

fn is_date(text: &[u8]) -> bool {
    const SHAPES: [&[u8]; 8] = [
        b"0000-00-00",
        b"0000/00/00",
        b"0000.00.00",
        b"00/00/0000",
        b"00-00-0000",
        b"00.00.0000",
        b"00000000T000000",
        b"00000000 00:00",
    ];
    if text[0].is_ascii_digit() {
        // 17/May/2015, 17-May-2015, 17 May 2015
        let civil = text.len() >= 11
            && shaped(text, b"00")
            && matches!(text[2], b'/' | b'-' | b' ')
            && is_month(&text[3..])
            && text[6] == text[2]
            && shaped(&text[7..], b"0000");
        return civil || SHAPES.iter().any(|shape| shaped(text, shape));
    }
    // Oct 11 22:14, Oct  1 22:14
    is_month(text)
        && text.get(3) == Some(&b' ')
        && text.get(4).is_some_and(|byte| *byte == b' ' || byte.is_ascii_digit())
        && text.get(5).is_some_and(u8::is_ascii_digit)
        && shaped(&text[6..], b" 00:00")
}

/// A time of day, an epoch, or the time of klog, at the very start.
fn is_time(text: &[u8]) -> bool {
    let bare = text.strip_prefix(b"[").unwrap_or(text);
    let digits = bare.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let after = bare.get(digits).copied().unwrap_or(b' ');
    let epoch = matches!(digits, 10 | 13 | 16 | 19)
        && matches!(after, b'.' | b' ' | b']' | b'\t' | b':' | b',');
    let klog = matches!(text[0], b'I' | b'W' | b'E' | b'F') && shaped(&text[1..], b"0000 00:00:00");
    shaped(bare, b"00:00:00") || epoch || klog
}

/// `<34>`
fn is_priority(text: &[u8]) -> bool {
    let Some(rest) = text.strip_prefix(b"<") else { return false };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (1..=3).contains(&digits) && rest.get(digits) == Some(&b'>')
}

/// A level, bare or in brackets.
fn is_level(text: &[u8]) -> bool {
    let bracket = matches!(text[0], b'[' | b'(');
    let rest = if bracket { &text[1..] } else { text };
    let rest = if bracket { rest.trim_ascii_start() } else { rest };
    let letters = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let (word, after) = (&rest[..letters], rest.get(letters).copied().unwrap_or(b' '));
    let ends = matches!(after, b' ' | b':' | b']' | b')' | b'\t' | b'|' | b'-' | b',');
    ends && LEVELS.iter().any(|level| {
        let level = level.as_bytes();
        if bracket { level.eq_ignore_ascii_case(word) } else { level == word }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_of_every_kind_begin_with_their_time_or_level() {
        for line in [
            "2024-05-01T10:00:00Z started",
            "[2024-05-01 10:00:00,123] ERROR x",
            "2024/05/01 10:00:00 [error] 12#0: *1 open() failed",
            "83.149.9.216 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 1",
            "[Sun Mar 10 04:05:06 2024] [error] x",
            "Oct 11 22:14:15 host su: x",
            "Oct  1 22:14:15 host su: x",
            "16:42:22.382 INFO  t.s.TravelServiceImpl#532 TraceID: x",
            "1234:M 01 May 2024 10:00:00.123 * Ready",
            "I0501 10:22:33.123456       1 main.go:10] x",
            "E, [2024-05-01T10:00:00.1 #12] ERROR -- : x",
            "<34>1 2003-10-11T22:14:15.003Z host app - - - x",
            "level=error ts=1 msg=x",
            "WARNING:root:x",
            "[error] x",
            "1714555555.123 x",
            "INFO - x",
        ] {
            assert!(begins(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn lines_inside_of_logs_do_not() {
        for line in [
            "",
            " 2024-05-01 indented",
            "java.lang.IllegalStateException: no",
            "Traceback (most recent call last):",
            "TypeError: x is undefined",
            "Error: 12:00:00 is no time",
            "goroutine 1 [running]:",
            "main.main()",
            "SELECT * FROM t",
            "Mayor 12 of 2024",
            "12345678901 is a number",
        ] {
            assert!(!begins(line.as_bytes()), "{line}");
        }
    }
}
