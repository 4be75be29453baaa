//! Waits until everything that was acknowledged can be asked about: by asking, as a user would.

use std::time::{Duration, Instant};

use super::truth::Truth;
use super::{progress, shop};
use crate::api::{Api, ApiError, Rows};

/// Longest wait without any progress. A debug build on a small machine needs seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(250);

const SQL: &str = "\
SELECT 'spans' AS what, count(*) AS n FROM spans
UNION ALL SELECT 'logs', count(*) FROM logs
UNION ALL SELECT 'excluded', coalesce(sum(events), 0) FROM ledger WHERE action = 'excluded'
UNION ALL SELECT 'received', coalesce(sum(events), 0) FROM ledger WHERE action = 'received'
UNION ALL SELECT 'dead', count(*) FROM dead_letters
UNION ALL SELECT 'points', count(*) FROM metrics WHERE type NOT IN ('count', 'distribution')
UNION ALL SELECT 'requests', coalesce(sum(count), 0) FROM metrics WHERE name = 'shop.requests'";

/// What can be seen now.
#[derive(Debug, Default, Clone, PartialEq)]
struct Seen {
    spans: u64,
    logs: u64,
    excluded: u64,
    received: u64,
    dead: u64,
    points: u64,
    requests: u64,
}

impl Seen {
    fn of(rows: &Rows) -> Self {
        let mut seen = Self::default();
        for row in &rows.rows {
            let number = row.get(1).and_then(serde_json::Value::as_f64).unwrap_or(0.0) as u64;
            match row.first().and_then(serde_json::Value::as_str) {
                Some("spans") => seen.spans = number,
                Some("logs") => seen.logs = number,
                Some("excluded") => seen.excluded = number,
                Some("received") => seen.received = number,
                Some("dead") => seen.dead = number,
                Some("points") => seen.points = number,
                Some("requests") => seen.requests = number,
                _ => {}
            }
        }
        seen
    }

    fn is_all(&self, truth: &Truth) -> bool {
        self.spans >= truth.spans
            && self.logs + self.excluded >= truth.logs
            && self.points >= truth.points
            && self.requests >= truth.access_logs()
            && self.received >= truth.spans + truth.logs + truth.points
    }
}

/// Returns when all is there, or when nothing more comes: the answers will tell what is missing.
pub(super) async fn until_queryable(api: &mut Api, truth: &Truth) -> Result<(), String> {
    let started = Instant::now();
    let (mut last, mut moved) = (Seen::default(), Instant::now());
    loop {
        let trouble = match api.rows(SQL).await {
            Ok(rows) => {
                let seen = Seen::of(&rows);
                if seen.is_all(truth) {
                    progress("");
                    println!(
                        "  all of it queryable {:.1} s later (environment {})",
                        started.elapsed().as_secs_f64(),
                        shop::ENV
                    );
                    return Ok(());
                }
                if seen != last {
                    (last, moved) = (seen, Instant::now());
                }
                None
            }
            Err(error) => Some(error),
        };
        progress(&format!(
            "  waiting: {} of {} spans, {} of {} logs",
            last.spans,
            truth.spans,
            last.logs + last.excluded,
            truth.logs
        ));
        if moved.elapsed() > PATIENCE {
            progress("");
            return give_up(&last, trouble);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn give_up(last: &Seen, trouble: Option<ApiError>) -> Result<(), String> {
    match trouble {
        Some(error) => Err(format!("the query service does not answer: {error}")),
        None => {
            println!("  nothing new for {PATIENCE:?}; asking all the same. Seen: {last:?}");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_for_every_signal() {
        let truth = Truth::of(&super::super::story::tell(7, 1_767_225_600_000_000_000));
        let all = Seen {
            spans: truth.spans,
            logs: truth.logs - 10,
            excluded: 10,
            received: truth.spans + truth.logs + truth.points,
            dead: 0,
            points: truth.points,
            requests: truth.access_logs(),
        };
        assert!(all.is_all(&truth));
        for lacking in [
            Seen { spans: all.spans - 1, ..all.clone() },
            Seen { excluded: 9, ..all.clone() },
            Seen { points: 0, ..all.clone() },
            Seen { requests: all.requests - 1, ..all.clone() },
            Seen { received: all.received - 1, ..all.clone() },
        ] {
            assert!(!lacking.is_all(&truth), "{lacking:?}");
        }
    }
}
