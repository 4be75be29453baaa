//! The syntax tree of a query.

use crate::cidr::Block;

/// A query or a part of one. Build with [`Node::and`], [`Node::or`], [`Node::not`]: they keep the
/// tree in normal form (no AND directly inside AND, no double negation).
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// `*`: every record.
    All,
    /// All of them, two or more.
    And(Vec<Node>),
    /// Any of them, two or more.
    Or(Vec<Node>),
    /// Not this.
    Not(Box<Node>),
    /// One test of one field.
    Term(Term),
}

/// One test of one field.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// What is looked at.
    pub field: Field,
    /// What must hold.
    pub test: Test,
    /// Where it stands in the text.
    pub position: Position,
}

/// Byte offset in the text of the query. Never makes two trees different: spacing has no meaning.
#[derive(Debug, Clone, Copy, Default)]
pub struct Position(pub usize);

impl PartialEq for Position {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// What a term looks at.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    /// The message: free text, and `message:`.
    Text,
    /// `*:`: the message and every attribute.
    Everything,
    /// A reserved attribute, without `@`.
    Reserved(Reserved),
    /// `@path`.
    Attribute(String),
    /// `key:value` among the tags.
    Tag(String),
    /// `tags:x`: a whole tag.
    Tags,
}

/// Attributes with columns of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    /// Unified service tag.
    Service,
    /// Unified service tag.
    Env,
    /// Unified service tag.
    Version,
    /// Host name.
    Host,
    /// Technology that made the record.
    Source,
    /// Official status.
    Status,
    /// Trace id, hex or decimal.
    TraceId,
    /// Span id, hex or decimal.
    SpanId,
}

impl Reserved {
    /// All of them.
    pub const ALL: [Reserved; 8] = [
        Reserved::Service,
        Reserved::Env,
        Reserved::Version,
        Reserved::Host,
        Reserved::Source,
        Reserved::Status,
        Reserved::TraceId,
        Reserved::SpanId,
    ];

    /// As it is written in a query.
    pub fn name(self) -> &'static str {
        match self {
            Reserved::Service => "service",
            Reserved::Env => "env",
            Reserved::Version => "version",
            Reserved::Host => "host",
            Reserved::Source => "source",
            Reserved::Status => "status",
            Reserved::TraceId => "trace_id",
            Reserved::SpanId => "span_id",
        }
    }

    /// By its name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }
}

/// What must hold of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// The text form of the value is this; of the message: it contains these words in a row.
    Equals(String),
    /// The value is like this.
    Like(Pattern),
    /// The value lies between the two. Numbers compare as numbers, everything else as text.
    Range {
        /// Lower end.
        low: Bound,
        /// Upper end.
        high: Bound,
    },
    /// There is a value.
    Exists,
    /// The value is an address of one of the blocks.
    Cidr(Vec<Block>),
}

/// One end of a range.
#[derive(Debug, Clone, PartialEq)]
pub enum Bound {
    /// No end.
    Open,
    /// This value and beyond.
    Inclusive(String),
    /// Beyond this value.
    Exclusive(String),
}

/// A text with wildcards: at least one part, no two literals or two `*` in a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern(Vec<Part>);

/// Part of a pattern.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Exactly this.
    Literal(String),
    /// `*`: any run of characters, also none. In free text it does not cross white space.
    Any,
    /// `?`: any one character. Datadog documents it for special characters and spaces, which this
    /// includes.
    One,
}

impl Pattern {
    /// Joins what can be joined.
    pub fn new(parts: impl IntoIterator<Item = Part>) -> Self {
        let mut joined: Vec<Part> = Vec::new();
        for part in parts {
            match (joined.last_mut(), part) {
                (_, Part::Literal(text)) if text.is_empty() => {}
                (Some(Part::Literal(last)), Part::Literal(text)) => last.push_str(&text),
                (Some(Part::Any), Part::Any) => {}
                (_, part) => joined.push(part),
            }
        }
        Self(joined)
    }

    /// Its parts, in order.
    pub fn parts(&self) -> &[Part] {
        &self.0
    }
}

impl Node {
    /// All of `nodes`; one alone is itself, none is everything.
    pub fn and(nodes: Vec<Node>) -> Self {
        let flat = nodes.into_iter().flat_map(|node| match node {
            Node::And(inner) => inner,
            other => vec![other],
        });
        Self::join(flat.collect(), Node::And)
    }

    /// Any of `nodes`; one alone is itself, none is everything.
    pub fn or(nodes: Vec<Node>) -> Self {
        let flat = nodes.into_iter().flat_map(|node| match node {
            Node::Or(inner) => inner,
            other => vec![other],
        });
        Self::join(flat.collect(), Node::Or)
    }

    /// Not `node`.
    #[expect(clippy::should_implement_trait, reason = "a constructor beside `and` and `or`")]
    pub fn not(node: Node) -> Self {
        match node {
            Node::Not(inner) => *inner,
            other => Node::Not(Box::new(other)),
        }
    }

    fn join(mut nodes: Vec<Node>, make: fn(Vec<Node>) -> Node) -> Self {
        match (nodes.pop(), nodes.is_empty()) {
            (None, _) => Node::All,
            (Some(only), true) => only,
            (Some(last), false) => {
                nodes.push(last);
                make(nodes)
            }
        }
    }
}
