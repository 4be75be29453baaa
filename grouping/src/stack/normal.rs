//! The name of a frame that stays the same from build to build and run to run: without addresses,
//! generated names, lambdas, closures, async state machines, versions and hashes. Line numbers are no
//! part of it (Datadog, "Error grouping"; cleaning rules after Sentry's `newstyle` strategy).

use bumpalo::collections::Vec as BumpVec;

use super::frame::{Frame, Language};

/// Directories that say where a program was put, not which part of it a file is.
const ROOTS: [&str; 20] = [
    "app",
    "src",
    "srv",
    "code",
    "workspace",
    "build",
    "dist",
    "lib",
    "current",
    "releases",
    "release",
    "www",
    "html",
    "root",
    "usr",
    "opt",
    "home",
    "tmp",
    "target",
    "out",
];
/// Objects V8 names where it knows no better.
const NO_CLASS: [&str; 7] = ["Object", "Module", "Function", "global", "exports", "Proxy", "_"];

/// Appends the frame's normal name: `place|function`.
pub(crate) fn write(frame: &Frame<'_>, out: &mut BumpVec<'_, u8>) {
    let (module, function) = names(frame);
    let by_file =
        module.is_empty() || matches!(frame.language, Language::JavaScript | Language::Native);
    if by_file && !frame.file.is_empty() {
        place(frame.file, out);
        out.push(b'|');
    }
    clean(module, out);
    out.push(b'|');
    if frame.language == Language::Native {
        without_arguments(function, out);
    } else {
        clean(function, out);
    }
}

/// Whether the frame says where it is: a function, or a file of its own.
pub(crate) fn is_meaningful(frame: &Frame<'_>) -> bool {
    !names(frame).1.is_empty() || (!frame.file.is_empty() && !frame.file.starts_with('<'))
}

/// Module and function as people wrote them.
pub(crate) fn names<'a>(frame: &Frame<'a>) -> (&'a str, &'a str) {
    let (module, function) = (frame.module, frame.function);
    match frame.language {
        Language::Java => java(module, function),
        Language::JavaScript => {
            let module = if NO_CLASS.contains(&module) { "" } else { module };
            let bundled = is_bundle(frame.file) && function.len() <= 2;
            let unnamed = bundled || function == "<anonymous>" || function == "anonymous";
            (module, if unnamed { "" } else { function })
        }
        Language::Go => go(module, function),
        Language::DotNet => dotnet(module, function),
        Language::Ruby => (module, function.rsplit(" in ").next().unwrap_or(function)),
        Language::Rust => (module, rust(function)),
        Language::Php => (before(module, "@anonymous"), before(function, "{closure")),
        Language::Swift => {
            let function = function.rsplit("closure #").next().map_or(function, |last| {
                if last.len() == function.len() {
                    function
                } else {
                    last.split_once(" in ").map_or("", |(_, name)| name)
                }
            });
            (module, before(function.strip_prefix("specialized ").unwrap_or(function), "("))
        }
        Language::Native => (
            module.rsplit(['/', '\\']).next().unwrap_or(module),
            before(before(before(before(function, " [clone"), ".cold"), ".isra"), ".constprop"),
        ),
        Language::Python | Language::Unknown => (module, function),
    }
}

fn before<'a>(text: &'a str, mark: &str) -> &'a str {
    memchr::memmem::find(text.as_bytes(), mark.as_bytes()).map_or(text, |at| &text[..at])
}

/// `Cart$$EnhancerBySpringCGLIB$$1a2b`, `Cart_$$_javassist_7`, `Cart$$Lambda$14`: the class is before.
/// `lambda$pay$3`, `$anonfun$pay$1`: the method is within.
fn java<'a>(module: &'a str, function: &'a str) -> (&'a str, &'a str) {
    let module = before(before(module, "$$"), "_$$_").trim_end_matches('_');
    let accessor = memchr::memmem::find(module.as_bytes(), b".Generated").is_some();
    let module =
        if accessor { module.trim_end_matches(|c: char| c.is_ascii_digit()) } else { module };
    let lambda = function.strip_prefix("lambda$").or(function.strip_prefix("$anonfun$"));
    let function = match lambda {
        Some(rest) => match rest.split('$').next() {
            Some("null" | "static" | "new") | None => "",
            Some(name) => name,
        },
        None => function,
    };
    // Kotlin mangles functions with inline classes: `pay-IoAF18A`.
    (module, before(function, "-"))
}

