"""SQL as people ask it: HTTP in three formats, psycopg, psql, Grafana's PostgreSQL data source."""

import csv
import datetime
import io
import json
import shutil
import subprocess

import psycopg
import pyarrow.ipc
import pytest
import wire
from engine import SqlError, request


@pytest.fixture(scope="module")
def service(engine):
    """A service with 30 spans over three resources, one of them slow and failing, and 10 logs."""
    name = f"sql-clients-{wire.new_id(32)}"
    start = 1_760_000_000_000_000_000
    for number in range(30):
        over = {"resource": f"GET /{number % 3}", "start": start + number * 1_000_000_000, "duration": (number % 3 + 1) * 1_000_000, "error": int(number % 3 == 2)}
        engine.send_traces(wire.v04([[wire.dd_span(name, **over)]]))
    engine.send_logs([{"message": f"line {n} 'quoted' \"too\", ünï", "service": name, "ddsource": "it", "n": n} for n in range(10)])
    engine.wait_count(30, f"spans WHERE service = '{name}'")
    engine.wait_count(10, f"logs WHERE service = '{name}'")
    return name


def post(engine, sql, accept=None, **body):
    headers = {"Content-Type": "application/json", **({"Accept": accept} if accept else {})}
    return request("POST", engine.url("http", "/api/v1/sql"), json.dumps({"sql": sql, **body}).encode(), headers)


def test_json_tells_columns_rows_and_what_the_answer_covers(engine, service):
    answer = engine.answer(f"SELECT timestamp, start_ns, error, attributes['env'] AS env, metrics FROM spans WHERE service = '{service}' ORDER BY start_ns LIMIT 1")
    assert [column["name"] for column in answer["columns"]] == ["timestamp", "start_ns", "error", "env", "metrics"]
    assert all(column["type"] for column in answer["columns"])
    timestamp, start_ns, error, _, metrics = answer["rows"][0]
    assert timestamp.startswith("2025-10-09T08:53:20") and timestamp.endswith("Z")
    assert (start_ns, error) == (1_760_000_000_000_000_000, False) and isinstance(metrics, dict)
    meta = answer["meta"]
    assert meta["tables"]["spans"]["version"] >= 0 and "newest_event_time" in json.dumps(meta) and "elapsed" in json.dumps(meta)


def test_csv_and_arrow_hold_the_same_rows(engine, service):
    sql = f"SELECT message, attributes['n'] AS n FROM logs WHERE service = '{service}' ORDER BY message"
    expected = [(row["message"], row["n"]) for row in engine.sql(sql)]
    status, headers, body = post(engine, sql, "text/csv")
    assert status == 200 and headers["Content-Type"].startswith("text/csv")
    header, *rows = csv.reader(io.StringIO(body.decode()))
    assert header == ["message", "n"] and [tuple(row) for row in rows] == expected
    status, headers, body = post(engine, sql, "application/vnd.apache.arrow.stream")
    assert status == 200 and "arrow" in headers["Content-Type"]
    table = pyarrow.ipc.open_stream(body).read_all()
    assert list(zip(*(column.to_pylist() for column in table.columns), strict=True)) == expected


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM logs",
        "INSERT INTO logs SELECT * FROM logs",
        "UPDATE logs SET service = 'x'",
        "DROP TABLE logs",
        "CREATE TABLE t AS SELECT 1",
        "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '/etc'",
        "COPY (SELECT 1) TO '/tmp/tidemill-refused.parquet'",
        "SELECT * FROM '/etc/passwd'",
        "TRUNCATE logs",
        "SELECT 1; DROP TABLE logs",
        "SET datafusion.execution.batch_size = 1",
    ],
)
def test_nothing_can_be_written_or_read_beside_the_tables(engine, sql):
    status, _, body = post(engine, sql)
    error = json.loads(body)["error"]
    assert 400 <= status < 500 and error["code"] and error["message"], body


def test_a_mistake_gets_a_hint(engine, service):
    with pytest.raises(SqlError) as raised:
        engine.sql("SELECT servce FROM spans")
    assert raised.value.status == 400 and "service" in raised.value.error["hint"]
    for body in (b"", b"{", b"[]", b'{"sql": 7}', b'{"sql": ""}'):
        status, _, text = request("POST", engine.url("http", "/api/v1/sql"), body, {"Content-Type": "application/json"})
        assert 400 <= status < 500 and json.loads(text)["error"]["message"], body


