//! `3   Shop   0x0000000104a1 Cart.add(_:) + 52 (Cart.swift:12)` and Swift's own backtraces,
//! `3 0x0000000104a1 Cart.add(_:) + 52 in Shop at /src/Cart.swift:12:5`.

use super::frame::{Frame, Language, split_location};

/// A line that begins with a digit.
pub(super) fn frame(line: &str) -> Option<Frame<'_>> {
    let (number, rest) = line.split_once([' ', '\t'])?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let rest = rest.trim_start();
    let address = memchr::memmem::find(rest.as_bytes(), b"0x")?;
    let image = rest[..address].trim_end();
    let (_, symbol) = rest[address..].split_once(' ')?;
    let frame = Frame { module: image, ..Frame::new(Language::Swift) };
    if image.is_empty() {
        return modern(symbol);
    }
    if image.contains('"') || image.len() > 128 {
        return None;
    }
    let (symbol, place) =
        match symbol.trim_end().strip_suffix(')').and_then(|s| s.rsplit_once(" (")) {
            Some((symbol, place)) => (symbol, split_location(place)),
            None => (symbol, None),
        };
    let function = symbol.split(" + ").next().unwrap_or(symbol).trim();
    // `0x104a0000 + 4242`: no symbol.
    let function = if function.starts_with("0x") { "" } else { function };
    let frame = Frame { function, ..frame };
    Some(place.map_or(frame, |(file, line)| frame.at(file, line)))
}

fn modern(symbol: &str) -> Option<Frame<'_>> {
    let (symbol, rest) = symbol.split_once(" in ")?;
    let (module, place) = rest.split_once(" at ").unwrap_or((rest, ""));
    let function = symbol.split(" + ").next().unwrap_or(symbol).trim();
    let frame = Frame { module: module.trim(), function, ..Frame::new(Language::Swift) };
    Some(match split_location(place.trim_end()) {
        Some((file, line)) => frame.at(file, line),
        None => frame,
    })
}
