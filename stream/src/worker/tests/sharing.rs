//! Several workers on one store and one group: whatever the group does, and whoever is given up for dead, every record
//! is in one row.

use super::*;
use crate::commit_log::Layout;
use crate::commit_log::log::CommitLog;
use crate::source::memory::MemoryGroup;

const PARTITIONS: i32 = 6;

/// A run's workers, with everything they share.
struct Fleet {
    inner: Arc<dyn ObjectStore>,
    store: Arc<FaultStore>,
    log: MemoryLog,
    group: MemoryGroup,
    /// By number in the group; none once killed.
    workers: Vec<Option<Running>>,
}

impl Fleet {
    async fn start(workers: usize, rules: Vec<Rule>) -> Self {
        let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let store = Arc::new(FaultStore::new(inner.clone(), rules));
        let log = MemoryLog::new();
        log.create_topic(schemas::topic::LOGS, PARTITIONS);
        let mut fleet = Self { inner, store, log, group: MemoryGroup::new(), workers: Vec::new() };
        for _ in 0..workers {
            fleet.join().await;
        }
        fleet
    }

    /// One more worker; it has the fleet's store.
    async fn join(&mut self) -> usize {
        self.join_on(self.store.clone(), world()).await
    }

    async fn join_on(&mut self, store: Arc<dyn ObjectStore>, world: World) -> usize {
        let config = config(store);
        loop {
            let source = Box::new(self.log.open_in(&self.group));
            match start_in(world.clone(), config.clone(), source).await {
                Ok(running) => {
                    self.workers.push(Some(running));
                    return self.workers.len() - 1;
                }
                // Some faults stop the start: a person would start again, and so does this.
                Err(error) => assert!(error.to_string().contains("test store"), "{error}"),
            }
        }
    }

    fn status(&self, number: usize) -> Status {
        self.workers[number].as_ref().expect("alive").status()
    }

    fn statuses(&self) -> Vec<Status> {
        self.workers.iter().flatten().map(Running::status).collect()
    }

    /// Killed: it gives up neither its partitions nor the lease. The group notices.
    fn kill(&mut self, number: usize) {
        self.workers[number] = None;
        self.group.expel(number);
    }

    /// Partitions in turn to the workers that live.
    fn spread(&self) {
        let alive: Vec<usize> =
            (0..self.workers.len()).filter(|n| self.workers[*n].is_some()).collect();
        for (partition, number) in (0..PARTITIONS).zip(alive.iter().cycle()) {
            self.group.give(&fixture::partition(partition), *number);
        }
    }

    fn ends(&self) -> Vec<i64> {
        let topics = [schemas::topic::LOGS.to_owned()];
        let infos = self.log.open().partitions(&topics, DEADLINE).expect("partitions");
        infos.iter().map(|info| info.high).collect()
    }