def test_psycopg_with_and_without_parameters(engine, service):
    with psycopg.connect(engine.dsn, autocommit=True) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        sql = "SELECT resource, count(*), sum(duration_ns), bool_or(error) FROM spans WHERE service = %s AND duration_ns >= %s GROUP BY 1 ORDER BY 1"
        assert connection.execute(sql, (service, 2_000_000)).fetchall() == [
            ("GET /1", 10, 20_000_000, False),
            ("GET /2", 10, 30_000_000, True),
        ]
        since = datetime.datetime(2025, 10, 9, 8, 53, 40, tzinfo=datetime.UTC)
        (count,) = connection.execute("SELECT count(*) FROM spans WHERE service = %s AND timestamp >= %s", (service, since)).fetchone()
        assert count == 10
        (stamp,) = connection.execute(f"SELECT min(timestamp) FROM spans WHERE service = '{service}'").fetchone()
        assert stamp.astimezone(datetime.UTC) == datetime.datetime(2025, 10, 9, 8, 53, 20, tzinfo=datetime.UTC)
        text = connection.execute("SELECT message, attributes['n'] FROM logs WHERE service = %s AND attributes['n'] = %s", (service, "7")).fetchone()
        assert text == ("line 7 'quoted' \"too\", ünï", "7")
        with pytest.raises(psycopg.Error, match="(?i)servce|not found|no field"):
            connection.execute("SELECT servce FROM spans")
        with pytest.raises(psycopg.Error):
            connection.execute("DELETE FROM logs")
        assert connection.execute("SELECT 2").fetchone() == (2,), "an error does not spoil the connection"


def test_psql(engine, service):
    psql = shutil.which("psql")
    if psql is None:
        pytest.skip("SKIPPED psql: not on the path (tests/clients/install.sh installs it when run as root)")

    def ask(*commands):
        arguments = [word for command in commands for word in ("-c", command)]
        return subprocess.run([psql, "-X", "-A", "-t", engine.dsn, *arguments], capture_output=True, text=True, timeout=60)

    answer = ask(f"SELECT resource, count(*) FROM spans WHERE service = '{service}' GROUP BY 1 ORDER BY 1", "SELECT 3")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.splitlines() == ["GET /0|10", "GET /1|10", "GET /2|10", "3"]
    listed = ask("\\dt")
    assert listed.returncode == 0 and all(table in listed.stdout for table in ("logs", "spans", "metrics", "dead_letters", "ledger")), listed
    refused = ask("DROP TABLE logs")
    assert refused.returncode == 1 and "ERROR" in refused.stderr


def test_grafana_health_and_panels(engine, service):
    """What Grafana's PostgreSQL data source sends: simple protocol, macros already expanded."""
    window = "timestamp BETWEEN '2025-10-09T08:00:00Z' AND '2025-10-09T10:00:00.5Z'"
    with psycopg.connect(engine.dsn, autocommit=True) as connection:
        simple = psycopg.ClientCursor(connection)
        simple.execute("-- ping")  # pgx checks a connection with a comment
        simple.execute(
            f'SELECT floor(extract(epoch from timestamp)/10)*10 AS "time", resource AS metric, count(*) AS value '
            f"FROM spans WHERE service = '{service}' AND {window} GROUP BY 1, 2 ORDER BY 1, 2"
        )
        rows = simple.fetchall()
        assert simple.statusmessage.startswith("SELECT") and len(rows) == 9
        assert sum(int(row[2]) for row in rows) == 30 and float(rows[0][0]) == 1_760_000_000
        simple.execute(f"SELECT timestamp AS \"time\", duration_ns FROM spans WHERE service = '{service}' AND {window} ORDER BY 1 LIMIT 5")
        assert [column.type_code in (1114, 1184) for column in simple.description] == [True, False]
        assert simple.description[1].type_code == 20, "BIGINT"


META = {
    "version": "SELECT current_setting('server_version_num')::int/100 as version",
    "timescale": "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'",
    "tables": """select quote_ident(table_name) as "table" from information_schema.tables
        where quote_ident(table_schema) not in ('information_schema', 'pg_catalog', '_timescaledb_cache', '_timescaledb_catalog', '_timescaledb_internal',
        '_timescaledb_config', 'timescaledb_information', 'timescaledb_experimental') and table_type = 'BASE TABLE' and
        quote_ident(table_schema) IN (SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END FROM
        generate_series(array_lower(string_to_array(current_setting('search_path'),','),1),
        array_upper(string_to_array(current_setting('search_path'),','),1)) as i, string_to_array(current_setting('search_path'),',') s)""",
    "columns": """select quote_ident(column_name) as "column", data_type as "type" from information_schema.columns
        where quote_ident(table_name) = 'spans' and table_schema = 'public'""",
}


@pytest.mark.parametrize("name", META)
def test_grafana_builder(engine, name):
    """The query builder's questions about the catalog (Grafana, postgresMetaQuery.ts)."""
    with psycopg.connect(engine.dsn, autocommit=True) as connection:
        rows = psycopg.ClientCursor(connection).execute(META[name]).fetchall()
    if name == "version":
        assert int(rows[0][0]) >= 900
    elif name == "timescale":
        assert rows == []
    elif name == "tables":
        assert {"logs", "spans", "metrics", "dead_letters", "ledger"} <= {row[0] for row in rows}
    else:
        assert {"trace_id", "service", "duration_ns"} <= {row[0] for row in rows}
