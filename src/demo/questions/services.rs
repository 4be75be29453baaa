//! Question 1: requests, errors and p99 by service.

use std::collections::BTreeMap;

use super::{Answer, Context, float, table, text, whole};
use crate::api::ApiError;
use crate::demo::truth::{Requests, is_p99};

const SQL: &str = "\
SELECT service, count(*) AS requests, count(*) FILTER (WHERE error) AS errors,
       round(p99(duration_ns) / 1e6, 2) AS p99_ms
FROM spans WHERE kind = 'server'
GROUP BY service ORDER BY requests DESC, service";

pub(super) async fn ask(context: &mut Context) -> Result<Answer, ApiError> {
    let rows = context.api.rows(SQL).await?;
    let mut answer =
        Answer::new("Requests, errors and p99 by service", SQL.to_owned(), table(&rows));
    let found: BTreeMap<&str, (u64, u64, f64)> = rows
        .rows
        .iter()
        .map(|row| (text(row, 0), (whole(row, 1), whole(row, 2), float(row, 3))))
        .collect();
    let truth = &context.truth.requests;
    answer.equal("services", found.len() as u64, truth.len() as u64);
    let sum = |pick: fn(&Requests) -> u64| truth.values().map(pick).sum();
    answer.equal("requests", found.values().map(|row| row.0).sum(), sum(|r| r.count));
    answer.equal("errors", found.values().map(|row| row.1).sum(), sum(|r| r.errors));
    let wrong: Vec<&str> = truth
        .iter()
        .filter(|(service, requests)| !is_right(found.get(*service), requests))
        .map(|(service, _)| *service)
        .collect();
    let said = if wrong.is_empty() {
        "every service on its own, p99 within a sketch's two percent".to_owned()
    } else {
        format!("wrong for {}", wrong.join(", "))
    };
    answer.check(wrong.is_empty(), said);
    Ok(answer)
}

fn is_right(found: Option<&(u64, u64, f64)>, truth: &Requests) -> bool {
    let millis: Vec<f64> = truth.durations.iter().map(|nanos| *nanos as f64 / 1e6).collect();
    found.is_some_and(|(count, errors, p99)| {
        *count == truth.count && *errors == truth.errors && is_p99(*p99, &millis)
    })
}
