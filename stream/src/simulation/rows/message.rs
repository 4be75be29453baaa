//! What is produced, and what must become of it, by rules of the simulation's own.

use schemas::time::EventTime;
use stages::record::Record;

use super::super::chance::Chance;

/// The pipeline all messages go through.
pub(super) const PIPELINE: &str = r#"{
  "metrics": [
    {"name": "requests", "compute": {"aggregation_type": "count"}, "group_by": [{"path": "service"}]},
    {"name": "duration", "compute": {"aggregation_type": "distribution", "path": "@duration"},
     "group_by": [{"path": "service"}]}
  ],
  "indexes": [
    {"name": "main", "exclusion_filters": [
      {"name": "debug", "filter": {"query": "status:debug", "sample_rate": 1.0}}
    ]}
  ]
}"#;

const SERVICES: [&str; 3] = ["web", "cart", "pay"];
const KINDS: [&str; 8] =
    ["Timeout", "Refused", "NotFound", "Overflow", "Denied", "Broken", "Locked", "Empty"];
/// How late an event may come, milliseconds.
const LATENESS: u64 = 2 * 3_600_000;

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// A row of `logs`.
    Indexed,
    /// Counted in metrics and ledger.
    Excluded,
    /// A row of `dead_letters`.
    DeadLetter,
}

/// One message.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) fate: Fate,
    pub(super) service: &'static str,
    /// Type of its error, if it is one.
    pub(super) kind: Option<&'static str>,
    pub(super) duration: i64,
    pub(super) millis: i64,
}

impl Message {
    /// Any message, at most two hours old.
    pub(super) fn draw(chance: &mut Chance, now_millis: i64) -> Self {
        let fate = match chance.below(8) {
            0 => Fate::DeadLetter,
            1 | 2 => Fate::Excluded,
            _ => Fate::Indexed,
        };
        let service = pick(chance, &SERVICES);
        let is_error = fate == Fate::Indexed && chance.below(2) == 0;
        let kind = is_error.then(|| pick(chance, &KINDS));
        let (duration, late) = (chance.below(5_000) as i64, chance.below(LATENESS) as i64);
        Self { fate, service, kind, duration, millis: now_millis - late }
    }

    /// As Kafka has it.
    pub(super) fn record(&self, offset: i64) -> Record {
        let Self { service, duration, .. } = self;
        let payload = match (self.fate, self.kind) {
            (Fate::DeadLetter, _) => String::new(),
            (Fate::Excluded, _) => format!(
                r#"{{"service":"{service}","status":"debug","message":"quiet","duration":{duration}}}"#
            ),
            (Fate::Indexed, None) => format!(
                r#"{{"service":"{service}","status":"info","message":"well","duration":{duration}}}"#
            ),
            (Fate::Indexed, Some(kind)) => format!(
                r#"{{"service":"{service}","status":"error","message":"{kind} happened","duration":{duration},"error.kind":"{kind}","error.message":"{kind} happened"}}"#
            ),
        };
        let timestamp = EventTime::from_millis(self.millis).expect("in range");
        Record { offset, timestamp, payload: payload.into_bytes(), ..Record::default() }
    }
}

fn pick(chance: &mut Chance, names: &[&'static str]) -> &'static str {
    names.get(chance.below(names.len() as u64) as usize).copied().unwrap_or_default()
}
