//! Ruby: `app.rb:3:in 'run': text (RuntimeError)`, then frames behind a tab.

pub(super) fn opens(text: &[u8]) -> bool {
    let Some(at) = memchr::memmem::find(text, b".rb:") else { return false };
    let rest = &text[at + 4..];
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && rest[digits..].starts_with(b":in ") && !text[..at].contains(&b' ')
}

pub(super) fn continues(text: &[u8]) -> bool {
    // Frames without their tab, as loggers that join a backtrace print them.
    opens(text) || text.starts_with(b"from ")
}
