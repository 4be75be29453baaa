//! The OTLP messages as tables: names, numbers and kinds of their fields.
//!
//! One walk over these checks protobuf, another reads OTLP JSON, a third cuts long values: without
//! them each would need its own code per message. Source: opentelemetry-proto 1.11, *.proto.

/// A message: its fields.
#[derive(Debug)]
pub(super) struct Message {
    /// The fields, by no particular order.
    pub(super) fields: &'static [Field],
}

/// A field of a message.
#[derive(Debug)]
pub(super) struct Field {
    /// The name in the .proto file, in snake_case.
    pub(super) name: &'static str,
    /// The number on the wire.
    pub(super) number: u32,
    /// What it holds.
    pub(super) kind: Kind,
    /// Whether it may occur more than once.
    pub(super) repeated: bool,
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Bool,
    Uint32,
    Int64,
    Uint64,
    Sint32,
    Fixed32,
    Fixed64,
    Sfixed64,
    Double,
    Text,
    /// Base64 in JSON.
    Bytes,
    /// Hex in JSON: trace and span ids.
    Id,
    /// A number; the names are taken in JSON too, as the Collector does.
    Enum(&'static [(&'static str, i32)]),
    Message(&'static Message),
}

impl Message {
    /// The field with this number.
    pub(super) fn by_number(&self, number: u32) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.number == number)
    }

    /// The field with this JSON name: lowerCamelCase, or snake_case as some clients send it.
    pub(super) fn by_name(&self, name: &str) -> Option<&'static Field> {
        let same = |field: &&Field| {
            let letters = |name: &str| name.bytes().filter(|byte| *byte != b'_').count();
            letters(field.name) == letters(name)
                && std::iter::zip(
                    field.name.bytes().filter(|byte| *byte != b'_'),
                    name.bytes().filter(|byte| *byte != b'_'),
                )
                .all(|(one, other)| one.eq_ignore_ascii_case(&other))
        };
        self.fields.iter().find(same)
    }
}

const fn one(name: &'static str, number: u32, kind: Kind) -> Field {
    Field { name, number, kind, repeated: false }
}

const fn many(name: &'static str, number: u32, kind: Kind) -> Field {
    Field { name, number, kind, repeated: true }
}

static ANY_VALUE: Message = Message {
    fields: &[
        one("string_value", 1, Kind::Text),
        one("bool_value", 2, Kind::Bool),
        one("int_value", 3, Kind::Int64),
        one("double_value", 4, Kind::Double),
        one("array_value", 5, Kind::Message(&ARRAY_VALUE)),
        one("kvlist_value", 6, Kind::Message(&KEY_VALUE_LIST)),
        one("bytes_value", 7, Kind::Bytes),
    ],
};
static ARRAY_VALUE: Message = Message { fields: &[many("values", 1, Kind::Message(&ANY_VALUE))] };
static KEY_VALUE_LIST: Message =
    Message { fields: &[many("values", 1, Kind::Message(&KEY_VALUE))] };
static KEY_VALUE: Message =
    Message { fields: &[one("key", 1, Kind::Text), one("value", 2, Kind::Message(&ANY_VALUE))] };
static ENTITY_REF: Message = Message {
    fields: &[
        one("schema_url", 1, Kind::Text),
        one("type", 2, Kind::Text),
        many("id_keys", 3, Kind::Text),
        many("description_keys", 4, Kind::Text),
    ],
};
/// `Resource`.
pub(super) static RESOURCE: Message = Message {
    fields: &[
        many("attributes", 1, Kind::Message(&KEY_VALUE)),
        one("dropped_attributes_count", 2, Kind::Uint32),
        many("entity_refs", 3, Kind::Message(&ENTITY_REF)),
    ],
};
/// `InstrumentationScope`.
pub(super) static SCOPE: Message = Message {
    fields: &[
        one("name", 1, Kind::Text),
        one("version", 2, Kind::Text),
        many("attributes", 3, Kind::Message(&KEY_VALUE)),
        one("dropped_attributes_count", 4, Kind::Uint32),
    ],
};

