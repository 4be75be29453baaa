//! `decoder-processor`: base64 or base16 to text or to a number.
//!
//! Texts that were cut are taken as far as they go: a lone last base64 character, a lone hex digit, the
//! bytes of half a UTF-8 character are left out; a number keeps its lone digit. What is no base64 or
//! hex leaves the log unchanged, as documented. Numbers over `i64::MAX` are text, as everywhere.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bumpalo::Bump;

use super::Outcome;
use crate::event::LogEvent;
use crate::pipeline::compiler::Compiler;
use crate::pipeline::config::{DecoderProcessorConfig, Representation, TextEncoding};
use crate::pipeline::source;
use crate::value::Value;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// What is decoded, and how.
#[derive(Debug)]
pub(in crate::pipeline) struct DecoderProcessor {
    sources: [Box<str>; 1],
    target: Box<str>,
    encoding: TextEncoding,
    representation: Representation,
}

impl DecoderProcessor {
    /// Checks the configuration.
    pub(super) fn compile(
        config: &DecoderProcessorConfig,
        path: &str,
        compiler: &mut Compiler<'_>,
    ) -> Option<Self> {
        let source = super::name(&config.source, "source", path, compiler);
        let target = super::name(&config.target, "target", path, compiler);
        Some(Self {
            sources: [source?],
            target: target?,
            encoding: config.binary_to_text_encoding,
            representation: config.input_representation,
        })
    }

    /// Decodes the source, if it is a text of that encoding.
    pub(super) fn apply<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>) -> Outcome {
        let Some(text) = source::first_text(arena, event, &self.sources) else { return Ok(()) };
        let integer = self.representation == Representation::Integer;
        let bytes = match self.encoding {
            TextEncoding::Base64 => base64(arena, text),
            TextEncoding::Base16 => base16(arena, text, integer),
        };
        let Some(bytes) = bytes else { return Ok(()) };
        let value = if integer { number(arena, bytes)? } else { Value::Str(utf8(bytes)?) };
        source::replace(arena, event, &self.target, value);
        Ok(())
    }
}

fn base64<'b>(arena: &'b Bump, text: &str) -> Option<&'b [u8]> {
    let bare = text.trim_end_matches('=');
    // A lone last character holds no whole byte.
    let whole = if bare.len() % 4 == 1 { bare.get(..bare.len() - 1)? } else { bare };
    let engine = if whole.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    let buffer = arena.alloc_slice_fill_copy(base64::decoded_len_estimate(whole.len()), 0u8);
    let length = engine.decode_slice(whole, buffer).ok()?;
    buffer.get(..length)
}

fn base16<'b>(arena: &'b Bump, text: &str, integer: bool) -> Option<&'b [u8]> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    if digits.is_empty() {
        return None;
    }
    let digits = match digits.len() % 2 {
        0 => digits,
        _ if integer => bumpalo::format!(in arena, "0{}", digits).into_bump_str(),
        _ => digits.get(..digits.len() - 1)?,
    };
    let buffer = arena.alloc_slice_fill_copy(digits.len() / 2, 0u8);
    hex::decode_to_slice(digits, buffer).ok()?;
    Some(buffer)
}

fn utf8(bytes: &[u8]) -> Result<&str, &'static str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text),
        // Cut within a character.
        Err(error) if error.error_len().is_none() => {
            let whole = bytes.get(..error.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(whole).map_err(|_| NO_TEXT)
        }
        Err(_) => Err(NO_TEXT),
    }
}

const NO_TEXT: &str = "the decoded bytes are no UTF-8 text";

/// Highest byte first.
fn number<'b>(arena: &'b Bump, bytes: &[u8]) -> Result<Value<'b>, &'static str> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let bytes = bytes.get(zeros..).unwrap_or_default();
    if bytes.len() > size_of::<u128>() {
        return Err("the decoded number has more than 128 bits");
    }
    let number = bytes.iter().fold(0u128, |number, byte| number << 8 | u128::from(*byte));
    Ok(match i64::try_from(number) {
        Ok(number) => Value::Int(number),
        Err(_) => Value::Str(bumpalo::format!(in arena, "{}", number).into_bump_str()),
    })
}
