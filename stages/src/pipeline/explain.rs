//! The pipeline step by step, for a person who wants to see what each part does to a log. Each processor is
//! compiled alone, so the chain that runs in production carries nothing for it.

use std::time::Duration;

use bumpalo::Bump;
use schemas::status::Status;
use serde_json::{Map, Value as Json};

use super::compiler::Compiler;
use super::config::{Config, ConfigError, PipelineConfig, ProcessorConfig};
use super::processors::{Applied, nested::Nested};
use super::{Fate, Files, MetricWindows, Pipeline, exclusion, render};
use crate::event::LogEvent;

/// One field that a step changed.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Change {
    /// Its path: `http.status_code`, `message`.
    pub path: String,
    /// Before; absent when the step added it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Json>,
    /// After; absent when the step removed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Json>,
}

/// What one step did to one log.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Effect {
    /// Number of the step in [`Explainer::steps`].
    #[serde(skip)]
    pub step: usize,
    /// `preprocess`, the path of a pipeline or processor in the configuration, `sensitive_data_scanner`, `metrics`,
    /// `error_tracking`, `indexes`.
    pub rule: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name, as the user gave it.
    pub name: String,
    /// Of a pipeline: whether its filter let the log in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entered: Option<bool>,
    /// What it changed.
    pub changes: Vec<Change>,
}

/// A step, with the time all logs together took in it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Step {
    /// As in [`Effect`].
    pub rule: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Logs it was applied to.
    pub events: u64,
    /// Logs it changed.
    pub changed: u64,
    /// Nanoseconds over all logs.
    pub nanos: u64,
}

/// A configuration taken apart.
#[derive(Debug)]
pub struct Explainer {
    whole: Pipeline,
    chain: Vec<Link>,
    /// All steps in order.
    pub steps: Vec<Step>,
}

#[derive(Debug)]
enum Link {
    /// A pipeline: a filter in front of further links.
    Pipeline { step: usize, filter: Nested, links: Vec<Link> },
    /// A processor alone in a pipeline that takes everything.
    Processor { step: usize, alone: Nested },
}

const PREPROCESS: usize = 0;
const SCANNER: usize = 1;
const METRICS: usize = 2;
const ERRORS: usize = 3;
const INDEXES: usize = 4;

impl Explainer {
    /// Takes a configuration apart, or says everything that is wrong with it.
    pub fn new(config: &Config, files: &dyn Files) -> Result<Self, Vec<ConfigError>> {
        let whole = Pipeline::compile_with(config, files)?;
        let mut steps = Vec::new();
        for (kind, name) in [
            ("preprocess", "reserved attributes"),
            ("sensitive_data_scanner", ""),
            ("metrics", ""),
            ("error_tracking", ""),
            ("indexes", ""),
        ] {
            step(&mut steps, kind, kind, name);
        }
        let mut compiler = Compiler::new(config, files);
        let mut chain = Vec::new();
        for (index, pipeline) in config.pipelines.iter().enumerate() {
            let rule = format!("pipelines[{index}]");
            chain.extend(link_pipeline(pipeline, &rule, 0, &mut steps, &mut compiler));
        }
        let (errors, ..) = compiler.finish();
        if errors.is_empty() { Ok(Self { whole, chain, steps }) } else { Err(errors) }
    }

    /// The pipeline as a whole.
    pub fn pipeline(&self) -> &Pipeline {
        &self.whole
    }