/// `TracesData`, the same on the wire as `ExportTraceServiceRequest`.
pub(super) static TRACES: Message =
    Message { fields: &[many("resource_spans", 1, Kind::Message(&RESOURCE_SPANS))] };
static RESOURCE_SPANS: Message = Message {
    fields: &[
        one("resource", 1, Kind::Message(&RESOURCE)),
        many("scope_spans", 2, Kind::Message(&SCOPE_SPANS)),
        one("schema_url", 3, Kind::Text),
    ],
};
static SCOPE_SPANS: Message = Message {
    fields: &[
        one("scope", 1, Kind::Message(&SCOPE)),
        many("spans", 2, Kind::Message(&SPAN)),
        one("schema_url", 3, Kind::Text),
    ],
};
/// `Span`.
pub(super) static SPAN: Message = Message {
    fields: &[
        one("trace_id", 1, Kind::Id),
        one("span_id", 2, Kind::Id),
        one("trace_state", 3, Kind::Text),
        one("parent_span_id", 4, Kind::Id),
        one("name", 5, Kind::Text),
        one("kind", 6, Kind::Enum(SPAN_KINDS)),
        one("start_time_unix_nano", 7, Kind::Fixed64),
        one("end_time_unix_nano", 8, Kind::Fixed64),
        many("attributes", 9, Kind::Message(&KEY_VALUE)),
        one("dropped_attributes_count", 10, Kind::Uint32),
        many("events", 11, Kind::Message(&EVENT)),
        one("dropped_events_count", 12, Kind::Uint32),
        many("links", 13, Kind::Message(&LINK)),
        one("dropped_links_count", 14, Kind::Uint32),
        one("status", 15, Kind::Message(&STATUS)),
        one("flags", 16, Kind::Fixed32),
    ],
};
static EVENT: Message = Message {
    fields: &[
        one("time_unix_nano", 1, Kind::Fixed64),
        one("name", 2, Kind::Text),
        many("attributes", 3, Kind::Message(&KEY_VALUE)),
        one("dropped_attributes_count", 4, Kind::Uint32),
    ],
};
static LINK: Message = Message {
    fields: &[
        one("trace_id", 1, Kind::Id),
        one("span_id", 2, Kind::Id),
        one("trace_state", 3, Kind::Text),
        many("attributes", 4, Kind::Message(&KEY_VALUE)),
        one("dropped_attributes_count", 5, Kind::Uint32),
        one("flags", 6, Kind::Fixed32),
    ],
};
static STATUS: Message =
    Message { fields: &[one("message", 2, Kind::Text), one("code", 3, Kind::Enum(STATUS_CODES))] };

/// `LogsData`, the same on the wire as `ExportLogsServiceRequest`.
pub(super) static LOGS: Message =
    Message { fields: &[many("resource_logs", 1, Kind::Message(&RESOURCE_LOGS))] };
static RESOURCE_LOGS: Message = Message {
    fields: &[
        one("resource", 1, Kind::Message(&RESOURCE)),
        many("scope_logs", 2, Kind::Message(&SCOPE_LOGS)),
        one("schema_url", 3, Kind::Text),
    ],
};
static SCOPE_LOGS: Message = Message {
    fields: &[
        one("scope", 1, Kind::Message(&SCOPE)),
        many("log_records", 2, Kind::Message(&LOG_RECORD)),
        one("schema_url", 3, Kind::Text),
    ],
};
/// `LogRecord`.
pub(super) static LOG_RECORD: Message = Message {
    fields: &[
        one("time_unix_nano", 1, Kind::Fixed64),
        one("severity_number", 2, Kind::Enum(SEVERITIES)),
        one("severity_text", 3, Kind::Text),
        one("body", 5, Kind::Message(&ANY_VALUE)),
        many("attributes", 6, Kind::Message(&KEY_VALUE)),
        one("dropped_attributes_count", 7, Kind::Uint32),
        one("flags", 8, Kind::Fixed32),
        one("trace_id", 9, Kind::Id),
        one("span_id", 10, Kind::Id),
        one("observed_time_unix_nano", 11, Kind::Fixed64),
        one("event_name", 12, Kind::Text),
    ],
};

