//! Table `ledger`: what happened to every event. One row per unit, topic partition, stage, action,
//! rule and service. For every topic partition the offset ranges of the `received` rows follow one
//! another without gap or overlap, and
//! `received = indexed + excluded + dead_letter` in events. Offsets that were lost before they were read,
//! and accepted as lost by an operator, are a range of their own with the action `gap`.

use arrow::datatypes::{DataType, Field};

use crate::table::{required_text, timestamp};

/// Latest Kafka timestamp among the unit's messages of this partition.
pub const TIMESTAMP: &str = "timestamp";
/// `logs`, `spans` or `metrics`.
pub const SIGNAL: &str = "signal";
/// `decode`, `exclusion`, `index`, `scan`, or `operator` for what a person did.
pub const STAGE: &str = "stage";
/// One of the [`Action`] names.
pub const ACTION: &str = "action";
/// The rule that acted: exclusion filter or index name, dead-letter reason; empty for `received`; a person's
/// words for `gap`; scanner group and rule, as `group/rule`, for `sensitive`; dead-letter reason and index, as `reason#index`,
/// for `redriven`; exclusion filter for `restored`.
pub const RULE: &str = "rule";
/// Unified service tag; empty for `received` and `dead_letter`.
pub const SERVICE: &str = "service";
/// Events.
pub const EVENTS: &str = "events";
/// Bytes of these events as they came (a message's bytes are split evenly over its events).
pub const BYTES: &str = "bytes";
/// First offset of the unit's range of this partition.
pub const FROM_OFFSET: &str = "from_offset";
/// One past its last offset.
pub const TO_OFFSET: &str = "to_offset";
/// Messages in the range: only on `received` rows, else 0.
pub const MESSAGES: &str = "messages";
/// What receiving (`received`) or keeping (`indexed`) the events costs by the configured prices, and what
/// keeping them would have cost (`excluded`); null where there is no price.
pub const COST: &str = "cost";

/// What was done with events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Read from Kafka.
    Received,
    /// Written to its table.
    Indexed,
    /// Dropped by an exclusion filter.
    Excluded,
    /// Refused, and written to `dead_letters`.
    DeadLetter,
    /// Lost before it was read, and accepted as lost by an operator: a range without messages.
    Gap,
    /// Something sensitive was found in it by a scanner rule, and hidden if the rule says so. Counted beside
    /// what became of the event.
    Sensitive,
    /// A dead letter was sent through again; its range is the letter's one offset. The new message has
    /// rows of its own.
    Redriven,
    /// Once excluded, and brought back into the index: these events are counted as `indexed` again, and here
    /// beside it by the rule that had dropped them.
    Restored,
}

impl Action {
    /// The stored name.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Received => "received",
            Action::Indexed => "indexed",
            Action::Excluded => "excluded",
            Action::DeadLetter => "dead_letter",
            Action::Gap => "gap",
            Action::Sensitive => "sensitive",
            Action::Redriven => "redriven",
            Action::Restored => "restored",
        }
    }

    /// The stage that does it.
    pub fn stage(self) -> &'static str {
        match self {
            Action::Received | Action::DeadLetter => "decode",
            Action::Excluded => "exclusion",
            Action::Indexed => "index",
            Action::Sensitive => "scan",
            Action::Gap | Action::Redriven | Action::Restored => "operator",
        }
    }
}

/// The columns, in file order.
pub fn fields() -> Vec<Field> {
    vec![
        timestamp(TIMESTAMP, false),
        required_text(SIGNAL),
        required_text(STAGE),
        required_text(ACTION),
        required_text(RULE),
        required_text(SERVICE),
        Field::new(EVENTS, DataType::Int64, false),
        Field::new(BYTES, DataType::Int64, false),
        Field::new(MESSAGES, DataType::Int64, false),
        Field::new(FROM_OFFSET, DataType::Int64, false),
        Field::new(TO_OFFSET, DataType::Int64, false),
        required_text(crate::table::LINEAGE_TOPIC),
        Field::new(crate::table::LINEAGE_PARTITION, DataType::Int32, false),
        required_text(crate::table::LINEAGE_PIPELINE_VERSION),
        Field::new(COST, DataType::Float64, true),
    ]
}
