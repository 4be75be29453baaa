//! The PostgreSQL port with the real `psql`, when it is installed.

use std::process::{Command, Output};
use std::time::Duration;

use super::http_api::config;
use crate::testing::shop;
use crate::{Running, start};

fn psql(running: &Running, arguments: &[&str]) -> Option<Output> {
    let address = running.addresses().postgres;
    let mut command = Command::new("psql");
    command
        .env("PGCONNECT_TIMEOUT", "5")
        .args([
            "-X",
            "-h",
            "127.0.0.1",
            "-p",
            &address.port().to_string(),
            "-U",
            "tidemill",
            "-d",
            "tidemill",
        ])
        .args(["-v", "ON_ERROR_STOP=1"])
        .args(arguments);
    match command.output() {
        Ok(output) => Some(output),
        Err(error) => {
            eprintln!("SKIPPED: psql can not be run: {error}");
            None
        }
    }
}

/// Unaligned output of a statement, or its error.
fn ask(running: &Running, sql: &str) -> Option<Result<String, String>> {
    let output = psql(running, &["-A", "-t", "-c", sql])?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim().to_owned();
    Some(if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) })
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_reads_the_tables() {
    let running = start(config(&shop().await)).await.unwrap();
    for (sql, expected) in [
        ("SELECT count(*) FROM logs", "18"),
        ("SELECT service, count(*) FROM logs GROUP BY 1 ORDER BY 1", "cart|9\ncheckout|9"),
        ("SELECT attributes['http.method'] FROM logs LIMIT 1", "GET"),
        (
            "SELECT attributes FROM metrics JOIN spans USING (service) LIMIT 1",
            r#"{"http.url":"/cart?q=\"x\""}"#,
        ),
        ("SELECT tags FROM logs ORDER BY timestamp LIMIT 1", "{team:shop,n:0}"),
        (
            "SELECT events FROM spans LIMIT 1",
            r#"[{"time_ns":1,"name":"retry","attributes":{"k":"v"}}]"#,
        ),
        ("SELECT round(p99(duration_ns)/1e6) FROM spans", "4.0"),
        ("SELECT trace_id FROM logs WHERE false", ""),
        ("SELECT NULL, 1.5::double, true, '2026-03-01'::date", "|1.5|t|2026-03-01"),
        ("SELECT timestamp FROM logs ORDER BY timestamp LIMIT 1", "2026-03-01 08:00:00.000000+00"),
        ("SET statement_timeout = '5s'; SHOW statement_timeout", "SET\n5000ms"),
        ("BEGIN; SELECT 1; COMMIT", "BEGIN\n1\nCOMMIT"),
        ("-- ping", ""),
        (";", ""),
        ("SELECT 1; SELECT 2", "1\n2"),
        ("SELECT current_database()", "tidemill"),
    ] {
        let Some(answer) = ask(&running, sql) else { return };
        assert_eq!(answer.as_deref(), Ok(expected), "{sql}");
    }
    running.drain(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_sees_tables_and_columns() {
    let running = start(config(&shop().await)).await.unwrap();
    for (command, expected) in
        [("\\dt", "spans"), ("\\d logs", "message"), ("\\l", "tidemill"), ("\\dn", "public")]
    {
        let Some(output) = psql(&running, &["-c", command]) else { return };
        let (out, err) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && out.contains(expected), "{command}: {out}{err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grafana_finds_tables_and_columns() {
    let running = start(config(&shop().await)).await.unwrap();
    let tables = "SELECT CASE WHEN quote_ident(table_schema) IN (SELECT CASE WHEN trim(s[i]) = '\"$user\"' THEN user \
        ELSE trim(s[i]) END FROM generate_series(array_lower(string_to_array(current_setting('search_path'),','),1), \
        array_upper(string_to_array(current_setting('search_path'),','),1)) as i, \
        string_to_array(current_setting('search_path'),',') s) THEN quote_ident(table_name) \
        ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS \"table\" \
        FROM information_schema.tables WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog', \
        '_timescaledb_cache', '_timescaledb_catalog', '_timescaledb_internal', '_timescaledb_config', \
        'timescaledb_information', 'timescaledb_experimental') ORDER BY 1";
    let columns = "SELECT quote_ident(column_name) AS \"column\", data_type AS \"type\" FROM information_schema.columns \
        WHERE CASE WHEN array_length(parse_ident('public.logs'),1) = 2 THEN quote_ident(table_schema) = (parse_ident('public.logs'))[1] \
        AND quote_ident(table_name) = (parse_ident('public.logs'))[2] ELSE quote_ident(table_name) = 'public.logs' AND \
        quote_ident(table_schema) IN (SELECT CASE WHEN trim(s[i]) = '\"$user\"' THEN user ELSE trim(s[i]) END \
        FROM generate_series(array_lower(string_to_array(current_setting('search_path'),','),1), \
        array_upper(string_to_array(current_setting('search_path'),','),1)) as i, \
        string_to_array(current_setting('search_path'),',') s) END";
    let series = "SELECT floor(extract(epoch from timestamp)/300)*300 AS \"time\", service AS metric, count(*) AS n \
        FROM logs WHERE timestamp BETWEEN '2026-03-01T08:00:00Z' AND '2026-03-01T08:30:00Z' GROUP BY 1, 2 ORDER BY 1";
    for (sql, expected) in [
        (tables, "logs"),
        // Grafana then asks for the columns of the table under the name it was given.
        (columns, "message"),
        (&columns.replace("public.logs", "logs"), "message"),
        (series, "1772352000"),
        ("SELECT current_setting('server_version_num')::int/100 as version", "16"),
        ("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'", ""),
    ] {
        let Some(answer) = ask(&running, sql) else { return };
        assert!(answer.as_ref().is_ok_and(|answer| answer.contains(expected)), "{sql}\n{answer:?}");
        // In the search path, so named without their schema.
        assert!(!answer.is_ok_and(|answer| answer.contains("public.")), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_can_not_write_and_is_told_why() {
    let running = start(config(&shop().await)).await.unwrap();
    for (sql, expected) in [
        ("DROP TABLE logs", "read-only"),
        ("INSERT INTO logs SELECT * FROM logs", "read-only"),
        ("COPY (SELECT 1) TO '/tmp/x'", "not allowed"),
        ("CREATE TABLE x AS SELECT 1", "not allowed"),
        ("SET datafusion.execution.target_partitions = 1", "can not be changed"),
        ("SELECT servce FROM logs", "did you mean service?"),
        (
            "SET statement_timeout = 300; SELECT sum(a.value * b.value % 7) FROM generate_series(1, 1000000) a, generate_series(1, 100000) b",
            "longer",
        ),
        ("SELECT value FROM generate_series(1, 100000)", "more than 1000 rows"),
    ] {
        let Some(answer) = ask(&running, sql) else { return };
        assert!(answer.as_ref().is_err_and(|error| error.contains(expected)), "{sql}: {answer:?}");
    }
    assert_eq!(ask(&running, "SELECT count(*) FROM logs"), Some(Ok("18".to_owned())));
}
