//! Checks protobuf against the OTLP schema without decoding it, and cuts the long values of one message.

use super::schema::{Kind, Message};
use crate::msgpack::cut;
use crate::protobuf::{Fields, Malformed, Value, put_bytes, varint};

/// Checks `bytes` as a message of this kind: wire types, UTF-8, depth. Unknown fields are left alone.
pub(super) fn check(message: &Message, bytes: &[u8], depth: usize) -> Result<(), Malformed> {
    if depth == 0 {
        return Err(Malformed::TooDeep);
    }
    for field in Fields::of(bytes) {
        let field = field?;
        let Some(known) = message.by_number(field.number) else { continue };
        match (known.kind, field.value) {
            (Kind::Message(inner), Value::Bytes(bytes)) => check(inner, bytes, depth - 1)?,
            (Kind::Text, Value::Bytes(bytes)) => {
                std::str::from_utf8(bytes).map_err(|_| Malformed::Utf8(known.name))?;
            }
            (kind, Value::Bytes(bytes)) if known.repeated => packed(kind, bytes, known.name)?,
            (kind, value) => {
                if !fits(kind, value) {
                    return Err(Malformed::Wire(known.name));
                }
            }
        }
    }
    Ok(())
}

fn fits(kind: Kind, value: Value<'_>) -> bool {
    match kind {
        Kind::Bool | Kind::Uint32 | Kind::Int64 | Kind::Uint64 | Kind::Sint32 | Kind::Enum(_) => {
            matches!(value, Value::Varint(_))
        }
        Kind::Fixed32 => matches!(value, Value::Fixed32(_)),
        Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => matches!(value, Value::Fixed64(_)),
        Kind::Text | Kind::Bytes | Kind::Id | Kind::Message(_) => matches!(value, Value::Bytes(_)),
    }
}

/// Repeated numbers stand in one field.
fn packed(kind: Kind, mut bytes: &[u8], name: &'static str) -> Result<(), Malformed> {
    let width = match kind {
        Kind::Fixed32 => 4,
        Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => 8,
        Kind::Bytes | Kind::Id => return Ok(()),
        _ => {
            while !bytes.is_empty() {
                varint(&mut bytes)?;
            }
            return Ok(());
        }
    };
    if bytes.len().is_multiple_of(width) { Ok(()) } else { Err(Malformed::Wire(name)) }
}

/// Copies a checked message with every text cut to `longest` bytes and longer binaries left out.
pub(super) fn copy_cut(
    message: &Message,
    bytes: &[u8],
    longest: usize,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    for field in Fields::of(bytes) {
        let field = field?;
        let kind = message.by_number(field.number).map(|known| known.kind);
        match (kind, field.value) {
            (Some(Kind::Message(inner)), Value::Bytes(bytes)) => {
                let mut shorter = Vec::with_capacity(bytes.len());
                copy_cut(inner, bytes, longest, &mut shorter)?;
                put_bytes(out, field.number, &shorter);
            }
            (Some(Kind::Text), Value::Bytes(bytes)) => {
                put_bytes(out, field.number, cut(bytes, longest));
            }
            (Some(Kind::Bytes), Value::Bytes(bytes)) if bytes.len() > longest => {}
            // What we do not know we can not shorten, nor will the worker read it.
            (None, _) => {}
            _ => out.extend_from_slice(field.raw),
        }
    }
    Ok(())
}
