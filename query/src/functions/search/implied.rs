//! What a query says about single columns: conditions every row it finds fulfils, in a form statistics
//! and bloom filters can prune by. They only ever allow more rows than the query.

use datafusion::logical_expr::{Expr, lit};
use schemas::{log, span};
use search::{Bound, Field, Node, Part, Pattern, Reserved, Term, Test};

/// The column of a name, where the table has it.
type Find<'a> = &'a dyn Fn(&str) -> Option<Expr>;

/// The condition a tree implies, if it implies one.
pub(super) fn of(node: &Node, find: Find<'_>) -> Option<Expr> {
    match node {
        Node::And(nodes) => {
            nodes.iter().filter_map(|node| of(node, find)).reduce(|all, one| all.and(one))
        }
        Node::Or(nodes) => {
            let all: Option<Vec<Expr>> = nodes.iter().map(|node| of(node, find)).collect();
            all?.into_iter().reduce(|all, one| all.or(one))
        }
        Node::Term(term) => of_term(term, find),
        Node::Not(_) | Node::All => None,
    }
}

fn of_term(term: &Term, find: Find<'_>) -> Option<Expr> {
    let Field::Reserved(field) = &term.field else { return None };
    let name = match field {
        Reserved::Service => log::SERVICE,
        Reserved::Host => log::HOST,
        Reserved::Source => log::SOURCE,
        Reserved::TraceId => log::TRACE_ID,
        Reserved::SpanId => log::SPAN_ID,
        // A span's status is its column `error`.
        Reserved::Status if find(span::ERROR).is_none() => log::STATUS,
        // These may be in the tags instead.
        Reserved::Status | Reserved::Env | Reserved::Version => return None,
    };
    let column = find(name)?;
    let lower = matches!(field, Reserved::Status | Reserved::TraceId | Reserved::SpanId);
    match &term.test {
        Test::Equals(text) if lower => Some(column.eq(lit(text.to_ascii_lowercase()))),
        Test::Equals(text) => Some(column.eq(lit(text.as_str()))),
        Test::Like(pattern) => Some(column.like(lit(prefix(pattern)?))),
        Test::Range { low, high } => {
            let low = match low {
                Bound::Open => None,
                Bound::Inclusive(text) => Some(column.clone().gt_eq(lit(text.as_str()))),
                Bound::Exclusive(text) => Some(column.clone().gt(lit(text.as_str()))),
            };
            let high = match high {
                Bound::Open => None,
                Bound::Inclusive(text) => Some(column.lt_eq(lit(text.as_str()))),
                Bound::Exclusive(text) => Some(column.lt(lit(text.as_str()))),
            };
            match (low, high) {
                (Some(low), Some(high)) => Some(low.and(high)),
                (one, other) => one.or(other),
            }
        }
        Test::Exists | Test::Cidr(_) => None,
    }
}

/// `web%` for `web*1`: LIKE with a fixed beginning prunes as a range does.
fn prefix(pattern: &Pattern) -> Option<String> {
    let Some(Part::Literal(text)) = pattern.parts().first() else { return None };
    let mut like = String::with_capacity(text.len() + 1);
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            like.push('\\');
        }
        like.push(character);
    }
    like.push('%');
    Some(like)
}
