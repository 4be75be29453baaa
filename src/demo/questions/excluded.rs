//! Question 5: what was excluded, and what it saved.

use super::{Answer, Context, float, table, text, whole};
use crate::api::ApiError;

const SQL: &str = "\
SELECT rule, sum(events) AS events, sum(bytes) AS bytes,
       round(100.0 * sum(bytes) / (SELECT sum(bytes) FROM ledger
             WHERE action = 'received' AND signal = 'logs'), 1) AS percent_of_log_bytes
FROM ledger WHERE action = 'excluded' GROUP BY rule ORDER BY events DESC";

const BALANCE: &str = "\
SELECT signal, sum(CASE WHEN action = 'received' THEN events ELSE 0 END) AS received,
       sum(CASE WHEN action = 'indexed' THEN events ELSE 0 END) AS indexed,
       sum(CASE WHEN action = 'excluded' THEN events ELSE 0 END) AS excluded,
       sum(CASE WHEN action = 'dead_letter' THEN events ELSE 0 END) AS dead
FROM ledger GROUP BY signal ORDER BY signal";

const KEPT: &str = "SELECT count(*) AS kept FROM logs WHERE attributes['logger'] = 'access'";

pub(super) async fn ask(context: &mut Context) -> Result<Answer, ApiError> {
    let rows = context.api.rows(SQL).await?;
    let balance = context.api.rows(BALANCE).await?;
    let kept = context.api.rows(KEPT).await?;
    let shown =
        format!("{}\n\nEvery event is in exactly one place:\n{}", table(&rows), table(&balance));
    let mut answer = Answer::new("What was excluded, and what it saved", SQL.to_owned(), shown);
    let truth = &context.truth;
    let rule = |name: &str| {
        let of = rows.rows.iter().filter(|row| text(row, 0).ends_with(name));
        of.map(|row| whole(row, 1)).sum::<u64>()
    };
    answer.equal("health checks excluded", rule("health-checks"), truth.health_checks);
    let kept = kept.rows.first().map_or(0, |row| whole(row, 0));
    let both = rule("half-of-access-logs") + kept;
    answer.equal("access logs excluded or kept", both, truth.access_logs());
    let balanced = balance.rows.iter().all(|row| {
        whole(row, 1) == whole(row, 2) + whole(row, 3) + whole(row, 4) && whole(row, 4) == 0
    });
    answer.check(balanced, "received = indexed + excluded, no dead letter, for every signal");
    let received: u64 = balance.rows.iter().map(|row| whole(row, 1)).sum();
    answer.equal("events received", received, truth.spans + truth.logs + truth.points);
    let saved: f64 = rows.rows.iter().map(|row| float(row, 3)).sum();
    let said = format!("{saved:.1} % of the bytes of all logs were saved");
    answer.check(saved > 0.0 && saved < 100.0, said);
    Ok(answer)
}
