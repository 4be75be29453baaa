//! `exclude-attribute`: removes an attribute with all below it; no tag, no reserved attribute.

use crate::event::LogEvent;
use crate::pipeline::compiler::Compiler;
use crate::pipeline::config::ExcludeAttributeConfig;

/// What Datadog's documentation calls reserved here, and what its remapper may not touch.
const RESERVED: [&str; 9] =
    ["host", "source", "service", "status", "message", "timestamp", "date", "trace_id", "span_id"];

/// The attribute.
#[derive(Debug)]
pub(in crate::pipeline) struct ExcludeAttribute {
    path: Box<str>,
}

impl ExcludeAttribute {
    /// Checks the name.
    pub(super) fn compile(
        config: &ExcludeAttributeConfig,
        path: &str,
        compiler: &mut Compiler<'_>,
    ) -> Option<Self> {
        let name =
            super::name(&config.attribute_to_exclude, "attribute_to_exclude", path, compiler)?;
        if RESERVED.contains(&&*name) {
            let reason =
                format!("`{name}` is reserved and can not be excluded: remove the processor");
            compiler.refuse(format!("{path}.attribute_to_exclude"), reason);
            return None;
        }
        Some(Self { path: name })
    }

    /// Removes it.
    pub(super) fn apply(&self, event: &mut LogEvent<'_>) {
        event.attributes.remove_all(&self.path);
    }
}
