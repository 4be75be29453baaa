"""`tidemill import`: files of logs through a running engine, with ready-made pipelines, stopped and gone on with."""

import gzip
import json
import subprocess
import time

import pytest
from engine import Engine, binary
from test_audit import assert_green, tidemill

PIPELINE = "include: [apache, java]\n"


@pytest.fixture
def own(tmp_path):
    pipeline = tmp_path / "pipeline.yaml"
    pipeline.write_text(PIPELINE)
    engine = Engine(pipeline=pipeline, epoch="500ms")
    try:
        yield engine.start()
    finally:
        engine.close()


def test_real_files_come_in_with_their_own_time_and_are_not_imported_twice(own, data, tmp_path):
    lines = (data / "apache" / "apache_logs").read_bytes()
    files = tmp_path / "logs"
    files.mkdir()
    (files / "access.log.gz").write_bytes(gzip.compress(lines))
    status, out, err = tidemill(own, "import", str(files), "--source", "apache", "--service", "semicomplete", "--tag", "team:web", "--dry-run")
    assert (status, out) == (0, "10000 records would be sent\n"), err
    status, out, err = tidemill(own, "import", str(files), "--source", "apache", "--service", "semicomplete", "--tag", "team:web")
    assert (status, out) == (0, "10000 records sent\n"), err
    own.wait_count(10_000, "logs WHERE service = 'semicomplete' AND array_has(tags, 'team:web')")
    parsed = own.value("SELECT count(*) FROM logs WHERE attributes['http.status_code'] IS NOT NULL")
    assert parsed == 10_000
    (row,) = own.sql("SELECT min(timestamp) AS first, max(timestamp) AS last FROM logs")
    assert row["first"].startswith("2015-05-17") and row["last"].startswith("2015-05-20"), row

    status, _, err = tidemill(own, "import", str(files), "--source", "apache")
    assert status == 1 and "was imported before, 10000 records" in err, err
    assert_green(own)


def test_csv_of_docker_json_of_java_lines_is_java(own, data):
    status, out, err = tidemill(own, "import", str(data / "trainticket" / "08_43_log.csv"), "--source", "java")
    assert status == 0, err
    count = int(out.split()[0])
    own.wait_count(count, "logs WHERE trace_id IS NOT NULL AND attributes['logger.name'] IS NOT NULL")
    (row,) = own.sql("SELECT min(timestamp) AS first FROM logs")
    assert row["first"].startswith("2023-01-29T08:4"), row


def test_an_import_that_was_killed_goes_on_and_loses_nothing(own, tmp_path):
    count = 50_000
    file = tmp_path / "app.log"
    with open(file, "w") as out:
        for number in range(count):
            out.write(f"2024-05-01 10:00:00,{number % 1000:03} line {number} {'x' * 250}\n")
    arguments = ["import", str(file), "--service", "killed", "--data-dir", str(own.data), "--config", str(own.dir / "tidemill.yaml")]
    process = subprocess.Popen([str(binary()), *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    written = own.data / "imports"
    # The first batch is written down, the last is not.
    while process.poll() is None and not any(written.glob("*.json")):
        time.sleep(0.01)
    process.kill()
    process.wait(10)
    (state,) = written.glob("*.json")
    state = json.loads(state.read_text())
    assert 0 < state["records"] < count and not state["done"], state
    status, out, err = tidemill(own, *arguments[:4])
    assert (status, out) == (0, f"{count} records sent\n"), err
    own.wait_for("SELECT count(DISTINCT message) AS n FROM logs WHERE service = 'killed'", lambda rows: rows[0]["n"] == count)
    again = own.value("SELECT count(*) FROM logs WHERE service = 'killed'") - count
    assert 0 <= again <= 4 * 1024 * 1024 // 250, f"{again} sent again: at most the batch under way"
    assert_green(own)
