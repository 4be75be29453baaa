//! Monitors: a query per window, judged once the window is complete. A window is complete when everything that
//! came before its end, and for a grace after it, is committed and published. What can not be known is said
//! as "unknown" and is no alarm.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::array::AsArray as _;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use chrono::Utc;
use issues::message::rfc3339;
use issues::monitor::{Evaluation, Monitors};
use object_store::ObjectStore;
use query::engine::{Engine, Limits, Options};
use schemas::publish::LIVE_PIPELINE;
use stream::watermark::{Look, Watermark};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::task::AbortOnDropHandle;

use crate::config::{Monitor, Threshold};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(5);
/// Memory of the queries of monitors.
const MEMORY_BYTES: usize = 256 << 20;
/// Longest run of one.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where a monitor stands, for people.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Shown {
    /// `ok`, `alert` or `unknown`.
    pub state: &'static str,
    /// The last value, or why it is not known.
    pub said: String,
}

/// What monitors need.
pub struct Setup {
    /// The store.
    pub store: Arc<dyn ObjectStore>,
    /// The monitors.
    pub monitors: Vec<Monitor>,
    /// Where the worker stands.
    pub worker: Box<dyn Fn() -> Option<stream::worker::Status> + Send + Sync>,
    /// Where the issues stand.
    pub issues: stream::issues::StatusReader,
    /// Where evaluations go.
    pub evaluations: mpsc::Sender<Evaluation>,
}

/// The running monitors.
#[derive(Debug)]
pub struct Running {
    shown: Arc<Mutex<BTreeMap<String, Shown>>>,
    _task: AbortOnDropHandle<()>,
}

impl Running {
    /// Reads where they stand.
    pub fn reader(&self) -> Reader {
        Reader(Arc::clone(&self.shown))
    }
}

/// Reads where monitors stand.
#[derive(Debug, Clone)]
pub struct Reader(Arc<Mutex<BTreeMap<String, Shown>>>);

