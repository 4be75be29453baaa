//! A writer that checks nothing: it appends records that are wrong in exactly one respect. Every
//! reader must treat them as if they were not there.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::{ObjectStore, ObjectStoreExt as _};

use super::oracle::Range;
use super::worker::{add, unit_partition};
use super::{PARTITIONS, World};
use crate::commit_log::Layout;
use crate::commit_log::head::tests::topic_partition;
use crate::commit_log::log::{CommitLog, TEST_BACKOFF};
use crate::commit_log::record::{
    Bits, Body, Claim, ClaimedPartition, Commit, Record, Unit, encode,
};

/// Appends one at the log's end, if there is a partition to be wrong about.
pub(super) async fn append(world: &mut World) {
    let layout = Layout::new("live");
    let shared: Arc<dyn ObjectStore> = world.store.clone();
    let (clock, entropy) = (world.clock.clone(), world.entropy.clone());
    let recovered =
        CommitLog::recover(shared, layout.clone(), clock, entropy, TEST_BACKOFF, |_| true).await;
    let Ok((log, _)) = recovered else { return };
    let head = log.head();
    let number = world.chance.below(PARTITIONS as u64) as i32;
    let Some(known) = head.partitions.get(&topic_partition(number)).cloned() else { return };
    let wrong = world.chance.below(4);
    let body = if wrong == 0 {
        // A claim that skips offsets.
        Body::Claim(Claim {
            owner: "rogue".to_owned(),
            cluster_id: None,
            tables: BTreeMap::new(),
            partitions: vec![ClaimedPartition {
                partition: topic_partition(number),
                generation: known.generation + 1,
                start_offset: known.next_offset + 2,
            }],
            group: None,
        })
    } else {
        let from = if wrong == 1 { (known.next_offset - 1).max(0) } else { known.next_offset };
        let range = Range { partition: number, from, to: from + 2 };
        let generation = if wrong == 2 { known.generation - 1 } else { known.generation };
        let parent = if wrong == 3 { known.last_seq.wrapping_sub(1) } else { known.last_seq };
        if wrong == 1 && from == known.next_offset {
            return;
        }
        let path = world.oracle.poison(vec![range]);
        let unit = Unit {
            owner: known.owner.clone(),
            partitions: vec![unit_partition(&range, generation, parent)],
            adds: vec![add(&path, 2)],
            kept: Vec::new(),
            pipeline: None,
            state: None,
        };
        Body::Commit(Commit { units: vec![unit] })
    };
    let record = Record {
        seq: head.next_seq,
        nonce: Bits(u128::from(world.chance.bits())),
        previous: head.last_hash,
        written_millis: 0,
        body,
    };
    let bytes = encode(&record).expect("encodes");
    drop(world.store.put(&layout.record(record.seq), bytes.into()).await);
}
