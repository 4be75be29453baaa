//! Question 3: the logs of the slowest trace, found by its trace id.

use super::{Answer, Context, table, text};
use crate::api::ApiError;

pub(super) async fn ask(context: &mut Context) -> Result<Answer, ApiError> {
    let trace = context.truth.slowest.first().map_or(0, |span| span.trace);
    let sql = format!(
        "SELECT timestamp, service, status, attributes['logger'] AS logger, message
FROM logs WHERE trace_id = '{trace:032x}' ORDER BY timestamp_ns"
    );
    let rows = context.api.rows(&sql).await?;
    let mut answer = Answer::new("Its logs, by trace id", sql, table(&rows));
    let access = rows.rows.iter().filter(|row| text(row, 3) == "access").count() as u64;
    let application = rows.rows.len() as u64 - access;
    answer.equal("application logs of the trace", application, context.truth.slowest_logs);
    // Sampling goes by trace: all of its access logs were kept, or none.
    let all = context.truth.slowest_access;
    let said = format!("access logs of the trace: {access} of {all}, all or none");
    answer.check(access == 0 || access == all, said);
    Ok(answer)
}