    /// Takes one log through, as [`Pipeline::process`] does; `clock` tells the time since any fixed moment.
    pub fn process<'b>(
        &mut self,
        arena: &'b Bump,
        event: &mut LogEvent<'b>,
        windows: &mut MetricWindows,
        clock: &dyn Fn() -> Duration,
    ) -> (Fate<'_>, Vec<Effect>) {
        let mut told = Told { steps: &mut self.steps, effects: Vec::new(), clock };
        let mut says_status = false;
        told.run(PREPROCESS, event, |event| {
            self.whole.preprocess.run(arena, event);
            says_status = event.status.is_some();
            event.status.get_or_insert(Status::Info);
        });
        let mut applied = Applied::default();
        for link in &self.chain {
            link.apply(arena, event, &mut applied, &mut told);
        }
        told.run(SCANNER, event, |event| {
            self.whole.scanner.run(arena, event);
            super::note_errors(arena, event);
        });
        told.run(METRICS, event, |event| windows.record(arena, event, 0));
        let is_stated = says_status || applied.status();
        told.run(ERRORS, event, |event| self.whole.track(arena, event, is_stated));
        let mut fate = None;
        told.run(INDEXES, event, |event| {
            fate = Some(exclusion::decide(&self.whole.indexes, event))
        });
        let effects = told.effects;
        // Always decided: the closure above has run.
        let none = Fate::Excluded { rule: "no_index" };
        (fate.unwrap_or(none), effects)
    }
}

fn step(steps: &mut Vec<Step>, rule: &str, kind: &str, name: &str) -> usize {
    let (rule, kind, name) = (rule.to_owned(), kind.to_owned(), name.to_owned());
    steps.push(Step { rule, kind, name, events: 0, changed: 0, nanos: 0 });
    steps.len() - 1
}

fn link_pipeline(
    config: &PipelineConfig,
    rule: &str,
    depth: usize,
    steps: &mut Vec<Step>,
    compiler: &mut Compiler<'_>,
) -> Option<Link> {
    if !config.is_enabled {
        return None;
    }
    let number = step(steps, rule, "pipeline", &config.name);
    let shell = PipelineConfig { processors: Vec::new(), ..config.clone() };
    let filter = Nested::compile(&shell, rule, depth, compiler)?;
    let mut links = Vec::new();
    for (index, processor) in config.processors.iter().enumerate() {
        let rule = format!("{rule}.processors[{index}]");
        links.extend(match processor {
            ProcessorConfig::Pipeline(inner) => {
                link_pipeline(inner, &rule, depth + 1, steps, compiler)
            }
            processor => link_processor(processor, &rule, depth, steps, compiler),
        });
    }
    Some(Link::Pipeline { step: number, filter, links })
}

fn link_processor(
    config: &ProcessorConfig,
    rule: &str,
    depth: usize,
    steps: &mut Vec<Step>,
    compiler: &mut Compiler<'_>,
) -> Option<Link> {
    // What all processors have in common is told by their written form.
    let written = serde_json::to_value(config).unwrap_or_default();
    let text = |field: &str| written.get(field).and_then(Json::as_str).unwrap_or_default();
    if written.get("is_enabled").and_then(Json::as_bool) == Some(false) {
        return None;
    }
    let number = step(steps, rule, text("type"), text("name"));
    let alone = serde_json::from_value(serde_json::json!({ "processors": [written] })).ok()?;
    let alone = Nested::compile(&alone, rule, depth, compiler)?;
    Some(Link::Processor { step: number, alone })
}

impl Link {
    fn apply<'b>(
        &self,
        arena: &'b Bump,
        event: &mut LogEvent<'b>,
        applied: &mut Applied,
        told: &mut Told<'_>,
    ) {
        match self {
            Link::Processor { step, alone } => {
                told.run(*step, event, |event| alone.apply(arena, event, applied));
            }
            Link::Pipeline { step, filter, links } => {
                let mut entered = false;
                told.run(*step, event, |event| entered = filter.takes(event));
                if let Some(effect) = told.effects.last_mut() {
                    effect.entered = Some(entered);
                }
                if entered {
                    links.iter().for_each(|link| link.apply(arena, event, applied, told));
                }
            }
        }
    }
}

/// Notes what each step does.
struct Told<'a> {
    steps: &'a mut Vec<Step>,
    effects: Vec<Effect>,
    clock: &'a dyn Fn() -> Duration,
}

