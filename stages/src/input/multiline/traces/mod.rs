//! How the languages print stack traces: which line opens one, and which lines without indentation
//! still belong to it. One file per language. Indented lines belong to a trace in all of them.

mod dotnet;
mod go;
mod java;
mod node;
mod python;
mod ruby;
mod rust;

/// A language whose traces are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// And everything else on the JVM.
    Java,
    /// Python.
    Python,
    /// Go.
    Go,
    /// JavaScript outside of browsers.
    Node,
    /// Ruby.
    Ruby,
    /// C# and its siblings.
    DotNet,
    /// Rust.
    Rust,
}

/// A trace under way.
#[derive(Debug)]
pub(super) struct Trace {
    language: Language,
    /// The line before was indented.
    after_frame: bool,
    /// Lines so far.
    lines: usize,
    /// The first line says where, what stands below.
    announces: bool,
}

/// What [`Trace::continues`] knows besides the line.
#[derive(Debug, Clone, Copy)]
struct Seen {
    after_frame: bool,
    lines: usize,
    announces: bool,
}

impl Trace {
    /// The trace this line opens, if it does.
    pub(super) fn opened_by(text: &[u8]) -> Option<Self> {
        let language = language(text)?;
        let announces = text.trim_ascii_end().ends_with(b":") || node::is_place(text);
        Some(Self { language, after_frame: false, lines: 1, announces })
    }

    /// Whether a line that is neither indented nor blank belongs to it.
    pub(super) fn continues(&self, text: &[u8]) -> bool {
        let Self { after_frame, lines, announces, .. } = *self;
        let seen = Seen { after_frame, lines, announces };
        match self.language {
            Language::Java => java::continues(text),
            Language::Python => python::continues(text, seen),
            Language::Go => go::continues(text),
            Language::Node => node::continues(text, seen),
            Language::Ruby => ruby::continues(text),
            Language::DotNet => dotnet::continues(text),
            Language::Rust => rust::continues(text, seen),
        }
    }

    /// Remembers a line of it.
    pub(super) fn see(&mut self, text: &[u8]) {
        self.after_frame = matches!(text.first(), Some(b' ' | b'\t'));
        self.lines += 1;
    }
}

/// The language whose trace this line opens.
fn language(text: &[u8]) -> Option<Language> {
    // .NET before Java: both name classes, only .NET's begin with `System.` or `Microsoft.`.
    type Test = fn(&[u8]) -> bool;
    let tests: [(Test, Language); 7] = [
        (python::opens, Language::Python),
        (go::opens, Language::Go),
        (rust::opens, Language::Rust),
        (ruby::opens, Language::Ruby),
        (dotnet::opens, Language::DotNet),
        (java::opens, Language::Java),
        (node::opens, Language::Node),
    ];
    tests.into_iter().find(|(opens, _)| opens(text)).map(|(_, language)| language)
}

/// Lines that are never the first of a log, whatever is open and though a date may stand in them.
pub(super) fn always_continues(text: &[u8]) -> bool {
    const PHRASES: [&[u8]; 5] = [
        b"Caused by:",
        b"Suppressed:",
        b"--- End of ",
        b"During handling of the above exception, another exception occurred:",
        b"The above exception was the direct cause of the following exception:",
    ];
    PHRASES.iter().any(|phrase| text.starts_with(phrase))
}

fn starts_with_any(text: &[u8], phrases: &[&[u8]]) -> bool {
    phrases.iter().any(|phrase| text.starts_with(phrase))
}

/// A class name with one of these endings, alone or with `: message` after it, dotted or not.
fn is_class(text: &[u8], endings: &[&[u8]], dotted: bool) -> bool {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'$');
    let length = text.iter().take_while(|byte| is_name(byte)).count();
    let (name, rest) = (&text[..length], text[length..].trim_ascii_end());
    endings.iter().any(|ending| name.ends_with(ending))
        && (!dotted || name.contains(&b'.'))
        && (rest.is_empty() || rest.starts_with(b":"))
}
