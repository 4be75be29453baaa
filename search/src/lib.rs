//! Datadog's log search syntax: one parser, one AST, compiled to a predicate over records.
//!
//! Every filter of the pipeline (pipelines, log-based metrics, indexes, exclusion filters) and the
//! search box use this one language. Source: Datadog documentation, "Log Search Syntax".
//!
//! | written | means |
//! |---|---|
//! | `hello "big world" time*` | words and phrases of the message, any case |
//! | `@http.status_code:[400 TO 499]` | attribute, exact or by range |
//! | `service:web`, `status:error` | reserved attribute |
//! | `team:shop` | tag |
//! | `@a:(x OR y) -env:dev` | lists, AND (implicit), OR, NOT |
//! | `_exists_:@a`, `_missing_:@a`, `@a:*` | presence |
//! | `CIDR(@network.client.ip, 10.0.0.0/8)` | blocks of IP addresses |
//!
//! [`Query::matches`] allocates nothing and takes time linear in the record for a given query. No IO.

mod ast;
mod cidr;
mod display;
mod error;
mod parser;
mod predicate;
mod record;
mod text;
mod wildcard;

pub use ast::{Bound, Field, Node, Part, Pattern, Position, Reserved, Term, Test};
pub use cidr::Block;
pub use error::ParseError;
pub use record::{Record, Scalar};
pub use text::same;

use std::fmt;
use std::str::FromStr;

/// Bytes of one query. Lists of hosts or users make long ones.
pub const MAX_QUERY_BYTES: usize = 64 << 10;
/// Nesting of parentheses and negations; it bounds the recursion of parser and predicate.
pub const MAX_QUERY_DEPTH: usize = 64;
/// Characters and wildcards of a free-text term with a wildcard; they are the bits of one word.
pub const MAX_TEXT_PATTERN: usize = 63;

/// A parsed query, ready to be asked about records.
#[derive(Debug, Clone)]
pub struct Query {
    ast: Node,
    predicate: predicate::Predicate,
}

impl Query {
    /// Parses a query. An empty one and `*` match everything.
    ///
    /// # Errors
    /// Names the character, what is wrong there and how to write it.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let ast = parser::parse(text)?;
        let predicate = predicate::compile(&ast)?;
        Ok(Self { ast, predicate })
    }

    /// The query that matches everything.
    pub fn all() -> Self {
        Self { ast: Node::All, predicate: predicate::Predicate::All }
    }

    /// The syntax tree, for other targets than the predicate.
    pub fn ast(&self) -> &Node {
        &self.ast
    }

    /// Whether the record is one the query asks for.
    pub fn matches(&self, record: &impl Record) -> bool {
        self.predicate.matches(record)
    }
}

impl FromStr for Query {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl PartialEq for Query {
    fn eq(&self, other: &Self) -> bool {
        self.ast == other.ast
    }
}

/// The normal form; it parses to an equal query.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ast.fmt(f)
    }
}

#[cfg(test)]
mod tests;
