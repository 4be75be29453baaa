//! Go: `panic: text` or `fatal error: text`, then goroutines, each frame a call and a file behind a tab.

use super::starts_with_any;

pub(super) fn opens(text: &[u8]) -> bool {
    let goroutine = text.starts_with(b"goroutine ") && text.ends_with(b"]:");
    goroutine
        || starts_with_any(
            text,
            &[
                b"panic: ",
                b"fatal error: ",
                b"runtime: goroutine stack exceeds",
                b"unexpected fault address",
            ],
        )
}

pub(super) fn continues(text: &[u8]) -> bool {
    let phrase = starts_with_any(
        text,
        &[
            b"goroutine ",
            b"created by ",
            b"[signal ",
            b"panic: ",
            b"fatal error: ",
            b"exit status ",
            b"...additional frames elided...",
            b"PC=",
            b"sp=",
            b"runtime stack:",
        ],
    );
    phrase || is_call(text) || is_register(text)
}

/// `main.run(0xc000010000, 0x1)`, `main.(*server).run(...)`
fn is_call(text: &[u8]) -> bool {
    let open = memchr::memchr(b'(', text).unwrap_or(0);
    text.ends_with(b")") && text[..open].contains(&b'.') && !text[..open].contains(&b' ')
}

/// `rax    0x0`
fn is_register(text: &[u8]) -> bool {
    let name = text.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    (2..=6).contains(&name)
        && text[name..].starts_with(b" ")
        && text[name..].trim_ascii_start().starts_with(b"0x")
}