/// `Add.func1.2`, `(*Cart).Add-fm`, `Map[...]`, `example.org/shop/vendor/…`
fn go<'a>(module: &'a str, function: &'a str) -> (&'a str, &'a str) {
    let module = module.rsplit("/vendor/").next().unwrap_or(module);
    let function = before(before(function, "[..."), "-fm");
    let function = before(before(function, ".func"), ".gowrap");
    (module, function)
}

/// `Cart.<AddAsync>d__12.MoveNext`, `Cart.<>c__DisplayClass3_0.<Add>b__1`, ``List`1``
fn dotnet<'a>(module: &'a str, function: &'a str) -> (&'a str, &'a str) {
    let within = |text: &'a str| {
        let name = text.split_once('<')?.1.split_once('>')?.0;
        (!name.is_empty()).then_some(name)
    };
    let state_machine = (function == "MoveNext").then(|| module.rfind(".<")).flatten();
    if let Some(at) = state_machine {
        return (
            before(before(&module[..at], ".<>"), "`"),
            within(&module[at..]).unwrap_or(function),
        );
    }
    let module = before(before(before(module, ".<>"), "+<>"), "`");
    (module, within(function).unwrap_or(before(before(function, "["), "`")))
}

/// `shop::cart::add::{{closure}}::h0123456789abcdef`
fn rust(function: &str) -> &str {
    let mut name = function;
    loop {
        let shorter = match name.rsplit_once("::") {
            Some((rest, last)) => {
                let hash = last.len() == 17
                    && last.starts_with('h')
                    && last[1..].bytes().all(|b| b.is_ascii_hexdigit());
                (hash || last.starts_with('{')).then_some(rest)
            }
            None => None,
        };
        match shorter {
            Some(rest) => name = rest,
            None => return name,
        }
    }
}

/// Whether a file is what a bundler made: names in it mean nothing.
fn is_bundle(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.contains(".min.") || name.split(['.', '-']).any(is_hash)
}

/// Hex or a mixture, as builds name their files.
fn is_hash(part: &str) -> bool {
    let digits = part.bytes().filter(u8::is_ascii_digit).count();
    part.len() >= 6
        && digits > 0
        && digits < part.len()
        && part.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// The last two names of a path, without versions and hashes.
fn place(file: &str, out: &mut BumpVec<'_, u8>) {
    let file = file.split(['?', '#']).next().unwrap_or(file);
    let mut names = file.rsplit(['/', '\\']).filter(|name| !name.is_empty());
    let (name, parent) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
    let moved = ROOTS.contains(&parent)
        || parent.ends_with(':')
        || parent.bytes().any(|b| b.is_ascii_digit());
    if !moved && !parent.is_empty() {
        clean(parent, out);
        out.push(b'/');
    }
    for (index, part) in name.split('.').filter(|part| !is_hash(part)).enumerate() {
        if index > 0 {
            out.push(b'.');
        }
        // `main-3f2a1b9c.js`
        match part.rsplit_once('-') {
            Some((stem, hash)) if is_hash(hash) => clean(stem, out),
            _ => clean(part, out),
        }
    }
}

/// Copies a name without numbers that some tool gave: those behind `$`, `#`, `@`, `~` and `__`.
fn clean(name: &str, out: &mut BumpVec<'_, u8>) {
    let bytes = name.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let generated = at > 0 && bytes[at].is_ascii_digit() && {
            let last = bytes[at - 1];
            matches!(last, b'$' | b'#' | b'@' | b'~')
                || (last == b'_' && at > 1 && bytes[at - 2] == b'_')
        };
        if generated {
            while at < bytes.len() && (bytes[at].is_ascii_hexdigit() || bytes[at] == b'_') {
                at += 1;
            }
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
}

/// C++ without template arguments and offsets.
fn without_arguments(name: &str, out: &mut BumpVec<'_, u8>) {
    let mut depth = 0usize;
    let operator = name.contains("operator");
    for byte in before(name, "+0x").bytes() {
        match byte {
            b'<' if !operator => depth += 1,
            b'>' if !operator && depth > 0 => depth -= 1,
            _ if depth == 0 => out.push(byte),
            _ => {}
        }
    }
}
