//! `at Acme.Cart.Add(String item) in C:\src\Cart.cs:line 12`

use super::frame::{Frame, Language};

/// Of what follows `at `; the last of the three that is asked.
pub(super) fn frame(rest: &str) -> Option<Frame<'_>> {
    let (call, place) = match rest.split_once(" in ") {
        Some((call, place)) => (call, place),
        None => (rest, ""),
    };
    // Mono: `[0x00012]` between the two.
    let call = call.split(" [0x").next().unwrap_or(call);
    let (name, parameters) = call.split_once('(')?;
    let name = name.trim_end();
    let known = name.contains('.') && parameters.ends_with(')') && !name.contains(' ');
    if !known {
        return None;
    }
    let (file, line) = place.rsplit_once(":line ").unwrap_or((place, "0"));
    // `<hash>:0` is no file.
    let file = if file.starts_with('<') { "" } else { file };
    // `Acme.Cart..ctor`: the constructor's own name begins with a dot.
    let constructor = name.strip_suffix("..ctor").map(|module| (module, ".ctor"));
    let constructor = constructor.or(name.strip_suffix("..cctor").map(|module| (module, ".cctor")));
    let frame = Frame::new(Language::DotNet).at(file, line.trim_end_matches('.'));
    Some(match constructor {
        Some((module, function)) => Frame { module, function, ..frame },
        None => frame.named(name, "."),
    })
}
