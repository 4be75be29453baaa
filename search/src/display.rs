//! The normal form of a query: what prints parses to an equal tree.

use std::fmt::{self, Display, Write};

use crate::ast::{Bound, Field, Node, Part, Pattern, Term, Test};

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::All => f.write_char('*'),
            Node::And(nodes) => join(nodes, " AND ", f),
            Node::Or(nodes) => join(nodes, " OR ", f),
            Node::Not(node) => {
                f.write_char('-')?;
                operand(node, f)
            }
            Node::Term(term) => term.fmt(f),
        }
    }
}

fn join(nodes: &[Node], operator: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, node) in nodes.iter().enumerate() {
        if index > 0 {
            f.write_str(operator)?;
        }
        operand(node, f)?;
    }
    Ok(())
}

/// In parentheses where it is more than one term.
fn operand(node: &Node, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match node {
        Node::And(_) | Node::Or(_) => write!(f, "({node})"),
        _ => Display::fmt(node, f),
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.test == Test::Exists {
            f.write_str("_exists_:")?;
            return name(&self.field, f);
        }
        if let Test::Cidr(blocks) = &self.test {
            f.write_str("CIDR(")?;
            name(&self.field, f)?;
            blocks.iter().try_for_each(|block| write!(f, ", {block}"))?;
            return f.write_char(')');
        }
        if self.field != Field::Text || matches!(self.test, Test::Range { .. }) {
            name(&self.field, f)?;
            f.write_char(':')?;
        }
        match &self.test {
            Test::Equals(text) => value(text, f),
            Test::Like(pattern) => pattern.fmt(f),
            Test::Range { low, high } => range(low, high, f),
            Test::Exists | Test::Cidr(_) => Ok(()),
        }
    }
}

fn name(field: &Field, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match field {
        Field::Text => f.write_str("message"),
        Field::Everything => f.write_char('*'),
        Field::Reserved(reserved) => f.write_str(reserved.name()),
        Field::Attribute(path) => {
            f.write_char('@')?;
            escaped(path, f)
        }
        Field::Tag(key) => escaped(key, f),
        Field::Tags => f.write_str("tags"),
    }
}

/// Bare where nobody could read it as anything else, quoted otherwise.
fn value(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-');
    let operator = matches!(text, "AND" | "OR" | "NOT");
    if !text.is_empty() && !operator && !text.starts_with('-') && text.chars().all(plain) {
        return f.write_str(text);
    }
    f.write_char('"')?;
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            f.write_char('\\')?;
        }
        f.write_char(character)?;
    }
    f.write_char('"')
}

fn range(low: &Bound, high: &Bound, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_char(if matches!(low, Bound::Exclusive(_)) { '{' } else { '[' })?;
    bound(low, f)?;
    f.write_str(" TO ")?;
    bound(high, f)?;
    f.write_char(if matches!(high, Bound::Exclusive(_)) { '}' } else { ']' })
}

fn bound(bound: &Bound, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match bound {
        Bound::Open => f.write_char('*'),
        Bound::Inclusive(text) | Bound::Exclusive(text) => value(text, f),
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.parts() {
            match part {
                Part::Literal(text) => escaped(text, f)?,
                Part::Any => f.write_char('*')?,
                Part::One => f.write_char('?')?,
            }
        }
        Ok(())
    }
}

/// Every character that could mean something has a backslash before it.
fn escaped(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for character in text.chars() {
        if !character.is_alphanumeric() && !matches!(character, '_' | '.' | '/') {
            f.write_char('\\')?;
        }
        f.write_char(character)?;
    }
    Ok(())
}
