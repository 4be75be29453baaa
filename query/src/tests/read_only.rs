//! What must be refused. Each line is an attempt someone made on some SQL service.

use std::time::{Duration, Instant};

use super::{engine, show};
use crate::error::Code;
use crate::testing::{TestStore, shop};

const HOSTILE: [&str; 55] = [
    "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
    "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION 's3://bucket/x'",
    "CREATE UNBOUNDED EXTERNAL TABLE t(a INT) STORED AS CSV LOCATION '/dev/stdin'",
    "COPY (SELECT 1) TO '/tmp/x.csv'",
    "COPY logs TO 's3://bucket/x'",
    "COPY logs FROM '/etc/passwd'",
    "COPY logs FROM PROGRAM 'id'",
    "EXPLAIN COPY (SELECT 1) TO '/tmp/x.csv'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/x.csv'",
    "INSERT INTO logs SELECT * FROM logs",
    "EXPLAIN ANALYZE INSERT INTO logs SELECT * FROM logs",
    "WITH x AS (SELECT 1) INSERT INTO logs SELECT * FROM logs",
    "UPDATE logs SET message = ''",
    "DELETE FROM logs",
    "TRUNCATE TABLE logs",
    "MERGE INTO logs USING spans ON true WHEN MATCHED THEN DELETE",
    "CREATE TABLE t AS SELECT 1",
    "CREATE TABLE t (a INT)",
    "CREATE VIEW v AS SELECT 1",
    "CREATE OR REPLACE VIEW logs AS SELECT 1",
    "CREATE SCHEMA s",
    "CREATE DATABASE d",
    "CREATE FUNCTION f(a INT) RETURNS INT RETURN a",
    "CREATE INDEX i ON logs (service)",
    "DROP TABLE logs",
    "DROP SCHEMA public CASCADE",
    "ALTER TABLE logs ADD COLUMN x INT",
    "SELECT * INTO t FROM logs",
    "SET datafusion.execution.target_partitions = 1000000",
    "SET datafusion.catalog.location = '/etc'",
    "RESET datafusion.execution.target_partitions",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DEALLOCATE p",
    "BEGIN",
    "COMMIT",
    "GRANT ALL ON logs TO public",
    "VACUUM",
    "ANALYZE TABLE logs",
    "LOAD DATA INPATH '/etc/passwd' INTO TABLE logs",
    "ATTACH DATABASE '/etc/passwd' AS x",
    "INSTALL httpfs",
    "CALL pg_sleep(100)",
    "SELECT 1; DROP TABLE logs",
    "SELECT 1; SELECT 2",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM \"/etc/passwd\"",
    "SELECT * FROM 'file:///etc/passwd'",
    "SELECT * FROM 's3://bucket/x.parquet'",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM parquet_metadata('/etc/passwd')",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT * FROM tidemill.other.logs",
    "SELECT * FROM datafusion.public.logs",
    "WITH RECURSIVE t AS (SELECT 'x' AS s UNION ALL SELECT s || s FROM t) SELECT max(length(s)) FROM t",
];

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_write_or_reach_out_are_refused() {
    let store = shop().await;
    let engine = engine(&store);
    let before = show(&engine, "SELECT count(*) FROM logs").await.unwrap();
    for sql in HOSTILE {
        let error = show(&engine, sql).await.expect_err(sql);
        assert!(matches!(error.code, Code::NotAllowed | Code::InvalidSql), "{sql}: {error:?}");
        assert!(!error.message.contains("/root") && !error.message.is_empty(), "{sql}: {error:?}");
    }
    assert_eq!(show(&engine, "SELECT count(*) FROM logs").await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn short_statements_can_not_make_long_values() {
    let engine = engine(&TestStore::new());
    for sql in [
        "SELECT length(repeat('x', 4000000000))",
        "SELECT length(repeat(repeat(repeat('x', 1000), 1000), 1000))",
        "SELECT length(lpad('x', 2000000000, 'y'))",
        "SELECT length(rpad('x', 2000000000))",
        "SELECT array_length(array_repeat('x', 4000000000))",
        "SELECT array_length(range(1, 40000000000))",
        "SELECT array_length(generate_series(1, 40000000000))",
        "SELECT array_length(range(-9223372036854775808, 9223372036854775807))",
        "SELECT count(*) FROM generate_series(1, 40000000000)",
        "SELECT count(*) FROM range(1, 40000000000)",
        "SELECT length(replace(repeat('x', 1000000), 'x', repeat('y', 1000000)))",
    ] {
        let started = Instant::now();
        let error = show(&engine, sql).await.expect_err(sql);
        assert!(matches!(error.code, Code::ExecutionFailed | Code::InvalidSql), "{sql}: {error:?}");
        assert!(started.elapsed() < Duration::from_secs(5), "{sql}");
    }
    for sql in [
        "SELECT repeat('x', 10)",
        "SELECT count(*) FROM generate_series(1, 1000)",
        "SELECT lpad('x', 5, 'y')",
    ] {
        assert!(show(&engine, sql).await.is_ok(), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_and_long_statements_are_errors_and_not_crashes() {
    let engine = engine(&TestStore::new());
    let deep = format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000));
    let nots = format!("SELECT {} true", "NOT ".repeat(50_000));
    let sums = format!("SELECT 1{}", " + 1".repeat(40_000));
    let subqueries = format!("{}SELECT 1{}", "SELECT * FROM (".repeat(2_000), ")".repeat(2_000));
    let long = format!("SELECT '{}'", "x".repeat(schemas::limits::MAX_SQL_BYTES));
    for sql in [&deep, &nots, &subqueries, &long] {
        assert!(show(&engine, sql).await.is_err(), "{}", &sql[..40]);
    }
    let error = show(&engine, &sums).await.unwrap_err();
    assert!(error.message.contains("operators"), "{error}");
    for chain in [" + 1", "::bigint", " OR true"] {
        let start = if chain.contains("OR") { "SELECT true" } else { "SELECT 1" };
        let sql = format!("{start}{}", chain.repeat(schemas::limits::MAX_SQL_OPERATORS));
        // It may run or be refused; it must not end the process.
        let _ = show(&engine, &sql).await;
    }
    assert!(show(&engine, "SELECT 1").await.is_ok());
}
