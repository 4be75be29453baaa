//! `useragent([decodeuricomponent:true|false])`: what the user-agent parser makes of a user agent.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use schemas::limits::MAX_USER_AGENT_BYTES;

use super::{Filtered, Object, uri};
use crate::pipeline::grok::token::{Arg, Call};
use crate::pipeline::user_agent;
use crate::value::Attributes;

/// Whether the text is percent-decoded first.
#[derive(Debug)]
pub(crate) struct UserAgent {
    decode: bool,
}

impl UserAgent {
    /// From the call's argument; makes the definitions ready.
    pub(super) fn compile(call: &Call) -> Result<Self, String> {
        let decode = match call.args.as_slice() {
            [] => false,
            [Arg::Bool(decode)] => *decode,
            _ => return Err("write useragent or useragent(decodeuricomponent:true)".to_owned()),
        };
        user_agent::load()?;
        Ok(Self { decode })
    }

    /// Reads a user agent.
    pub(super) fn apply<'b>(&self, arena: &'b Bump, text: &'b str) -> Filtered<'b> {
        let text = if self.decode { uri::decode(arena, text) } else { text };
        let end = text.floor_char_boundary(MAX_USER_AGENT_BYTES);
        let mut parts = Attributes::new_in(arena);
        user_agent::write(arena, text.get(..end).unwrap_or_default(), ROOT, &mut parts);
        let fields = parts
            .iter()
            .filter_map(|(path, value)| Some((path.strip_prefix(ROOT)?.strip_prefix('.')?, value)));
        Filtered::Object(Object {
            fields: BumpVec::from_iter_in(fields, arena),
            dropped: 0,
            keeps_empty: false,
        })
    }
}

/// Where the parts are written before they go below the extract's path.
const ROOT: &str = "u";
