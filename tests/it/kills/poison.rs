//! A record that ends the process whenever it is read: after the second time it is a dead letter, and
//! the worker goes on.

use super::*;

#[test]
fn a_record_that_ends_the_process_twice_is_quarantined_across_restarts() {
    if !cfg!(debug_assertions) {
        println!("SKIPPED: builds without debug assertions can not be told to die over a record");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let life = |drains: bool| {
        let mut command = command(directory.path(), 1, 7);
        command.env("TIDEMILL_DIE_ON", "record 25 of partition 1");
        if drains {
            command.env(child::DRAIN, "1");
        }
        let mut child = command.spawn().unwrap();
        wait(&mut child, directory.path(), None)
    };
    assert_eq!(life(false), Some(SIGABRT), "{}", tail(directory.path()));
    assert_eq!(life(false), Some(SIGABRT), "{}", tail(directory.path()));
    assert_eq!(life(true), None, "{}", tail(directory.path()));
    let store = open(directory.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        check(&store, "in the end").await;
        assert_eq!(verdict(&store).await.verdict(), Verdict::Proven);
        let quarantined = "SELECT count(*) FROM dead_letters WHERE reason = 'quarantined'";
        assert_eq!(number(&store, quarantined).await, 1);
        let place = format!("{quarantined} AND _partition = 1 AND _offset = 25");
        assert_eq!(number(&store, &place).await, 1);
    });
}