/// `MetricsData`, the same on the wire as `ExportMetricsServiceRequest`.
pub(super) static METRICS: Message =
    Message { fields: &[many("resource_metrics", 1, Kind::Message(&RESOURCE_METRICS))] };
static RESOURCE_METRICS: Message = Message {
    fields: &[
        one("resource", 1, Kind::Message(&RESOURCE)),
        many("scope_metrics", 2, Kind::Message(&SCOPE_METRICS)),
        one("schema_url", 3, Kind::Text),
    ],
};
static SCOPE_METRICS: Message = Message {
    fields: &[
        one("scope", 1, Kind::Message(&SCOPE)),
        many("metrics", 2, Kind::Message(&METRIC)),
        one("schema_url", 3, Kind::Text),
    ],
};
/// `Metric`.
pub(super) static METRIC: Message = Message {
    fields: &[
        one("name", 1, Kind::Text),
        one("description", 2, Kind::Text),
        one("unit", 3, Kind::Text),
        one("gauge", 5, Kind::Message(&GAUGE)),
        one("sum", 7, Kind::Message(&SUM)),
        one("histogram", 9, Kind::Message(&HISTOGRAM)),
        one("exponential_histogram", 10, Kind::Message(&EXPONENTIAL_HISTOGRAM)),
        one("summary", 11, Kind::Message(&SUMMARY)),
        many("metadata", 12, Kind::Message(&KEY_VALUE)),
    ],
};
static GAUGE: Message = Message { fields: &[many("data_points", 1, Kind::Message(&NUMBER_POINT))] };
static SUM: Message = Message {
    fields: &[
        many("data_points", 1, Kind::Message(&NUMBER_POINT)),
        one("aggregation_temporality", 2, Kind::Enum(TEMPORALITIES)),
        one("is_monotonic", 3, Kind::Bool),
    ],
};
static HISTOGRAM: Message = Message {
    fields: &[
        many("data_points", 1, Kind::Message(&HISTOGRAM_POINT)),
        one("aggregation_temporality", 2, Kind::Enum(TEMPORALITIES)),
    ],
};
static EXPONENTIAL_HISTOGRAM: Message = Message {
    fields: &[
        many("data_points", 1, Kind::Message(&EXPONENTIAL_POINT)),
        one("aggregation_temporality", 2, Kind::Enum(TEMPORALITIES)),
    ],
};
static SUMMARY: Message =
    Message { fields: &[many("data_points", 1, Kind::Message(&SUMMARY_POINT))] };
static NUMBER_POINT: Message = Message {
    fields: &[
        one("start_time_unix_nano", 2, Kind::Fixed64),
        one("time_unix_nano", 3, Kind::Fixed64),
        one("as_double", 4, Kind::Double),
        many("exemplars", 5, Kind::Message(&EXEMPLAR)),
        one("as_int", 6, Kind::Sfixed64),
        many("attributes", 7, Kind::Message(&KEY_VALUE)),
        one("flags", 8, Kind::Uint32),
    ],
};
static HISTOGRAM_POINT: Message = Message {
    fields: &[
        one("start_time_unix_nano", 2, Kind::Fixed64),
        one("time_unix_nano", 3, Kind::Fixed64),
        one("count", 4, Kind::Fixed64),
        one("sum", 5, Kind::Double),
        many("bucket_counts", 6, Kind::Fixed64),
        many("explicit_bounds", 7, Kind::Double),
        many("exemplars", 8, Kind::Message(&EXEMPLAR)),
        many("attributes", 9, Kind::Message(&KEY_VALUE)),
        one("flags", 10, Kind::Uint32),
        one("min", 11, Kind::Double),
        one("max", 12, Kind::Double),
    ],
};
static EXPONENTIAL_POINT: Message = Message {
    fields: &[
        many("attributes", 1, Kind::Message(&KEY_VALUE)),
        one("start_time_unix_nano", 2, Kind::Fixed64),
        one("time_unix_nano", 3, Kind::Fixed64),
        one("count", 4, Kind::Fixed64),
        one("sum", 5, Kind::Double),
        one("scale", 6, Kind::Sint32),
        one("zero_count", 7, Kind::Fixed64),
        one("positive", 8, Kind::Message(&BUCKETS)),
        one("negative", 9, Kind::Message(&BUCKETS)),
        one("flags", 10, Kind::Uint32),
        many("exemplars", 11, Kind::Message(&EXEMPLAR)),
        one("min", 12, Kind::Double),
        one("max", 13, Kind::Double),
        one("zero_threshold", 14, Kind::Double),
    ],
};
static BUCKETS: Message =
    Message { fields: &[one("offset", 1, Kind::Sint32), many("bucket_counts", 2, Kind::Uint64)] };
