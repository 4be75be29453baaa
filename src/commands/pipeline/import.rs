//! `tidemill pipeline import`: any form in, our own YAML out. What is written reads back as the same
//! configuration, which is checked before it is shown.

use std::path::PathBuf;

use anyhow::{Context, bail};
use serde_yaml_ng::{Mapping, Value};
use stages::pipeline::config::Config;

use crate::cli::PipelineImportArgs;
use crate::exit;
use crate::pipeline;

/// Converts.
pub(super) fn run(args: &PipelineImportArgs) -> u8 {
    let loaded = match pipeline::load_following(&args.files) {
        Ok(loaded) => loaded,
        Err(problems) => {
            super::refuse(&problems);
            return exit::USAGE;
        }
    };
    for note in &loaded.notes {
        eprintln!("{}", super::say(note));
    }
    let written = to_yaml(&loaded.config).and_then(|text| match &args.output {
        None => {
            print!("{text}");
            Ok(())
        }
        Some(file) => write(file, &text),
    });
    match written {
        Ok(()) => exit::OK,
        Err(error) => {
            eprintln!("tidemill: {error:#}");
            exit::FAILED
        }
    }
}

fn write(file: &PathBuf, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text).with_context(|| format!("cannot write {}", super::name(file)))
}

/// The `pipeline:` section of `tidemill.yaml` for this configuration, without what is the default anyway.
pub(crate) fn to_yaml(config: &Config) -> anyhow::Result<String> {
    let whole = serde_yaml_ng::to_value(config)?;
    let mut short = whole.clone();
    if let Value::Mapping(members) = &mut short {
        for (name, list) in members.iter_mut() {
            // At the top an empty list says something: no index is not the default index.
            match list {
                Value::Sequence(items) => items.iter_mut().for_each(prune),
                other if name != "pipelines" => prune(other),
                _ => {}
            }
        }
        members.retain(|_, value| *value != Value::Mapping(Mapping::new()) && !value.is_null());
    }
    let default = serde_yaml_ng::to_value(Config::default())?;
    if let Value::Mapping(members) = &mut short {
        members.retain(|name, value| name != "preprocessing" || default.get(name) != Some(&*value));
    }
    for section in [short, whole] {
        let mut file = Mapping::new();
        file.insert("pipeline".into(), section);
        let text = serde_yaml_ng::to_string(&file)?;
        let again = stages::pipeline::read::read(&[&text]);
        let same = serde_json::to_value(&again.config)? == serde_json::to_value(config)?;
        if again.problems.is_empty() && same {
            return Ok(text);
        }
    }
    bail!("what would be written does not read back the same; please report it with the file")
}

/// Takes out what reads the same when it is absent.
fn prune(value: &mut Value) {
    match value {
        Value::Sequence(items) => items.iter_mut().for_each(prune),
        Value::Mapping(members) => {
            let is_processor = members.contains_key("type") && !members.contains_key("id");
            members.iter_mut().for_each(|(_, member)| prune(member));
            members.retain(|name, member| {
                let name = name.as_str().unwrap_or_default();
                match member {
                    Value::Null => false,
                    Value::Sequence(items) => !items.is_empty(),
                    Value::Bool(flag) => match name {
                        "is_enabled" => !*flag,
                        "is_read_only" | "preserve_source" | "override_on_conflict" => {
                            *flag || !is_processor
                        }
                        _ => true,
                    },
                    Value::String(text) => {
                        !(text.is_empty() && matches!(name, "name" | "support_rules"))
                    }
                    _ => true,
                }
            });
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::to_yaml;
    use stages::pipeline::Pipeline;
    use stages::pipeline::read::read;

    #[test]
    fn what_is_imported_reads_back_the_same_and_short() {
        let api = r#"[{"id": "p", "type": "pipeline", "name": "Shop", "is_enabled": false, "is_read_only": false,
            "filter": {"query": "source:shop"}, "processors": [
            {"type": "grok-parser", "name": "", "is_enabled": true, "source": "message", "samples": [],
             "grok": {"support_rules": "", "match_rules": "a %{word:w}\nb %{data:d} - %{number:n}"}},
            {"type": "attribute-remapper", "name": "m", "is_enabled": true, "sources": ["w"], "target": "v",
             "source_type": "attribute", "target_type": "tag", "preserve_source": true,
             "override_on_conflict": false}]},
            {"name": "main", "filter": {"query": "*"}, "exclusion_filters": [
             {"name": "half", "is_enabled": true, "filter": {"query": "a", "sample_rate": 0.5}}]},
            {"id": "m", "type": "logs_metrics", "attributes": {"compute": {"aggregation_type": "count"},
             "filter": {"query": "*"}, "group_by": [{"path": "@w"}]}}]"#;
        let config = read(&[api]).config;
        let text = to_yaml(&config).expect("imports");
        assert!(text.starts_with("pipeline:\n"), "{text}");
        assert!(text.contains("match_rules: |-\n"), "{text}");
        assert!(!text.contains("null") && !text.contains("samples"), "{text}");
        let version = |config| Pipeline::compile(config).expect("good").version().to_owned();
        assert_eq!(version(&read(&[&text]).config), version(&config));
    }
}
