"""`tidemill audit` and `fsck` as tests ask them, and faults planted in a copy of a store that they must find."""

import json
import os
import pathlib
import shutil
import subprocess
import time

from engine import SEEN_DEADLINE, binary
from pyarrow.parquet import ParquetFile

#: What the exit statuses of `audit` mean.
VERDICTS = ("proven", "violated", "unsettled")


def tidemill(engine, *arguments, data=None, config=None, timeout=180):
    """Runs a command behind the engine's configuration; its status, and what it printed."""
    file = config or engine.dir / "tidemill.yaml"
    command = [str(binary()), *arguments, "--data-dir", str(data or engine.data), "--config", str(file)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMILL_")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=clean)
    return done.returncode, done.stdout, done.stderr


def audit(engine, data=None, **more):
    status, out, err = tidemill(engine, "audit", "--format", "json", data=data, **more)
    assert status in (0, 1), (status, out, err)
    return status, json.loads(out)


def fsck(engine, data=None, **more):
    status, out, err = tidemill(engine, "fsck", "--format", "json", data=data, **more)
    assert status in (0, 1), (status, out, err)
    return status, json.loads(out)


def assert_green(engine, data=None, **more):
    status, report = audit(engine, data, **more)
    assert (status, report["verdict"]) == (0, "proven"), report["findings"]
    assert report["received"] == report["indexed"] + report["excluded"] + report["dead_letters"]
    return report


def not_violated(engine, **more):
    """One look beside whatever runs: its report. What is not published yet may be unsettled, nothing may be violated."""
    status, out, err = tidemill(engine, "audit", "--format", "json", **more)
    assert status in (0, 2) and out, (status, out, err)
    report = json.loads(out)
    assert report["verdict"] == VERDICTS[status], (status, out, err)
    return report


def proven(engine, deadline=SEEN_DEADLINE, **more):
    """Looks until all of it is proven, never violated meanwhile; the report, and how often it was unsettled before."""
    end, unsettled = time.monotonic() + deadline, 0
    while (report := not_violated(engine, **more))["verdict"] != "proven":
        unsettled += 1
        assert time.monotonic() < end, f"still not proven after {deadline:.0f} s: {report['findings']}"
    assert report["received"] == report["indexed"] + report["excluded"] + report["dead_letters"]
    return report, unsettled


# ---- faults ------------------------------------------------------------------------------------


def copy_of_store(engine, directory):
    """A copy of a store that is not the data directory, and a configuration that names it."""
    copy = pathlib.Path(directory) / "store"
    shutil.copytree(engine.storage["url"], copy)
    own, engine.storage = engine.storage, {"url": str(copy)}
    try:
        file = pathlib.Path(directory) / "copy.yaml"
        file.write_text(engine.config())
    finally:
        engine.storage = own
    return copy, file


def commit(data, table, action):
    """A Delta commit by nobody we know."""
    log = data / "tables" / table / "_delta_log"
    version = max(int(path.stem) for path in log.glob("*.json")) + 1
    info = {"commitInfo": {"timestamp": 1, "operation": "PLANTED"}}
    (log / f"{version:020}.json").write_text("\n".join(json.dumps(each) for each in (info, action)) + "\n")


def files(data, table):
    """The `add` actions of a table, oldest first."""
    found = []
    for path in sorted((data / "tables" / table / "_delta_log").glob("*.json")):
        found += [action["add"] for action in map(json.loads, path.read_text().splitlines()) if "add" in action]
    return found


def remove(data, table, add):
    """The table lets go of a file that the commit log still names: the rows in it are lost."""
    gone = {"path": add["path"], "deletionTimestamp": 1, "dataChange": True, "extendedFileMetadata": True}
    commit(data, table, {"remove": {**gone, "partitionValues": add["partitionValues"], "size": add["size"]}})


def assert_a_planted_loss_is_found(engine, directory):
    """In a copy of the store the newest file of logs is lost: the audit is red, and names each place; how many rows."""
    copy, config = copy_of_store(engine, directory)
    add = files(copy, "logs")[-1]
    rows = ParquetFile(copy / "tables" / "logs" / add["path"]).read(columns=["_topic", "_partition", "_offset"]).to_pylist()
    places = {(row["_topic"], row["_partition"], row["_offset"]) for row in rows}
    remove(copy, "logs", add)
    status, report = audit(engine, config=config)
    assert (status, report["verdict"]) == (1, "violated"), report
    missing = [each for each in report["findings"] if each["what"] == "rows_missing" and each["table"] == "logs"]
    assert sum(each["expected"] - each["found"] for each in missing) == len(rows) > 0, (missing, len(rows))
    named = lambda topic, partition, offset: any(  # noqa: E731
        (each["topic"], each["partition"]) == (topic, partition) and each["from_offset"] <= offset < each["to_offset"] for each in missing
    )
    assert all(named(*place) for place in places), (missing, sorted(places)[:5])
    status, report = fsck(engine, config=config)
    assert status == 1 and [each["fault"] for each in report["problems"]] == ["not_in_table"], report
    return len(rows)
