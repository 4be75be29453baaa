//! Time, rows, memory and places are bounded, and the engine goes on after each refusal.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{engine, engine_with, show};
use crate::engine::{Limits, Options};
use crate::error::Code;
use crate::testing::shop;

/// Runs for minutes unless stopped: a billion pairs.
const HEAVY: &str = "SELECT sum(a.value * b.value % 7) FROM generate_series(1, 1000000) a, generate_series(1, 100000) b";

#[tokio::test(flavor = "multi_thread")]
async fn a_query_over_its_time_is_stopped() {
    let engine = engine(&shop().await);
    let started = Instant::now();
    let limits = Limits { timeout: Some(Duration::from_millis(300)), max_rows: None };
    let error = match engine.query(HEAVY, limits).await {
        Err(error) => error,
        Ok(mut answer) => answer.collect().await.unwrap_err(),
    };
    assert_eq!(error.code, Code::Timeout);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(show(&engine, "SELECT count(*) FROM logs").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_an_answer_cancels_its_query() {
    let engine = engine(&shop().await);
    let answer = engine.query(HEAVY, Limits::default()).await.unwrap();
    assert_eq!(engine.running(), 1);
    drop(answer);
    let dropped = Instant::now();
    while engine.running() > 0 {
        assert!(dropped.elapsed() < Duration::from_secs(10), "still running");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_beyond_the_limit_are_cut_and_said_to_be() {
    let engine = engine(&shop().await);
    for (max_rows, rows, truncated) in
        [(5, 5, true), (18, 18, false), (100, 18, false), (0, 0, true)]
    {
        let limits = Limits { max_rows: Some(max_rows), timeout: None };
        let mut answer = engine.query("SELECT message FROM logs", limits).await.unwrap();
        answer.collect().await.unwrap();
        assert_eq!((answer.rows(), answer.truncated()), (rows, truncated), "{max_rows}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_needs_too_much_memory_fails_and_the_next_one_runs() {
    let store = shop().await;
    let engine = engine_with(&store, Options { memory_bytes: 4 << 20, ..Options::default() });
    let sql = "SELECT count(*) FROM (SELECT value, count(*) FROM generate_series(1, 1000000) GROUP BY value, value * 2, \
               value * 3 ORDER BY array_agg(value))";
    match show(&engine, sql).await {
        Err(error) => assert_eq!(error.code, Code::ResourcesExhausted, "{error}"),
        Ok(answer) => eprintln!("spilled instead: {answer}"),
    }
    let sql =
        "SELECT length(string_agg(repeat(value::text, 50), ',')) FROM generate_series(1, 300000)";
    let error = show(&engine, sql).await.unwrap_err();
    assert_eq!(error.code, Code::ResourcesExhausted, "{error}");
    assert!(show(&engine, "SELECT count(*) FROM logs").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_beyond_the_running_ones_wait_and_beyond_the_line_are_refused() {
    let store = shop().await;
    let engine = engine(&store);
    store.delay_millis.store(500, Ordering::Relaxed);
    let limits = Limits { timeout: Some(Duration::from_secs(3)), max_rows: None };
    let many = schemas::limits::MAX_CONCURRENT_QUERIES + schemas::limits::MAX_WAITING_QUERIES + 20;
    let queries: Vec<_> = (0..many)
        .map(|_| {
            let engine = engine.clone();
            tokio::spawn(async move {
                let mut answer = engine.query("SELECT message FROM logs", limits).await?;
                answer.collect().await
            })
        })
        .collect();
    let mut busy = 0;
    for query in queries {
        match query.await.unwrap() {
            Err(error) if error.code == Code::Busy => busy += 1,
            Err(error) => assert_eq!(error.code, Code::Timeout, "{error}"),
            Ok(_) => {}
        }
    }
    assert!(busy >= 20, "{busy}");
    store.delay_millis.store(0, Ordering::Relaxed);
    assert!(show(&engine, "SELECT count(*) FROM logs").await.is_ok());
}
