//! A topic under the name of the one that was read.

use super::*;
use crate::source::SourceError;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_was_made_anew_and_filled_again_is_not_replayed() {
    let (store, log) = (memory(), MemoryLog::new());
    produce(&log, 0, 100);
    live(&store, &log, broken()).await;
    log.make_anew(&fixture::partition(0));
    let later = |_| Record {
        timestamp: EventTime::from_nanos(NOON + 5 * HOUR),
        payload: b"even signal 0".to_vec(),
        ..Record::default()
    };
    log.append(&fixture::partition(0), (0..200).map(later).collect());
    let refused = begin(&world(&store), &log, Asked::default(), &fixed()).await;
    assert!(matches!(&refused, Err(ReplayError::Source(SourceError::Replaced(_)))), "{refused:?}");
}
