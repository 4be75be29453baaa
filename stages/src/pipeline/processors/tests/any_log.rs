//! What may never happen, whatever the log.

use proptest::prelude::*;

use super::*;

/// A processor of each kind, on few names, so that they meet one another's results.
const EVERY: &str = r#"
  {type: url-parser, sources: [a], target: b},
  {type: user-agent-parser, sources: [a], target: c, is_encoded: true},
  {type: category-processor, target: a.b, categories: [{name: x, filter: {query: "@a:*"}}]},
  {type: arithmetic-processor, expression: "a / b - c", target: b, is_replace_missing: true},
  {type: string-builder-processor, template: "%{a} %{b.c} %{message}", target: c, is_replace_missing: true},
  {type: lookup-processor, source: b, target: a, lookup_table: ["1,2"], default_lookup: z},
  {type: array-processor, operation: {type: append, source: b, target: a}},
  {type: array-processor, operation: {type: append, source: a, target: list, preserve_source: false}},
  {type: array-processor, operation: {type: length, source: list, target: b.c}},
  {type: array-processor, operation: {type: select, source: list, target: c, filter: "a:1", value_to_extract: b}},
  {type: array-processor, operation: {type: key-value, source: list, key_to_extract: a, value_to_extract: b, override_on_conflict: true}},
  {type: array-map-processor, source: list, target: list, processors: [
    {type: attribute-remapper, sources: ["$sourceElem.a"], target: "$targetElem.b.c"},
    {type: arithmetic-processor, expression: "$sourceElem * 2", target: "$targetElem"}]},
  {type: array-map-processor, source: list, target: a, preserve_source: false, processors: [
    {type: attribute-remapper, sources: ["$sourceElem"], target: "$targetElem", target_format: string}]},
  {type: decoder-processor, source: a, target: b, binary_to_text_encoding: base64, input_representation: utf_8},
  {type: decoder-processor, source: c, target: c, binary_to_text_encoding: base16, input_representation: integer},
  {type: attribute-remapper, sources: [a, b], target: a.b, override_on_conflict: true},
  {type: attribute-remapper, sources: [c], target: t, target_type: tag},
  {type: exclude-attribute, attribute_to_exclude: c},
  {type: date-remapper, sources: [a]}, {type: message-remapper, sources: [b]},
  {type: trace-id-remapper, sources: [a]}, {type: status-remapper, sources: [b]}"#;

fn any_value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(|n| format!("{n:e}")),
        prop::sample::select(vec![
            "\"1\"",
            "\"aGVsbG8\"",
            "\"ff\"",
            "\"http://h/?a=1&a=2#x\"",
            "\"//x\"",
            "true",
            "\"\"",
            "\"Mozilla/5.0 (X11; Linux x86_64)\"",
            "\"%F0%28\"",
        ])
        .prop_map(str::to_owned),
        "[^\"\\\\\\p{Cc}]{0,12}".prop_map(|text| format!("\"{text}\"")),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((prop::sample::select(vec!["a", "b", "c"]), inner), 0..4)
                .prop_map(|fields| {
                    let fields: Vec<String> =
                        fields.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                    format!("{{{}}}", fields.join(","))
                }),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_the_log_no_processor_panics_and_twice_is_the_same(
        a in any_value(), b in any_value(), list in any_value(), order in any::<prop::sample::Index>(),
    ) {
        thread_local! {
            static PIPELINES: Vec<Pipeline> = {
                // Every processor before and after every other one.
                let parts: Vec<&str> = EVERY.split(",\n  {").collect();
                (0..parts.len()).map(|from| {
                    let turned: Vec<String> = parts.iter().cycle().skip(from).take(parts.len())
                        .map(|part| format!("{{{}", part.trim().trim_start_matches('{'))).collect();
                    compile(&turned.join(",\n"))
                }).collect()
            };
        }
        PIPELINES.with(|pipelines| {
            let pipeline = order.get(pipelines);
            let json = format!(r#"{{"a":{a},"b":{b},"list":{list},"message":"m"}}"#);
            let (one, two) = (Bump::new(), Bump::new());
            let (first, second) = (process(pipeline, &one, &json), process(pipeline, &two, &json));
            assert_eq!(first, second);
            assert!(first.attributes.len() <= schemas::limits::MAX_ATTRIBUTES);
        });
    }
}
