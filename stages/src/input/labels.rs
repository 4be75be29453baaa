//! What a user says of all logs of an input, which lines cannot say of themselves: `source` chooses the
//! pipeline, service and tags find them again. What a log says itself goes first.

use bumpalo::Bump;
use schemas::limits::MAX_TAGS;

use crate::event::LogEvent;

/// Labels of an input's logs; empty ones are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// Technology that made them (`ddsource`): `nginx`.
    pub source: String,
    /// Unified service tag.
    pub service: String,
    /// `key:value` tags.
    pub tags: Vec<String>,
}

impl Labels {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Puts them on logs.
    pub(crate) fn put<'b>(&self, arena: &'b Bump, logs: &mut [LogEvent<'b>]) {
        let source: &'b str = arena.alloc_str(&self.source);
        // As a tag, so that an attribute `service` of the log goes first.
        let service = (!self.service.is_empty())
            .then(|| bumpalo::format!(in arena, "service:{}", self.service).into_bump_str());
        let mut tags = bumpalo::collections::Vec::new_in(arena);
        tags.extend(self.tags.iter().map(|tag| &*arena.alloc_str(tag)).chain(service));
        for log in logs {
            if log.source.is_empty() && log.attributes.get("ddsource").is_none() {
                log.source = source;
            }
            for tag in &tags {
                if log.tags.len() < MAX_TAGS && !log.tags.contains(tag) {
                    log.tags.push(tag);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Items, decode_input};
    use crate::input::Input;
    use crate::record::Record;
    use schemas::topic::{Format, Signal};

    #[test]
    fn labels_fill_what_a_log_does_not_say() {
        let labels = Labels {
            source: "nginx".to_owned(),
            service: "web".to_owned(),
            tags: vec!["team:a".to_owned()],
        };
        let input = Input { labels: labels.into(), ..Input::from(Format::DatadogLogs) };
        let payload =
            br#"[{"message":"x"},{"message":"y","ddsource":"java","ddtags":"team:a,x:y"}]"#;
        let (arena, record) =
            (Bump::new(), Record { payload: payload.to_vec(), ..Record::default() });
        let decoded = decode_input(&arena, &record, Signal::Logs, &input).expect("decodes");
        let Items::Logs(logs) = decoded.items else { panic!("no logs") };
        assert_eq!((logs[0].source, logs[1].source), ("nginx", "java"));
        assert_eq!(&logs[0].tags[..], ["team:a", "service:web"]);
        assert_eq!(&logs[1].tags[..], ["team:a", "x:y", "service:web"]);
    }
}