    /// Waits until somebody holds each partition and has committed all of it.
    async fn settle(&self, context: &str) {
        let ends = self.ends();
        let is_done = |statuses: &[Status], partition: i32, end: i64| {
            let held = statuses.iter().flat_map(|status| &status.partitions);
            held.into_iter().any(|p| p.partition == partition && p.next_offset == end)
        };
        let settled = || {
            let statuses = self.statuses();
            (0..).zip(&ends).all(|(partition, end)| is_done(&statuses, partition, *end))
        };
        let wait = async {
            while !settled() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        if tokio::time::timeout(DEADLINE, wait).await.is_err() {
            panic!("{context}: {ends:?} not reached: {:#?} {:#?}", self.statuses(), self.group);
        }
    }

    /// Drains all, and counts.
    async fn assert_exactly_once(mut self, context: &str) {
        let ends = self.ends();
        let drains = self.workers.iter_mut().filter_map(Option::take).map(|w| w.drain(DEADLINE));
        for drained in futures::future::join_all(drains).await {
            drained.unwrap_or_else(|error| panic!("{context}: {error}"));
        }
        assert_exactly_once(&self.inner, &ends, context).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_that_are_handed_over_are_flushed_first() {
    let fleet = Fleet::start(3, Vec::new()).await;
    fleet.spread();
    for round in 0..6 {
        for partition in 0..PARTITIONS {
            produce(&fleet.log, partition, 50);
            fleet.group.give(&fixture::partition(partition), (round + partition as usize) % 3);
        }
        fleet.settle("handed over").await;
    }
    let statuses = fleet.statuses();
    for status in &statuses {
        assert_eq!(status.rejected_units, 0, "a flush came too late: {status:?}");
        assert_eq!(status.partitions.len(), 2, "{status:?}");
        assert!(status.partitions.iter().all(|p| p.generation > 1), "{status:?}");
    }
    let publishing = || fleet.statuses().iter().filter(|status| status.publishes).count();
    until("one publisher", || publishing() == 1).await;
    fleet.assert_exactly_once("handed over").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_unit_of_a_worker_given_up_for_dead_is_refused_and_it_goes_on() {
    let mut fleet = Fleet::start(0, Vec::new()).await;
    let paused = Arc::new(FaultStore::new(fleet.inner.clone(), Vec::new()));
    let zombie = fleet.join_on(paused.clone(), world()).await;
    let other = fleet.join().await;
    let contested = fixture::partition(0);
    fleet.group.give(&contested, zombie);
    fleet.group.give(&fixture::partition(1), zombie);
    produce(&fleet.log, 0, 5);
    until("first unit", || fleet.status(zombie).units > 0).await;
    // Stopped in the middle of a unit; the group gives its partition to another.
    paused.pause();
    produce(&fleet.log, 0, 7);
    produce(&fleet.log, 1, 3);
    until("a write is held back", || paused.held_back() > 0).await;
    fleet.group.expel(zombie);
    fleet.group.give(&contested, other);
    until("the other has it", || {
        fleet.status(other).partitions.iter().any(|p| p.next_offset == 12)
    })
    .await;
    // It wakes up and believes that nothing has happened.
    paused.resume();
    until("the refusal", || fleet.status(zombie).rejected_units > 0).await;
    // Partition 1 is still its own by the log: it reads it again, and commits, before it hears of its loss.
    until("the rest", || fleet.status(zombie).partitions.iter().any(|p| p.next_offset == 3)).await;
    fleet.group.welcome_back(zombie);
    produce(&fleet.log, 0, 2);
    produce(&fleet.log, 1, 2);
    for partition in 2..PARTITIONS {
        fleet.group.give(&fixture::partition(partition), other);
    }
    fleet.settle("after the loss").await;
    fleet.assert_exactly_once("zombie").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_whose_flush_takes_too_long_is_given_back_without() {
    let mut fleet = Fleet::start(0, Vec::new()).await;
    let stuck = Arc::new(FaultStore::new(fleet.inner.clone(), Vec::new()));
    let impatient = World { revoke_budget: Duration::from_millis(20), ..world() };
    let slow = fleet.join_on(stuck.clone(), impatient).await;
    let other = fleet.join().await;
    (0..PARTITIONS).for_each(|partition| fleet.group.give(&fixture::partition(partition), slow));
    produce(&fleet.log, 0, 5);
    until("first unit", || fleet.status(slow).units > 0).await;
    stuck.pause();
    produce(&fleet.log, 0, 4);
    produce(&fleet.log, 1, 4);
    until("a write is held back", || stuck.held_back() > 0).await;
    // More than the committer has in hand.
    produce(&fleet.log, 0, 3);
    produce(&fleet.log, 1, 3);
    fleet.group.give(&fixture::partition(0), other);
    until("the other has it", || {
        fleet.status(other).partitions.iter().any(|p| p.next_offset == 12)
    })
    .await;
    stuck.resume();
    until("the refusal", || fleet.status(slow).rejected_units > 0).await;
    fleet.settle("what it kept is read again").await;
    fleet.assert_exactly_once("over budget").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_worker_publishes_when_the_publisher_dies() {
    let mut fleet = Fleet::start(2, Vec::new()).await;
    fleet.spread();
    let publisher =
        |fleet: &Fleet| (0..2).find(|n| fleet.workers[*n].is_some() && fleet.status(*n).publishes);
    until("a publisher", || publisher(&fleet).is_some()).await;
    let first = publisher(&fleet).expect("one");
    produce(&fleet.log, 0, 5);
    produce(&fleet.log, 1, 5);
    fleet.settle("both commit").await;
    fleet.kill(first);
    fleet.spread();
    produce(&fleet.log, 0, 4);
    fleet.settle("the other reads on").await;
    until("the other publishes", || publisher(&fleet) == Some(1 - first)).await;
    let wait = async {
        while messages(&fleet.inner, Table::Logs).await.len() < 11 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.expect("rows of both are visible");
    fleet.assert_exactly_once("publisher killed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_logical_clock_moves_with_its_partition() {
    let fleet = Fleet::start(2, Vec::new()).await;
    let moved = fixture::partition(0);
    fleet.group.give(&moved, 0);
    produce(&fleet.log, 0, 3);
    until("first owner", || fleet.status(0).partitions.iter().any(|p| p.next_offset == 3)).await;
    fleet.group.give(&moved, 1);
    // One line of the first hour only: behind the clock the first owner has seen.
    produce(&fleet.log, 0, 1);
    until("second owner", || fleet.status(1).partitions.iter().any(|p| p.next_offset == 4)).await;
    let system = System::shared();
    let layout = Layout::new("live");
    let log = CommitLog::recover(
        fleet.inner.clone(),
        layout,
        system.clone(),
        system,
        TEST_BACKOFF,
        |_| true,
    );
    let (log, _) = log.await.expect("reads");
    assert_eq!(log.head().partitions[&moved].clock_ns, Some(NOON + 2 * HOUR));
}

/// Numbers that are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % sides
    }
}

/// Three workers, one after the other killed, expelled, called back, while partitions move and writes fail. How
/// often a unit was refused and the group moved. The seed draws what happens; how it falls in time the
/// machine decides, so that a seed may need some runs to fail again.
async fn storm(seed: u64) -> (u64, u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let rule = |dice: &mut Dice| {
        let write = 40 + dice.roll(600) as u64;
        match dice.roll(4) {
            0 => Rule::FailAfter(write),
            1 => Rule::FailBefore(write),
            2 => Rule::FalseExists(write),
            _ => Rule::Delay(write, write + 4),
        }
    };
    let rules = (0..20).map(|_| rule(&mut dice)).collect();
    let context = format!("TIDEMILL_SEED={seed} cargo test --workspace --lib storm");
    eprintln!("{context}");
    let mut fleet = Fleet::start(3, rules).await;
    fleet.spread();
    let mut away = Vec::new();
    let (mut rejected, mut rebalances) = (0, 0);
    for _ in 0..60 {
        let alive: Vec<usize> =
            (0..fleet.workers.len()).filter(|n| fleet.workers[*n].is_some()).collect();
        let someone = alive[dice.roll(alive.len())];
        match dice.roll(10) {
            0 => {
                fleet.group.expel(someone);
                away.push(someone);
            }
            1 => away.drain(..).for_each(|number| fleet.group.welcome_back(number)),
            2 if dice.roll(3) == 0 => {
                let status = fleet.status(someone);
                (rejected, rebalances) =
                    (rejected + status.rejected_units, rebalances + status.rebalances);
                fleet.kill(someone);
                away.retain(|number| *number != someone);
                fleet.join().await;
            }
            3..6 => produce(&fleet.log, dice.roll(PARTITIONS as usize) as i32, 5),
            _ => {
                let partition = fixture::partition(dice.roll(PARTITIONS as usize) as i32);
                fleet.group.give(&partition, someone);
            }
        }
        // Not a wait for anything: how the steps fall in time is part of the storm.
        tokio::time::sleep(Duration::from_millis(dice.roll(12) as u64)).await;
    }
    away.drain(..).for_each(|number| fleet.group.welcome_back(number));
    fleet.spread();
    for partition in 0..PARTITIONS {
        produce(&fleet.log, partition, 3);
    }
    fleet.settle(&context).await;
    for status in fleet.statuses() {
        (rejected, rebalances) = (rejected + status.rejected_units, rebalances + status.rebalances);
    }
    fleet.assert_exactly_once(&context).await;
    (rejected, rebalances)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_rebalances_kills_and_faults_loses_and_doubles_nothing() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let one = number("TIDEMILL_SEED");
    let seeds = match one {
        Some(seed) => seed..=seed,
        None => 1..=number("TIDEMILL_SEEDS").unwrap_or(6),
    };
    let (mut rejected, mut rebalances, storms) = (0, 0, seeds.clone().count() as u64);
    for seed in seeds {
        let (refused, moved) = storm(seed).await;
        rejected += refused;
        rebalances += moved;
    }
    eprintln!(
        "{storms} storms: {rebalances} rebalances, {rejected} units refused, nothing lost or doubled"
    );
    assert!(rebalances > 10 * storms, "only {rebalances} rebalances");
    assert!(rejected > 0 || one.is_some(), "no unit was refused: nobody was away with one");
}

fn in_group(store: Arc<dyn ObjectStore>, group: Option<&str>) -> Config {
    let sharing = Sharing {
        group: group.map(str::to_owned),
        instance: None,
        session_timeout: Duration::from_secs(6),
    };
    Config { sharing: Some(sharing), ..config(store) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_of_another_group_is_refused_until_the_group_is_adopted() {
    let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let log = MemoryLog::new();
    produce(&log, 0, 9);
    let start = |group| start_in(world(), in_group(inner.clone(), group), Box::new(log.open()));
    let mut one = start(Some("one")).await.expect("starts");
    until("read", || one.status().lag == 0).await;

    let refused = start(Some("two")).await.expect_err("two groups on one store");
    assert!(refused.needs_decision(), "{refused}");
    let command = "tidemill operator adopt-group --group two --reason TEXT";
    for word in ["test store", "group one", "group two", command] {
        assert!(refused.text().contains(word), "{refused}");
    }
    let default = start(None).await.expect_err("the default is a group too");
    assert!(default.text().contains("group tidemill-live-"), "{default}");
    // Before it joins, and not when it is given a partition.
    let source = Box::new(log.open_in(&MemoryGroup::new()));
    let member = start_in(world(), in_group(inner.clone(), Some("two")), source).await;
    assert!(member.is_err_and(|refused| refused.needs_decision()));
    produce(&log, 0, 5);
    until("undisturbed", || one.status().lag == 0).await;

    let decider = crate::operator::Decider { by: "me".to_owned(), reason: "a new name".to_owned() };
    let adopt = |group| crate::operator::adopt_group(&inner, group, &decider);
    adopt("two").await.expect("adopted");
    assert!(adopt("two").await.is_err(), "once is enough");
    let two = start(Some("two")).await.expect("starts");
    // The former group's worker does not take them back.
    produce(&log, 0, 5);
    tokio::time::timeout(DEADLINE, one.failed()).await.expect("gives up");
    let refused = start(Some("one")).await.expect_err("refused now");
    assert!(refused.text().contains("--group one"), "{refused}");
    until("read", || two.status().lag == 0).await;
    two.drain(DEADLINE).await.expect("drains");
    assert_exactly_once(&inner, &[log_end(&log)], "adopted").await;
}

/// Two that began while the log knew no group, as workers of an older version do: the second one's claim ends the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_groups_that_run_on_a_store_of_an_older_version_one_stops_for_a_decision() {
    let mut fleet = Fleet::start(1, Vec::new()).await;
    for group in ["one", "two"] {
        let source = Box::new(fleet.log.open_in(&fleet.group));
        let config = in_group(fleet.inner.clone(), Some(group));
        fleet.workers.push(Some(start_in(world(), config, source).await.expect("starts")));
    }
    let place = fixture::partition(0);
    produce(&fleet.log, 0, 9);
    for number in [0, 1] {
        fleet.group.give(&place, number);
        let has_it = || fleet.status(number).partitions.iter().any(|p| p.next_offset == 9);
        until("read", has_it).await;
    }
    fleet.group.give(&place, 2);
    let refused = fleet.workers[2].as_mut().expect("alive").failed();
    let refused = tokio::time::timeout(DEADLINE, refused).await.expect("refused at its claim");
    assert!(refused.needs_decision(), "{refused}");
    assert!(refused.text().contains("in group one, this one is to be in group two"), "{refused}");
}

#[tokio::test]
async fn a_group_is_not_adopted_where_nothing_ever_ran() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let decider = crate::operator::Decider { by: "me".to_owned(), reason: String::new() };
    let refused = crate::operator::adopt_group(&store, "g", &decider).await.expect_err("no log");
    assert!(refused.to_string().contains("--data-dir"), "{refused}");
}