impl Reader {
    /// By name.
    pub fn read(&self) -> BTreeMap<String, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Starts them.
///
/// # Errors
/// When the query engine can not be had.
pub fn start(setup: Setup) -> Result<Running, query::QueryError> {
    let options = Options {
        memory_bytes: MEMORY_BYTES,
        timeout: TIMEOUT,
        max_rows: 2,
        threads: Some(2),
        ..Options::default()
    };
    let engine = Engine::open(Arc::clone(&setup.store), options)?;
    let shown = Arc::default();
    let started = Utc::now().timestamp_micros();
    let watcher = Watcher { setup, engine, started, watermark: None, shown: Arc::clone(&shown) };
    Ok(Running { shown, _task: AbortOnDropHandle::new(tokio::spawn(watcher.run())) })
}

struct Watcher {
    setup: Setup,
    engine: Engine,
    /// When it began to look, Unix microseconds.
    started: i64,
    watermark: Option<Watermark>,
    shown: Arc<Mutex<BTreeMap<String, Shown>>>,
}

impl Watcher {
    async fn run(mut self) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            let status = self.setup.issues.read();
            // With several workers the one that keeps the issues judges the monitors.
            if !status.active {
                continue;
            }
            match self.look().await {
                Ok(look) => self.judge_all(&look, &status.monitors).await,
                Err(reason) => {
                    for monitor in self.setup.monitors.clone() {
                        self.show(&monitor.name, "unknown", reason.clone());
                    }
                }
            }
        }
    }

    async fn look(&mut self) -> Result<Look, String> {
        let worker = (self.setup.worker)().ok_or("the worker does not run")?;
        let now = Utc::now().timestamp_micros();
        let mut watermark = match self.watermark.take() {
            Some(watermark) => watermark,
            None => Watermark::open(&self.setup.store).await.map_err(|error| error.to_string())?,
        };
        let look = watermark.look(&worker, now).await.map_err(|error| error.to_string())?;
        self.watermark = Some(watermark);
        Ok(look)
    }

    async fn judge_all(&self, look: &Look, standings: &Monitors) {
        for monitor in &self.setup.monitors {
            let judged = standings.get(&monitor.name).map_or(0, |standing| standing.judged);
            let Some((begin, end)) = window(monitor, look.committed_to) else {
                self.show(&monitor.name, "unknown", "not all partitions are read yet".to_owned());
                continue;
            };
            if judged == 0 && begin < self.started {
                // Nobody watched then: a new monitor has nothing to say about it.
                self.show(&monitor.name, "unknown", "its first window is not over yet".to_owned());
                continue;
            }
            if end <= judged {
                self.show_standing(monitor, look, standings);
                continue;
            }
            match self.evaluate(monitor, look, begin, end).await {
                Ok(Some(evaluation)) => {
                    if evaluation.over.is_none() {
                        self.show(&monitor.name, "unknown", evaluation.said.clone());
                    }
                    // Full: the same window is judged at the next look.
                    drop(self.setup.evaluations.try_send(evaluation));
                }
                // Not published yet: at the next look.
                Ok(None) => {}
                Err(error) => self.show(&monitor.name, "unknown", error),
            }
        }
    }

    /// A window that was judged holds until the next one is overdue.
    fn show_standing(&self, monitor: &Monitor, look: &Look, standings: &Monitors) {
        let Some(standing) = standings.get(&monitor.name) else { return };
        let now = Utc::now().timestamp_micros();
        let late = micros(monitor.window) * 2 + micros(monitor.grace) + 120_000_000;
        if now - standing.judged > late {
            let to = look.committed_to.map_or_else(|| "nothing".to_owned(), rfc3339);
            self.show(&monitor.name, "unknown", format!("data is complete up to {to} only"));
        } else {
            let state = if standing.over_since.is_some() { "alert" } else { "ok" };
            self.show(&monitor.name, state, standing.said.clone());
        }
    }

    fn show(&self, name: &str, state: &'static str, said: String) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let before = shown.insert(name.to_owned(), Shown { state, said: said.clone() });
        if before.is_none_or(|before| before.state != state) {
            tracing::info!(monitor = name, state, "{said}");
        }
    }

    async fn evaluate(
        &self,
        monitor: &Monitor,
        look: &Look,
        begin: i64,
        end: i64,
    ) -> Result<Option<Evaluation>, String> {
        let literal = |at: i64| format!("TIMESTAMP '{}'", rfc3339(at));
        let sql = monitor.sql.replace("{begin}", &literal(begin)).replace("{end}", &literal(end));
        let mut answer =
            self.engine.query(&sql, Limits::default()).await.map_err(|error| error.message)?;
        let behind = answer.coverage().iter().any(|covered| {
            covered.table.pipeline() == LIVE_PIPELINE
                && look.needs.get(&covered.table).is_some_and(|needs| {
                    covered.published_seq.and_then(|seq| u64::try_from(seq).ok()) < Some(*needs)
                })
        });
        if behind {
            return Ok(None);
        }
        let mut value = None;
        for batch in answer.collect().await.map_err(|error| error.message)? {
            if batch.num_rows() > 0 {
                let column = batch.columns().first().ok_or("the query has no column")?;
                let numbers =
                    cast(column, &DataType::Float64).map_err(|error| error.to_string())?;
                let first = numbers.as_primitive::<Float64Type>().iter().next().flatten();
                value = value.or(first);
            }
        }
        let (over, said) = judge(monitor.threshold, value);
        let (monitor, recipients) = (monitor.name.clone(), monitor.recipients.clone());
        Ok(Some(Evaluation { monitor, begin, end, over, said, recipients }))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// The last window that is complete, aligned to the epoch.
fn window(monitor: &Monitor, committed_to: Option<i64>) -> Option<(i64, i64)> {
    let width = micros(monitor.window).max(1);
    let end = (committed_to? - micros(monitor.grace)).div_euclid(width) * width;
    Some((end - width, end))
}

/// Without a value nothing is known: an average of nothing is neither large nor small.
fn judge(threshold: Threshold, value: Option<f64>) -> (Option<bool>, String) {
    let Some(value) = value.filter(|value| !value.is_nan()) else {
        return (None, "the query gave no number".to_owned());
    };
    match threshold {
        Threshold::Above(limit) => (Some(value > limit), format!("{value} (alarm above {limit})")),
        Threshold::Below(limit) => (Some(value < limit), format!("{value} (alarm below {limit})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn monitor() -> Monitor {
        Monitor {
            name: "m".to_owned(),
            sql: String::new(),
            threshold: Threshold::Above(5.0),
            window: Duration::from_secs(60),
            grace: Duration::from_secs(30),
            recipients: Vec::new(),
        }
    }

    #[test]
    fn a_window_is_looked_at_when_it_and_its_grace_are_complete() {
        let minute = 60_000_000;
        assert_eq!(window(&monitor(), None), None);
        let at = |seconds: i64| window(&monitor(), Some(10 * minute + seconds * 1_000_000));
        assert_eq!(at(29), Some((8 * minute, 9 * minute)));
        assert_eq!(at(30), Some((9 * minute, 10 * minute)));
    }

    #[test]
    fn nothing_is_neither_over_nor_under_a_threshold() {
        assert_eq!(judge(Threshold::Below(1.0), None).0, None);
        assert_eq!(judge(Threshold::Below(1.0), Some(f64::NAN)).0, None);
        assert_eq!(judge(Threshold::Below(1.0), Some(0.0)).0, Some(true));
        assert_eq!(judge(Threshold::Above(1.0), Some(1.0)).0, Some(false));
    }
}
