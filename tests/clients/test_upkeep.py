"""Compaction seen from outside: every reader finds the same rows before, during and after."""

import json
import re
import subprocess
import threading
import time

import duckdb
import pytest
import wire
from deltalake import DeltaTable
from engine import Engine, binary
from fleet import until

#: 2024-04-27 12:00 UTC in nanoseconds: hours long closed.
NOON = 1_714_219_200_000_000_000
HOUR = 3_600_000_000_000


def maintain(engine, *arguments):
    command = [str(binary()), "maintain", "--once", "--format", "json", "--data-dir", str(engine.data), *arguments]
    command += ["--config", str(engine.dir / "tidemill.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, (done.returncode, done.stderr, done.stdout)
    return json.loads(done.stdout)


def fill(engine, rounds=12, logs=40, spans=20):
    """Files in two closed hours: a round per unit."""
    for number in range(1, rounds + 1):
        clock = f"2024-04-27 {12 + number % 2}:00:{number:02}"
        engine.send_logs(
            [{"message": f"{clock} ERROR [tidy{n % 5}] Connection timeout: host=db{n} duration={number}ms", "ddsource": "known"} for n in range(logs)]
        )
        traces = [[wire.dd_span(f"tidy{n % 5}", start=NOON + (number % 2) * HOUR + n * 1_000_000)] for n in range(spans)]
        engine.send_traces(wire.v04(traces), traces=spans)
        engine.wait_count(number * logs, "logs")
        engine.wait_count(number * spans, "spans")


def files_read(engine, table):
    """Files that a query of the table reads; its plan names the first few of them."""
    plan = "".join(str(row) for row in engine.sql(f"EXPLAIN SELECT service FROM {table}"))
    return None if "..." in plan else len(set(re.findall(r"[^\s\[\],]+\.parquet", plan)))


def rows_of(place, columns):
    table = DeltaTable(str(place)).to_pyarrow_table(columns=columns)
    return sorted(tuple(str(value) for value in row.values()) for row in table.to_pylist())


COLUMNS = {
    "logs": ["timestamp", "service", "message", "attributes", "_topic", "_partition", "_offset", "_index", "date", "hour"],
    "spans": ["trace_id", "span_id", "start_ns", "service", "attributes", "metrics", "_topic", "_partition", "_offset", "_index", "date", "hour"],
}


def duckdb_count(place):
    connection = duckdb.connect()
    try:
        connection.execute("LOAD delta")
    except duckdb.Error:
        files = DeltaTable(str(place)).file_uris()
        return connection.execute("SELECT count(*) FROM read_parquet(?, hive_partitioning = true)", [files]).fetchone()[0]
    return connection.execute(f"SELECT count(*) FROM delta_scan('{place}')").fetchone()[0]


@pytest.fixture
def resting():
    """An engine whose own upkeep is off."""
    engine = Engine()
    own = engine.config
    engine.config = lambda: own() + "upkeep:\n  enabled: false\n"
    try:
        yield engine.start()
    finally:
        engine.close()


def test_compaction_beside_a_running_engine_changes_no_row_for_any_reader(resting):
    engine = resting
    fill(engine)
    before = {table: rows_of(engine.table(table), columns) for table, columns in COLUMNS.items()}
    files_before = {table: len(DeltaTable(str(engine.table(table))).file_uris()) for table in COLUMNS}
    planned = maintain(engine, "--dry-run")["tables"]
    assert all(planned[table]["compacted"]["files_before"] == files_before[table] for table in COLUMNS)
    seen, stop = [], threading.Event()

    def poll():
        while not stop.is_set():
            seen.append((engine.value("SELECT count(*) FROM logs"), engine.value("SELECT count(*) FROM spans")))

    reader = threading.Thread(target=poll)
    reader.start()
    try:
        done = maintain(engine)["tables"]
        # Until the query service has seen the new versions.
        until(lambda: all(files_read(engine, table) == 2 for table in COLUMNS), 60, engine.tail)
    finally:
        stop.set()
        reader.join()
    assert set(seen) == {(len(before["logs"]), len(before["spans"]))}, "a reader saw something in between"
    for table, columns in COLUMNS.items():
        files = DeltaTable(str(engine.table(table))).file_uris()
        assert len(files) == 2 < files_before[table], (table, files)
        assert done[table]["compacted"]["files_after"] == 2
        assert rows_of(engine.table(table), columns) == before[table]
        assert duckdb_count(engine.table(table)) == len(before[table])
        assert engine.value(f"SELECT count(*) FROM {table}") == len(before[table])
    for check in ("fsck", "audit"):
        command = [str(binary()), check, "--data-dir", str(engine.data), "--config", str(engine.dir / "tidemill.yaml")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, (check, done.stdout, done.stderr)
    # New rows find their way beside the large files, and a restart changes nothing.
    engine.send_logs([{"message": "2024-04-27 12:30:00 ERROR [late] Connection timeout: host=x duration=1ms", "ddsource": "known"}])
    engine.wait_count(len(before["logs"]) + 1, "logs")
    engine.stop()
    engine.start()
    assert engine.value("SELECT count(*) FROM logs") == len(before["logs"]) + 1


def test_a_worker_tidies_by_itself_and_its_metrics_say_so():
    engine = Engine()
    own = engine.config
    engine.config = lambda: own() + "upkeep:\n  interval: 1s\n  compact_after: 0s\n"
    try:
        engine.start()
        fill(engine, rounds=10)
        place = engine.table("logs")
        deadline = time.monotonic() + 60
        while not any("part-compact-" in file for file in DeltaTable(str(place)).file_uris()):
            assert time.monotonic() < deadline, engine.tail()
            time.sleep(0.2)
        assert engine.value("SELECT count(*) FROM logs") == 400 == duckdb_count(place)
        from engine import request

        _, _, text = request("GET", engine.url("health", "/metrics"))
        text = text if isinstance(text, str) else text.decode()
        (line,) = [line for line in text.splitlines() if line.startswith('tidemill_upkeep_compacted_files_total{table="logs"}')]
        assert int(line.split()[-1]) > 0
        engine.kill()
        engine.start()
        assert engine.value("SELECT count(*) FROM logs") == 400
    finally:
        engine.close()


def test_retention_lets_go_of_old_hours_only(resting):
    engine = resting
    fill(engine, rounds=2)
    engine.send_logs([{"message": "today", "service": "young"}])
    engine.wait_count(81, "logs")
    file = engine.dir / "tidemill.yaml"
    file.write_text(file.read_text() + "tables:\n  logs:\n    retention: 30d\n")
    assert maintain(engine)["tables"]["logs"]["expired"]["rows"] == 80
    engine.wait_for("SELECT count(*) AS n FROM logs", lambda rows: rows[0]["n"] == 1)
    assert rows_of(engine.table("logs"), ["service"]) == [("young",)]
    assert engine.value("SELECT count(*) FROM spans") == 40
