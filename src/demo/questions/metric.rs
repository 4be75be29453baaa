//! Question 4: a log-based metric equals the query over the raw logs, although half of those logs
//! were excluded: what is kept and what the ledger says was excluded add up to the metric.

use std::collections::BTreeMap;

use super::{Answer, Context, float, table, text, whole};
use crate::api::ApiError;
use crate::demo::truth::{Truth, is_p99};

/// The metric beside the logs that are left and the ledger of those that are not.
const SQL: &str = "\
SELECT m.service, m.requests AS metric, l.kept, e.excluded, l.kept + e.excluded AS logs,
       d.p99_ms
FROM (SELECT coalesce(nullif(tags['service'], ''), service) AS service, sum(count) AS requests
      FROM metrics WHERE name = 'shop.requests' GROUP BY 1) m
JOIN (SELECT service, count(*) AS kept FROM logs
      WHERE attributes['logger'] = 'access' GROUP BY 1) l ON l.service = m.service
JOIN (SELECT service, sum(events) AS excluded FROM ledger
      WHERE action = 'excluded' AND rule LIKE '%half-of-access-logs' GROUP BY 1) e ON e.service = m.service
JOIN (SELECT coalesce(nullif(tags['service'], ''), service) AS service, round(p99(sketch), 2) AS p99_ms
      FROM metrics WHERE name = 'shop.request.duration' GROUP BY 1) d ON d.service = m.service
ORDER BY metric DESC, m.service";

const BY_CLASS: &str = "\
SELECT coalesce(nullif(tags['service'], ''), service) AS service,
       substr(tags['status'], 1, 1) || 'xx' AS class, sum(count) AS requests
FROM metrics WHERE name = 'shop.requests' GROUP BY 1, 2 ORDER BY 1, 2";

const SUMS: &str = "\
SELECT coalesce(nullif(tags['service'], ''), service) AS service, sum(count) AS requests, sum(sum) AS total_ms
FROM metrics WHERE name = 'shop.request.duration' GROUP BY 1";

pub(super) async fn ask(context: &mut Context) -> Result<Answer, ApiError> {
    let rows = context.api.rows(SQL).await?;
    let title = "A metric from logs equals the query over the logs, half of which were excluded";
    let mut answer = Answer::new(title, SQL.to_owned(), table(&rows));
    let truth = &context.truth;
    let sum = |column: usize| rows.rows.iter().map(|row| whole(row, column)).sum::<u64>();
    answer.equal("requests counted by the metric", sum(1), truth.access_logs());
    answer.equal("logs kept and logs excluded together", sum(4), truth.access_logs());
    let share = sum(3) as f64 / truth.access_logs().max(1) as f64;
    let said = format!("{:.1} % of these logs were excluded", share * 100.0);
    answer.check((0.4..0.6).contains(&share), said);
    let same = rows.rows.len() == truth.served.len()
        && rows.rows.iter().all(|row| {
            let served = truth.served.get(text(row, 0));
            served.is_some_and(|served| {
                whole(row, 1) == served.count
                    && whole(row, 4) == served.count
                    && is_p99(float(row, 5), &served.durations_ms)
            })
        });
    answer.check(same, "for every service on its own, with the p99 of all requests");
    let classes = context.api.rows(BY_CLASS).await?;
    let found: BTreeMap<(&str, String), u64> = classes
        .rows
        .iter()
        .map(|row| ((text(row, 0), text(row, 1).to_owned()), whole(row, 2)))
        .collect();
    answer.check(found == context.truth.by_class, "for every service and status class");
    let sums = context.api.rows(SUMS).await?;
    let exact = is_sum_exact(&sums.rows, &context.truth);
    answer.check(exact, "the durations' number and sum, with nothing sampled away");
    Ok(answer)
}

fn is_sum_exact(rows: &[Vec<serde_json::Value>], truth: &Truth) -> bool {
    rows.len() == truth.served.len()
        && rows.iter().all(|row| {
            truth.served.get(text(row, 0)).is_some_and(|served| {
                // Floats add up to the last bits only in one order; partial sums come in another.
                let close = (float(row, 2) - served.sum_ms).abs() <= served.sum_ms * 1e-9;
                whole(row, 1) == served.count && close
            })
        })
}