static SUMMARY_POINT: Message = Message {
    fields: &[
        one("start_time_unix_nano", 2, Kind::Fixed64),
        one("time_unix_nano", 3, Kind::Fixed64),
        one("count", 4, Kind::Fixed64),
        one("sum", 5, Kind::Double),
        many("quantile_values", 6, Kind::Message(&QUANTILE)),
        many("attributes", 7, Kind::Message(&KEY_VALUE)),
        one("flags", 8, Kind::Uint32),
    ],
};
static QUANTILE: Message =
    Message { fields: &[one("quantile", 1, Kind::Double), one("value", 2, Kind::Double)] };
static EXEMPLAR: Message = Message {
    fields: &[
        one("time_unix_nano", 2, Kind::Fixed64),
        one("as_double", 3, Kind::Double),
        one("span_id", 4, Kind::Id),
        one("trace_id", 5, Kind::Id),
        one("as_int", 6, Kind::Sfixed64),
        many("filtered_attributes", 7, Kind::Message(&KEY_VALUE)),
    ],
};

const SPAN_KINDS: &[(&str, i32)] = &[
    ("SPAN_KIND_UNSPECIFIED", 0),
    ("SPAN_KIND_INTERNAL", 1),
    ("SPAN_KIND_SERVER", 2),
    ("SPAN_KIND_CLIENT", 3),
    ("SPAN_KIND_PRODUCER", 4),
    ("SPAN_KIND_CONSUMER", 5),
];
const STATUS_CODES: &[(&str, i32)] =
    &[("STATUS_CODE_UNSET", 0), ("STATUS_CODE_OK", 1), ("STATUS_CODE_ERROR", 2)];
const TEMPORALITIES: &[(&str, i32)] = &[
    ("AGGREGATION_TEMPORALITY_UNSPECIFIED", 0),
    ("AGGREGATION_TEMPORALITY_DELTA", 1),
    ("AGGREGATION_TEMPORALITY_CUMULATIVE", 2),
];
const SEVERITIES: &[(&str, i32)] = &[
    ("SEVERITY_NUMBER_UNSPECIFIED", 0),
    ("SEVERITY_NUMBER_TRACE", 1),
    ("SEVERITY_NUMBER_TRACE2", 2),
    ("SEVERITY_NUMBER_TRACE3", 3),
    ("SEVERITY_NUMBER_TRACE4", 4),
    ("SEVERITY_NUMBER_DEBUG", 5),
    ("SEVERITY_NUMBER_DEBUG2", 6),
    ("SEVERITY_NUMBER_DEBUG3", 7),
    ("SEVERITY_NUMBER_DEBUG4", 8),
    ("SEVERITY_NUMBER_INFO", 9),
    ("SEVERITY_NUMBER_INFO2", 10),
    ("SEVERITY_NUMBER_INFO3", 11),
    ("SEVERITY_NUMBER_INFO4", 12),
    ("SEVERITY_NUMBER_WARN", 13),
    ("SEVERITY_NUMBER_WARN2", 14),
    ("SEVERITY_NUMBER_WARN3", 15),
    ("SEVERITY_NUMBER_WARN4", 16),
    ("SEVERITY_NUMBER_ERROR", 17),
    ("SEVERITY_NUMBER_ERROR2", 18),
    ("SEVERITY_NUMBER_ERROR3", 19),
    ("SEVERITY_NUMBER_ERROR4", 20),
    ("SEVERITY_NUMBER_FATAL", 21),
    ("SEVERITY_NUMBER_FATAL2", 22),
    ("SEVERITY_NUMBER_FATAL3", 23),
    ("SEVERITY_NUMBER_FATAL4", 24),
];
