//! Members of an object under construction: what is named twice becomes an array.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use schemas::limits::MAX_ATTRIBUTES;

use super::{Fields, Object};
use crate::json::join;
use crate::value::Value;

/// Up to so many members each is compared with each.
const FEW: usize = 16;

/// Members in the order of their first values; a name that occurs again becomes an array. More than
/// [`MAX_ATTRIBUTES`] are left out and counted. Time: n log n, whatever the names.
pub(super) fn gather<'b>(arena: &'b Bump, pairs: Fields<'b>) -> Object<'b> {
    let repeated = pairs.len() > FEW
        || pairs
            .iter()
            .enumerate()
            .any(|(index, (key, _))| pairs[..index].iter().any(|(other, _)| other == key));
    if !repeated {
        return Object { fields: pairs, dropped: 0, keeps_empty: false };
    }
    let mut order = BumpVec::from_iter_in(0..pairs.len(), arena);
    order.sort_unstable_by(|a, b| pairs[*a].0.cmp(pairs[*b].0).then(a.cmp(b)));
    let mut groups: BumpVec<'_, &[usize]> = BumpVec::new_in(arena);
    groups.extend(order.chunk_by(|a, b| pairs[*a].0 == pairs[*b].0));
    groups.sort_unstable_by_key(|group| group.first().copied());
    let mut fields = BumpVec::with_capacity_in(groups.len().min(MAX_ATTRIBUTES), arena);
    for group in groups.iter().take(MAX_ATTRIBUTES) {
        match group {
            [] => {}
            [only] => fields.push(pairs[*only]),
            [first, ..] => {
                let values = group.iter().map(|index| pairs[*index].1);
                let values = BumpVec::from_iter_in(values, arena).into_bump_slice();
                fields.push((pairs[*first].0, Value::Array(values)));
            }
        }
    }
    let dropped = u32::try_from(groups.len() - fields.len()).unwrap_or(u32::MAX);
    Object { fields, dropped, keeps_empty: false }
}

/// A value below `path` as dotted paths; arrays keep their shape.
pub(super) fn flatten<'b>(
    arena: &'b Bump,
    path: &'b str,
    value: Value<'b>,
    fields: &mut Fields<'b>,
) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                flatten(arena, join(arena, path, key), *value, fields);
            }
        }
        other => fields.push((path, other)),
    }
}
