//! The worker's upkeep task: a pass over the tables now and then, while this worker is the one
//! that publishes. It says what it wants in the commit log; the publisher hands that to the
//! tables. Nothing it does or fails at stops the worker.

use std::sync::Arc;
use std::time::Duration;

use schemas::publish::LIVE_PIPELINE;
use schemas::table::Table;
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::status::Board;
use super::{Config, World};
use crate::upkeep::Settings;
use crate::upkeep::pass::{self, Keeper, Scope};
use crate::upkeep::report::{Report, Step};

/// The task's state.
pub(super) struct Upkeep {
    keeper: Keeper,
    settings: Settings,
    clock: Arc<dyn crate::clock::Clock>,
    board: Arc<Board>,
    /// Rings the publisher.
    appended: Arc<Notify>,
    stop: CancellationToken,
}

impl Upkeep {
    /// `author` is the worker's name in the log; `stop` ends a pass at the next safe point.
    pub(super) fn new(
        world: &World,
        config: &Config,
        author: String,
        (board, appended): (Arc<Board>, Arc<Notify>),
        stop: CancellationToken,
    ) -> Self {
        let outside = pass::World {
            store: Arc::clone(&config.store),
            clock: Arc::clone(&world.clock),
            entropy: Arc::clone(&world.entropy),
            backoff: world.backoff,
            stop: stop.clone(),
        };
        let settings = config.upkeep.clone();
        let keeper = Keeper::new(outside, LIVE_PIPELINE, settings.clone(), author);
        Self { keeper, settings, clock: Arc::clone(&world.clock), board, appended, stop }
    }

    /// Works until stopped. Dropping it stops a pass under way, too.
    pub(super) async fn run(mut self) {
        let _stops_with_the_task = self.stop.clone().drop_guard();
        if !self.settings.enabled {
            return;
        }
        let stop = self.stop.clone();
        let mut tick = tokio::time::interval(self.settings.interval.max(Duration::from_millis(1)));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.reset();
        let mut looked_for_garbage = self.clock.monotonic();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            // One process works; a second one would only make plans that are refused.
            if !self.board.publishes() {
                continue;
            }
            let now = self.clock.monotonic();
            let interval = self.settings.delete_interval;
            let is_due = now.saturating_sub(looked_for_garbage) >= interval;
            if is_due {
                looked_for_garbage = now;
            }
            // Found to be garbage at the look before this one.
            self.pass(is_due.then_some(interval / 2)).await;
        }
    }

    async fn pass(&mut self, delete: Option<Duration>) {
        let scope = Scope {
            tables: Table::of(LIVE_PIPELINE).collect(),
            dry_run: false,
            publish: false,
            delete,
            by_hand: false,
        };
        let appended = Arc::clone(&self.appended);
        let progress = move |step: Step| {
            tracing::info!("{step}");
            // What is recorded may be published.
            appended.notify_one();
        };
        let report = match self.keeper.pass(&scope, &progress).await {
            Ok(report) => report,
            Err(error) => {
                tracing::warn!(%error, "upkeep goes on at the next pass");
                Report { passes: 1, failed_passes: 1, ..Report::default() }
            }
        };
        self.appended.notify_one();
        self.board.upkeep(&report);
    }
}
