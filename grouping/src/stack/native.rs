//! `#0 0x55d0 in cart_add /src/cart.c:12:3` (sanitizers), `#1 main (argc=1) at main.c:3` (debuggers).

use super::frame::{Frame, Language, split_location};

/// Of what follows `#N `.
pub(super) fn frame(rest: &str) -> Option<Frame<'_>> {
    let mut rest = rest.trim_start();
    let address = rest.starts_with("0x");
    if address {
        let (_, after) = rest.split_once(' ')?;
        rest = after.trim_start();
        match rest.strip_prefix("in ") {
            Some(named) => rest = named,
            // `(/usr/lib/libc.so.6+0x29d8f)`: a binary and nothing more.
            None => {
                let module = rest.strip_prefix('(')?.split("+0x").next()?;
                return Some(Frame { module, ..Frame::new(Language::Native) });
            }
        }
    }
    let frame = Frame::new(Language::Native);
    if let Some((call, module)) = rest.rsplit_once(" from ") {
        return Some(Frame { module: module.trim_end(), function: name(call), ..frame });
    }
    if let Some((call, place)) = rest.rsplit_once(" at ") {
        let (file, line) = split_location(place.trim_end())?;
        return Some(Frame { function: name(call), ..frame }.at(file, line));
    }
    if !address {
        return rest.contains(" (").then(|| Frame { function: name(rest), ..frame });
    }
    // The file follows the last space outside of the name's brackets.
    match rest.rsplit_once(' ') {
        Some((call, binary)) if binary.starts_with('(') => {
            let module = binary.trim_start_matches('(').split("+0x").next().unwrap_or_default();
            Some(Frame { module, function: name(call), ..frame })
        }
        Some((call, place)) => match split_location(place) {
            Some((file, line)) => Some(Frame { function: name(call), ..frame }.at(file, line)),
            None if place.starts_with('/') => {
                Some(Frame { function: name(call), file: place, ..frame })
            }
            None => Some(Frame { function: name(rest), ..frame }),
        },
        None => Some(Frame { function: name(rest), ..frame }),
    }
}

/// A function without its parameters; `operator()` and `(anonymous namespace)` are no parameters.
fn name(call: &str) -> &str {
    let call = call.trim_end();
    let bytes = call.as_bytes();
    let mut depth = 0usize;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'<' => depth += 1,
            b'>' => depth = depth.saturating_sub(1),
            b'(' if depth == 0 && at > 0 => {
                let rest = &call[at..];
                if !rest.starts_with("(anonymous") && !call[..at].ends_with("operator") {
                    return call[..at].trim_end();
                }
            }
            _ => {}
        }
    }
    call
}
