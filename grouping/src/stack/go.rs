//! Two lines a frame: `main.(*Cart).Add(0xc0000…)` and, behind a tab, `/app/cart.go:12 +0x1d`.

use super::frame::{Frame, Language, split_number};

/// The second line; `function` is the line before.
pub(super) fn frame<'a>(line: &'a str, function: &'a str) -> Option<Frame<'a>> {
    let place = line.split(" +0x").next().unwrap_or(line).trim_end();
    let (file, number) = split_number(place)?;
    if !file.ends_with(".go") && !file.ends_with(".s") || function.is_empty() {
        return None;
    }
    // `created by main.main in goroutine 1` is who started it, not who called.
    if function.starts_with("created by ") {
        return None;
    }
    let name = arguments_off(function.trim());
    if name.contains(' ') {
        return None;
    }
    // `github.com/acme/shop/cart.(*Cart).Add`: the package ends at the first dot after the last `/`.
    let slash = name.rfind('/').map_or(0, |at| at + 1);
    let mut frame = Frame::new(Language::Go).at(file, number);
    match name[slash..].find('.') {
        Some(dot) => {
            (frame.module, frame.function) = (&name[..slash + dot], &name[slash + dot + 1..]);
        }
        None => frame.function = name,
    }
    Some(frame)
}

/// `Add(0xc000, 0x3)` without its arguments; `(*Cart)` is none.
fn arguments_off(name: &str) -> &str {
    if !name.ends_with(')') {
        return name;
    }
    match name.rfind('(') {
        Some(open) if open > 0 && !name[open..].starts_with("(*") => &name[..open],
        _ => name,
    }
}
