//! `at com.acme.Cart.add(Cart.java:12)`: Java, Kotlin, Scala, Groovy, Clojure.

use super::frame::{Frame, Language, split_number};

/// Of what follows `at `.
pub(super) fn frame(rest: &str) -> Option<Frame<'_>> {
    // Logback adds the jar: ` ~[app.jar:1.2]`.
    let rest = match rest.rfind(')') {
        Some(end) => &rest[..end],
        None => return None,
    };
    let (name, place) = rest.split_once('(')?;
    let (file, line) = match place {
        "Native Method" | "Unknown Source" | "<generated>" | "Redefined" => ("", "0"),
        place => match split_number(place) {
            Some((file, line)) => (file, line),
            None => (place, "0"),
        },
    };
    let plain = !file.contains(['/', ' ', ',', '\\']) && !name.contains(' ') && name.contains('.');
    let source = file.is_empty() || file.contains('.') || file == "SourceFile";
    if !plain || !source || place.is_empty() {
        return None;
    }
    // `java.base@17/java.lang.Thread.run`, `app//com.acme.Main.main`: loader and module.
    let name = name.rsplit('/').next().unwrap_or(name);
    Some(Frame::new(Language::Java).named(name, ".").at(file, line))
}