impl Told<'_> {
    fn run<'b>(
        &mut self,
        number: usize,
        event: &mut LogEvent<'b>,
        act: impl FnOnce(&mut LogEvent<'b>),
    ) {
        let before = event.clone();
        let start = (self.clock)();
        act(event);
        let took = (self.clock)().saturating_sub(start);
        let changes = if *event == before { Vec::new() } else { changes(&before, event) };
        let Some(step) = self.steps.get_mut(number) else { return };
        step.events += 1;
        step.changed += u64::from(!changes.is_empty());
        step.nanos += u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let (rule, kind, name) = (step.rule.clone(), step.kind.clone(), step.name.clone());
        self.effects.push(Effect { step: number, rule, kind, name, entered: None, changes });
    }
}

/// What is different, field by field, in the order of the paths.
fn changes(before: &LogEvent<'_>, after: &LogEvent<'_>) -> Vec<Change> {
    let (before, after) = (flat(render::event(before)), flat(render::event(after)));
    let mut changes = Vec::new();
    for (path, from) in &before {
        match after.get(path) {
            Some(to) if to == from => {}
            to => {
                let (path, from) = (path.clone(), Some(from.clone()));
                changes.push(Change { path, from, to: to.cloned() });
            }
        }
    }
    for (path, to) in after.iter().filter(|(path, _)| !before.contains_key(*path)) {
        changes.push(Change { path: path.clone(), from: None, to: Some(to.clone()) });
    }
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    changes
}

fn flat(object: Map<String, Json>) -> Map<String, Json> {
    let mut flat = Map::new();
    flatten("", object, &mut flat);
    flat
}

fn flatten(prefix: &str, object: Map<String, Json>, into: &mut Map<String, Json>) {
    for (key, value) in object {
        let path = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match value {
            Json::Object(inner) if !inner.is_empty() => flatten(&path, inner, into),
            value => drop(into.insert(path, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use schemas::time::EventTime;
    use serde_json::json;

    use super::*;
    use crate::pipeline::read::read;

    const TEXT: &str = r#"
pipelines:
  - name: shop
    filter: "shop"
    processors:
      - {type: grok-parser, name: parse, grok: {match_rules: "r %{word:shop} %{integer:n}"}}
      - {type: attribute-remapper, is_enabled: false, sources: [n], target: off}
      - type: pipeline
        name: inner
        filter: "@n:>5"
        processors:
          - {type: attribute-remapper, name: move, sources: [n], target: m}
  - {name: other, filter: "nothing"}
"#;

    #[test]
    fn every_step_says_what_it_did_and_the_end_is_that_of_the_whole() {
        let config = read(&[TEXT]).config;
        let mut explainer = Explainer::new(&config, &crate::pipeline::NoFiles).expect("good");
        let whole = Pipeline::compile(&config).expect("good");
        let arena = Bump::new();
        let log = |text| {
            let mut event = LogEvent::new_in(&arena, EventTime::from_nanos(0));
            event.message = text;
            event
        };
        let (mut told, mut plain) = (log("shop 7"), log("shop 7"));
        let mut windows = MetricWindows::new(&whole);
        let (_, effects) = explainer.process(&arena, &mut told, &mut windows, &|| Duration::ZERO);
        whole.process(&arena, &mut plain, 0, &mut windows);
        assert_eq!(told, plain);
        let rules: Vec<(&str, Option<bool>, usize)> =
            effects.iter().map(|e| (e.rule.as_str(), e.entered, e.changes.len())).collect();
        assert_eq!(
            rules,
            [
                ("preprocess", None, 0),
                ("pipelines[0]", Some(true), 0),
                ("pipelines[0].processors[0]", None, 2),
                ("pipelines[0].processors[2]", Some(true), 0),
                ("pipelines[0].processors[2].processors[0]", None, 2),
                ("pipelines[1]", Some(false), 0),
                ("sensitive_data_scanner", None, 0),
                ("metrics", None, 0),
                ("error_tracking", None, 0),
                ("indexes", None, 0),
            ]
        );
        let moved = serde_json::to_value(&effects[4].changes).expect("JSON");
        assert_eq!(moved, json!([{"path": "m", "to": 7}, {"path": "n", "from": 7}]));
    }
}
