//! What every decoder promises about any bytes: it ends, it does not panic, it never answers with
//! neither a record nor a refusal where there was something to read, and twice the same.

use bumpalo::Bump;
use schemas::time::EventTime;
use schemas::topic::{Format, Signal};
use stream::decode::{Items, decode};
use stream::record::Record;

/// Decodes one payload as every signal its format can carry.
pub fn check(format: Format, payload: &[u8]) {
    for signal in Signal::ALL.into_iter().filter(|signal| format.carries(*signal)) {
        let record = Record {
            offset: 7,
            timestamp: EventTime::from_nanos(1_700_000_000_000_000_000),
            payload: payload.to_vec(),
            headers: Vec::new(),
        };
        assert_eq!(
            outcome(&record, signal, format),
            outcome(&record, signal, format),
            "two runs differ"
        );
    }
}

/// Good records, refused records, or the reason why the whole was refused.
fn outcome(
    record: &Record,
    signal: Signal,
    format: Format,
) -> Result<(usize, usize), &'static str> {
    let arena = Bump::new();
    let decoded = decode(&arena, record, signal, format).map_err(|refusal| {
        assert!(!refusal.reason.is_empty() && !refusal.detail.is_empty(), "a refusal says why");
        refusal.reason
    })?;
    let items = match &decoded.items {
        Items::Logs(items) => items.len(),
        Items::Spans(items) => items.len(),
        Items::Points(items) => items.len(),
    };
    Ok((items, decoded.refused.len()))
}
