"""Other engines read the tables: delta-rs and DuckDB, straight from the files."""

import json

import duckdb
import pyarrow as pa
import pytest
import wire
from deltalake import DeltaTable

TABLES = ["logs", "spans", "metrics", "ledger", "dead_letters"]


@pytest.fixture(scope="module")
def filled(fresh_engine):
    """Every table has rows; nothing more arrives while the readers look."""
    engine = fresh_engine
    engine.send_logs([{"message": f"line {n}", "service": "readers", "ddsource": "counted", "http.status_code": 200} for n in range(100)])
    for number in range(40):
        engine.send_traces(wire.v04([[wire.dd_span("readers", resource=f"r{number}")]]))
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": engine.kafka, "acks": "all"})
    producer.produce("it.json", b"\xffnot json")
    assert producer.flush(30) == 0
    engine.wait_count(40, "spans")
    engine.wait_count(1, "dead_letters")
    engine.wait_for("SELECT sum(events) AS n FROM ledger WHERE action = 'received'", lambda rows: rows[0]["n"] == 141)
    engine.wait_for("SELECT sum(count) AS n FROM metrics", lambda rows: rows[0]["n"] == 100)
    return engine


@pytest.mark.parametrize("table", TABLES)
def test_delta_rs_reads_what_sql_answers(filled, table):
    frame = DeltaTable(str(filled.table(table))).to_pyarrow_table()
    assert frame.num_rows == filled.value(f"SELECT count(*) FROM {table}") > 0
    names = {row["column_name"] for row in filled.sql(f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}'")}
    assert set(frame.column_names) == names and {"date", "hour"} <= names


def test_values_and_types_survive(filled):
    frame = DeltaTable(str(filled.table("spans"))).to_pyarrow_table(filters=[("service", "=", "readers")])
    schema = frame.schema
    assert schema.field("timestamp").type == pa.timestamp("us", tz="UTC") and schema.field("start_ns").type == pa.int64()
    sql = filled.sql("SELECT trace_id, span_id, resource, start_ns, duration_ns FROM spans")
    columns = list(sql[0])
    read = {tuple(row[name] for name in columns) for row in frame.select(columns).to_pylist()}
    assert read == {tuple(row.values()) for row in sql}
    attributes = dict(frame.column("metrics").to_pylist()[0])
    assert attributes["_sampling_priority_v1"] == 1.0


def test_partitions_prune(filled):
    """The partition columns are those of event time, so that readers skip whole hours."""
    table = DeltaTable(str(filled.table("spans")))
    assert table.metadata().partition_columns == ["date", "hour"]
    hours = filled.sql("SELECT DISTINCT date, hour FROM spans")
    files = table.file_uris(file_pruning_predicate=f"date = '{hours[0]['date']}' AND hour = {hours[0]['hour']}")
    assert 0 < len(files) <= len(table.file_uris())
    assert table.file_uris(file_pruning_predicate="date = '1999-01-01'") == []


@pytest.mark.parametrize("table", TABLES)
def test_duckdb_reads_what_sql_answers(filled, table):
    """DuckDB's delta extension where it can be had, else its own Parquet reader over the live files."""
    expected = filled.value(f"SELECT count(*) FROM {table}")
    place = filled.table(table)
    connection = duckdb.connect()
    try:
        connection.execute("LOAD delta")
    except duckdb.Error:
        files = DeltaTable(str(place)).file_uris()
        (count,) = connection.execute("SELECT count(*) FROM read_parquet(?, hive_partitioning = true)", [files]).fetchone()
    else:
        (count,) = connection.execute(f"SELECT count(*) FROM delta_scan('{place}')").fetchone()
    assert count == expected


def test_the_log_claims_no_feature_other_readers_lack(filled):
    for table in TABLES:
        protocol = DeltaTable(str(filled.table(table))).protocol()
        features = set(protocol.reader_features or [])
        assert protocol.min_reader_version <= 3 and features <= {"timestampNtz", "columnMapping"}, (table, protocol)


def test_statistics_are_in_the_log(filled):
    """Readers prune by them; without them every query opens every file."""
    first = sorted((filled.table("spans") / "_delta_log").glob("*.json"))
    adds = [json.loads(line)["add"] for file in first for line in file.read_text().splitlines() if '"add"' in line]
    stats = json.loads(adds[0]["stats"])
    assert stats["numRecords"] > 0 and "timestamp" in stats["minValues"] and "timestamp" in stats["maxValues"]
