//! One frame.

use std::fmt;

/// The language a frame is written in, by the shape of its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// Java, Kotlin, Scala, Groovy, Clojure: everything on the JVM.
    Java,
    /// Python.
    Python,
    /// JavaScript and TypeScript, Node and browsers.
    JavaScript,
    /// Go.
    Go,
    /// Ruby.
    Ruby,
    /// C#, F#, Visual Basic.
    DotNet,
    /// PHP.
    Php,
    /// Rust.
    Rust,
    /// Swift and Objective-C.
    Swift,
    /// C, C++ and whatever else a sanitizer or debugger prints.
    Native,
    /// No frame told.
    Unknown,
}

impl Language {
    /// The stored spelling; empty for unknown.
    pub fn as_str(self) -> &'static str {
        match self {
            Language::Java => "java",
            Language::Python => "python",
            Language::JavaScript => "javascript",
            Language::Go => "go",
            Language::Ruby => "ruby",
            Language::DotNet => "dotnet",
            Language::Php => "php",
            Language::Rust => "rust",
            Language::Swift => "swift",
            Language::Native => "native",
            Language::Unknown => "",
        }
    }
}

/// A call on the stack, as its line says; parts the line does not name are empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The language.
    pub language: Language,
    /// Class, package, module or binary.
    pub module: &'a str,
    /// Function or method, without what calls it.
    pub function: &'a str,
    /// Source file.
    pub file: &'a str,
    /// Line in it, 0 where unknown. Never part of a fingerprint.
    pub line: u32,
}

impl<'a> Frame<'a> {
    /// A frame of which only the language is known.
    pub(super) fn new(language: Language) -> Self {
        Self { language, module: "", function: "", file: "", line: 0 }
    }

    /// With a name whose last part, after `separator`, is the function.
    pub(super) fn named(mut self, name: &'a str, separator: &str) -> Self {
        match name.rsplit_once(separator) {
            Some((module, function)) => (self.module, self.function) = (module, function),
            None => self.function = name,
        }
        self
    }

    /// With a source file and line.
    pub(super) fn at(mut self, file: &'a str, line: &str) -> Self {
        self.file = file;
        self.line = line.parse().unwrap_or(0);
        self
    }
}

impl fmt::Display for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = if self.module.is_empty() || self.function.is_empty() { "" } else { "." };
        write!(f, "{}{dot}{}", self.module, self.function)?;
        match (self.file.is_empty(), self.line) {
            (true, _) => Ok(()),
            (false, 0) => write!(f, " ({})", self.file),
            (false, line) => write!(f, " ({}:{line})", self.file),
        }
    }
}

/// `text` as `(before, number)` around its last `:`, where only digits follow.
pub(super) fn split_number(text: &str) -> Option<(&str, &str)> {
    let (before, number) = text.rsplit_once(':')?;
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    digits.then_some((before, number))
}

/// `file:line:column` or `file:line`, as `(file, line)`.
pub(super) fn split_location(text: &str) -> Option<(&str, &str)> {
    let (before, last) = split_number(text)?;
    Some(split_number(before).unwrap_or((before, last)))
}
