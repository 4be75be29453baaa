"""History through a corrected pipeline, swapped in at once: real logs, readers beside it, kills at every record."""

import collections
import gzip
import json
import os
import re
import subprocess
import threading

import pytest
from deltalake import DeltaTable
from engine import Engine, binary
from fleet import until
from test_real_data import service, train_ticket

#: The rule that was wrong: levels are padded, and one blank matches only where the logger added none.
RULE = r"java %{notSpace:clock} %{word:level}BLANKS%{notSpace:logger.name}#%{integer:logger.line} TraceID: %{word:trace_id} SpanID: %{word:span_id} %{data:text}"
PIPELINE = """
pipelines:
  - name: train ticket
    filter: source:trainticket
    processors:
      - {type: date-remapper, sources: [time]}
      - type: grok-parser
        source: log
        grok:
          match_rules: |
            RULE
      - {type: status-remapper, sources: [level]}
      - {type: trace-id-remapper, sources: [trace_id]}
      - {type: span-id-remapper, sources: [span_id]}
metrics:
  - name: train.lines
    compute: {aggregation_type: count}
    group_by: [{path: "@level"}]
indexes:
  - name: main
    exclusion_filters:
      - {name: warnings, filter: {query: "status:warn"}}
"""
LEVEL = re.compile(r"\S+ (\w+)")
#: What the wrong rule matches, in Python's words.
WRONG = re.compile(r"\S+ \w+ \S+#\d+ TraceID: ")


def pipeline(directory, name, blanks):
    file = directory / f"{name}.yaml"
    file.write_text(PIPELINE.replace("RULE", RULE.replace("BLANKS", blanks)))
    return file


def tidemill(engine, *arguments, dies=None):
    command = [str(binary()), *arguments, "--data-dir", str(engine.data), "--config", str(engine.dir / "tidemill.yaml")]
    environment = {**os.environ, **({"TIDEMILL_DIE_AT": dies} if dies else {})}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)


def replay(engine, *arguments):
    done = tidemill(engine, "replay", "--format", "json", *arguments)
    assert done.returncode == 0, (done.returncode, done.stderr, done.stdout)
    return json.loads(done.stdout)


def assert_proven(engine):
    for check in ("audit", "fsck"):
        done = tidemill(engine, check)
        assert done.returncode == 0, (check, done.stdout, done.stderr)


def versions(engine, table):
    """Rows by pipeline version, as the query service has them."""
    rows = engine.sql(f"SELECT _pipeline_version AS v, count(*) AS n FROM {table} WHERE _topic = 'tidemill.logs' GROUP BY 1")
    return {row["v"]: row["n"] for row in rows}


def versions_in_delta(engine, table):
    """The same, as any reader of Delta has them."""
    rows = DeltaTable(str(engine.table(table))).to_pyarrow_table(columns=["_pipeline_version", "_topic"]).to_pylist()
    return dict(collections.Counter(row["_pipeline_version"] for row in rows if row["_topic"] == "tidemill.logs"))


#: What a replay changes besides the rows of logs.
TABLES = ("logs", "metrics", "error_events", "ledger")


def rows_of_logs(engine):
    """Fields of each row by its lineage, as any reader of Delta has them: columns by name, attributes with an `@`."""
    found = {}
    for row in DeltaTable(str(engine.table("logs"))).to_pyarrow_table().to_pylist():
        if row["_topic"] == "tidemill.logs":
            place = (row["_partition"], row["_offset"], row["_index"])
            assert place not in found, f"{place} is there twice"
            attributes = {f"@{name}": value for name, value in row["attributes"] or []}
            fields = {name: value for name, value in row.items() if name != "attributes" and not name.startswith("_")}
            found[place] = {name: value for name, value in (fields | attributes).items() if value is not None}
    return found


def differences(before, after):
    """Rows same, changed, gone and new; and of the rows that are in both, each field's added, removed and changed."""
    both = before.keys() & after.keys()
    same = sum(before[place] == after[place] for place in both)
    rows = {"same": same, "changed": len(both) - same, "gone": len(before.keys() - after.keys()), "new": len(after.keys() - before.keys())}
    fields = collections.defaultdict(lambda: {"added": 0, "removed": 0, "changed": 0})
    for place in both:
        for name in before[place].keys() | after[place].keys():
            was, now = before[place].get(name), after[place].get(name)
            if was != now:
                fields[name]["added" if was is None else "removed" if now is None else "changed"] += 1
    return rows, dict(fields)


def decided(engine):
    """Events and bytes that the ledger has by action and rule."""
    rows = engine.sql("SELECT action, rule, sum(events) AS events, sum(bytes) AS bytes FROM ledger WHERE _topic = 'tidemill.logs' GROUP BY 1, 2")
    return {(row["action"], row["rule"] or ""): (row["events"], row["bytes"]) for row in rows}


def in_plan(plan, when):
    """The same, as the plan has it."""
    told = {(rule["action"], rule["rule"]): (rule[when]["events"], rule[when]["bytes"]) for rule in plan["rules"]}
    return {rule: sums for rule, sums in told.items() if sums != (0, 0)}


def files_of_replays(engine):
    """Number and bytes of the files in the tables that replays wrote."""
    sizes = []
    for table in TABLES:
        actions = DeltaTable(str(engine.table(table))).get_add_actions(flatten=True)
        sizes += [size for path, size in zip(actions["path"].to_pylist(), actions["size_bytes"].to_pylist(), strict=True) if "part-replay-" in path]
    return len(sizes), sum(sizes)


class Readers:
    """Ask all the time, and keep every answer."""

    def __init__(self, engine):
        self.stop, self.seen, self.failed = threading.Event(), [], []
        asks = [(versions, table) for table in TABLES] + [(versions_in_delta, table) for table in ("logs", "metrics", "error_events")]
        self.threads = [threading.Thread(target=self._ask, args=(engine, *ask)) for ask in asks]

    def _ask(self, engine, how, table):
        while not self.stop.is_set():
            try:
                self.seen.append((table, how(engine, table)))
            except Exception as error:  # noqa: BLE001 - whatever a reader meets is a failure of the test
                self.failed.append((table, error))
                return

    def __enter__(self):
        [thread.start() for thread in self.threads]
        return self

    def __exit__(self, *_):
        self.stop.set()
        [thread.join() for thread in self.threads]


def send_trains(engine, data):
    """Sends the logs; how many there are of each level, and how many the wrong rule matches."""
    rows = list(train_ticket(data, "log"))
    entries = [
        {"message": row["Log"], "ddsource": "trainticket", "service": service(row["PodName"]), "hostname": row["Node"], "ddtags": "env:tt"} for row in rows
    ]
    for start in range(0, len(entries), 500):
        engine.send_logs(entries[start : start + 500])
    texts = [json.loads(row["Log"])["log"] for row in rows]
    return collections.Counter(LEVEL.match(text)[1] for text in texts), sum(bool(WRONG.match(text)) for text in texts)


@pytest.fixture
def trains(data, tmp_path):
    """An engine that has read the logs with the wrong rule; what the files say of them."""
    engine = Engine(pipeline=pipeline(tmp_path, "wrong", " "))
    try:
        engine.start()
        levels, known = send_trains(engine, data)
        # With the wrong rule no line is known to be a warning.
        engine.wait_count(sum(levels.values()), "logs")
        yield engine, levels, known, pipeline(tmp_path, "right", r"\s+")
    finally:
        engine.close()


def test_a_corrected_rule_swaps_in_with_the_numbers_of_its_plan_and_no_reader_sees_a_mixture(trains):
    engine, levels, known, right = trains
    lines, warnings = sum(levels.values()), levels["WARN"]
    assert_proven(engine)
    before = versions(engine, "logs")
    (old,) = before
    had, decided_before = rows_of_logs(engine), decided(engine)
    planned = replay(engine, "--pipeline", str(right), "--dry-run")
    plan = planned["report"]
    assert planned["seq"] is None and versions(engine, "logs") == before == {old: lines}, "a plan changes nothing"
    logs = plan["tables"]["logs"]
    assert (logs["before"], logs["after"], logs["gone"], logs["new"]) == (lines, lines - warnings, warnings, 0)
    assert (plan["parsed"]["before"], plan["parsed"]["unparsed_before"]) == (known, lines - known) and known > 0
    assert (plan["parsed"]["after"], plan["parsed"]["unparsed_after"]) == (lines - warnings, 0)
    changed = lines - warnings - known
    assert (logs["same"], logs["changed"]) == (known, changed)
    fields = plan["fields"]["logs"]
    for name in ("@level", "@clock", "@text", "trace_id", "span_id"):
        assert (fields[name]["added"], fields[name]["removed"], fields[name]["changed"]) == (changed, 0, 0), name
    errors = plan["tables"]["error_events"]
    assert (errors["before"], errors["after"]) == (engine.value("SELECT count(*) FROM error_events"), levels["ERROR"])
    rules = {(rule["action"], rule["rule"]): (rule["before"]["events"], rule["after"]["events"]) for rule in plan["rules"]}
    assert rules == {("received", ""): (lines, lines), ("indexed", "main"): (lines, lines - warnings), ("excluded", "main/warnings"): (0, warnings)}
    series = plan["series"]
    assert (series["count_before"], series["count_after"]) == (lines, lines)
    assert (series["gone"], series["new"]) == (1, len(levels) - 1), "lines of no level now have one"

    with Readers(engine) as readers:
        done = replay(engine, "--resume", plan["replay"])
        new = done["report"]["pipeline_version"]
        for table in TABLES:
            asked = f"SELECT DISTINCT _pipeline_version AS v FROM {table} WHERE _topic = 'tidemill.logs'"
            engine.wait_for(asked, lambda rows: [row["v"] for row in rows] == [new])
        looks = len(readers.seen)
        until(lambda: len(readers.seen) > looks + 50 or readers.failed, 60, engine.tail)
    assert readers.failed == []
    assert done["report"] == plan and done["seq"] is not None, "the report is the plan's"
    # The tables are what it says: looked at one by one, not asked of the replay.
    has = rows_of_logs(engine)
    counted, fields = differences(had, has)
    assert counted == {name: plan["tables"]["logs"][name] for name in counted}
    assert fields == {name: {how: told[how] for how in ("added", "removed", "changed")} for name, told in plan["fields"]["logs"].items()}
    assert plan["untold_fields"] == 0 and fields["status"]["changed"] == sum(had[place]["status"] != row["status"] for place, row in has.items()) > 0
    assert decided_before == in_plan(plan, "before")
    assert decided(engine) == in_plan(plan, "after")
    sent = engine.value("SELECT sum(messages) FROM ledger WHERE _topic = 'tidemill.logs' AND action = 'received'")
    assert plan["messages"] == sent
    assert files_of_replays(engine) == (plan["files"], plan["file_bytes"])
    rows = {table: [{old: plan["tables"][table]["before"]}, {new: plan["tables"][table]["after"]}] for table in TABLES}
    assert rows["logs"] == [{old: lines}, {new: lines - warnings}]
    for table, seen in readers.seen:
        assert len(seen) == 1 and set(seen) <= {old, new}, (table, seen)
        assert seen in rows.get(table, [seen]), (table, seen)
    for version in (old, new):
        assert {table for table, seen in readers.seen if version in seen} == set(TABLES), "each table was looked at before and after"
    assert_proven(engine)

    statuses = {row["status"]: row["n"] for row in engine.sql("SELECT status, count(*) AS n FROM logs GROUP BY 1")}
    assert statuses == {"info": levels["INFO"], "error": levels["ERROR"]}
    counted = engine.sql("SELECT tags['level'] AS level, sum(count) AS n FROM metrics WHERE name = 'train.lines' GROUP BY 1")
    assert {row["level"]: row["n"] for row in counted} == levels, "the metric is over all lines, kept or not"
    assert engine.value("SELECT min(timestamp) FROM logs").startswith("2023-01-29"), "events keep their own time"
    # The same again changes nothing.
    again = replay(engine, "--pipeline", str(right))["report"]
    logs = again["tables"]["logs"]
    assert (logs["same"], logs["changed"], logs["gone"], logs["new"]) == (lines - warnings, 0, 0, 0)
    assert again["fields"] == {} and again["series"]["moved"] == again["series"]["gone"] == again["series"]["new"] == 0
    assert_proven(engine)


PROGRESS = re.compile(r"replay (\w+): (\d+) of (\d+) messages \((\d+) %\), (\d+)/s, (\d+) s left")


def test_a_replay_that_takes_a_while_says_how_far_it_is_and_how_long_it_takes(trains, data):
    engine, levels, _, right = trains
    sent = sum(levels.values())
    while True:
        done = tidemill(engine, "replay", "--pipeline", str(right), "--dry-run", "--threads", "1")
        assert done.returncode == 0, done.stderr
        (took,) = re.findall(r"everything is staged, after ([\d.]+) s", done.stderr)
        # Several of the intervals of one second, on a machine that is quick as well.
        if float(took) > 4:
            break
        assert sent < 500_000, "a replay of half a million logs takes no four seconds?"
        levels, _ = send_trains(engine, data)
        sent += sum(levels.values())
        engine.wait_count(sent, "logs")
    messages = engine.value("SELECT sum(messages) FROM ledger WHERE _topic = 'tidemill.logs' AND action = 'received'")
    told = [tuple(map(int, line.groups()[1:])) for line in map(PROGRESS.fullmatch, done.stderr.splitlines()) if line]
    assert 2 < len(told) <= float(took) + 2, done.stderr
    before = 0
    for number, of, percent, rate, left in told:
        assert of == messages and before < number <= of and percent == 100 * number // of, done.stderr
        rest, before = of - number, number
        # The rate is printed rounded.
        assert rest / (rate + 0.5) - 1 <= left <= rest / max(rate - 0.5, 1) + 1, done.stderr
    assert (number, left) == (messages, 0), "the last one is of the end"
    # The rate is that of all the time so far.
    assert messages / float(took) - 1 <= rate <= 2 * messages / float(took) + 1, done.stderr


def test_a_replay_that_dies_at_every_record_is_resumed_to_the_same_end(trains):
    engine, levels, _, right = trains
    lines = sum(levels.values())
    (old,) = versions(engine, "logs")
    began = tidemill(engine, "replay", "--pipeline", str(right), dies="record-appended:1")
    assert began.returncode < 0, (began.returncode, began.stderr)
    (known,) = json.loads(tidemill(engine, "replay", "list", "--format", "json").stdout)
    assert known["state"] == "unfinished"
    deaths = 1
    for number in range(1, 60):
        # A life takes its partitions again, which is a record too: it comes one further than the one before.
        died = tidemill(engine, "replay", "--resume", known["id"], dies=f"record-appended:{number}")
        if died.returncode == 0 or "was swapped in" in died.stderr:
            break
        assert died.returncode < 0, (died.returncode, died.stderr)
        deaths += 1
        assert versions(engine, "logs").keys() <= {old, known["plan"]["pipeline_version"]}
        assert len(versions_in_delta(engine, "logs")) == 1
    else:
        raise AssertionError("it never came to its end")
    assert deaths > 4, "a replay has more records than that"
    new = known["plan"]["pipeline_version"]
    engine.wait_for("SELECT DISTINCT _pipeline_version AS v FROM logs", lambda rows: [row["v"] for row in rows] == [new])
    assert versions(engine, "logs") == {new: lines - levels["WARN"]}
    assert_proven(engine)
    print(f"{deaths} kills of a replay, at each of its records, survived")


def test_what_can_not_be_replayed_is_refused_and_dropped_replays_leave_nothing(trains):
    engine, _, _, right = trains
    refused = tidemill(engine, "replay", "--from", "2019-01-01", "--to", "2019-01-02")
    assert refused.returncode == 1 and "nothing was received then" in refused.stderr
    assert tidemill(engine, "replay", "--topic", "nobody").returncode == 2
    assert tidemill(engine, "replay", "--resume", "000000000000").returncode == 1
    # What was received without a time of its own lies in the hour of now.
    engine.send_logs([{"message": "now", "ddsource": "other", "service": "now"}])
    engine.wait_count(1, "logs WHERE service = 'now'")
    refused = tidemill(engine, "replay", "--pipeline", str(right))
    assert refused.returncode == 1 and "open hour" in refused.stderr and "--to" in refused.stderr, refused.stderr
    end = engine.value("SELECT max(to_offset) FROM ledger WHERE _topic = 'tidemill.logs' AND _partition = (SELECT min(_partition) FROM logs WHERE service = 'now')")
    partition = engine.value("SELECT min(_partition) FROM logs WHERE service = 'now'")
    # Up to the unit before it, it is allowed.
    last = engine.value(f"SELECT max(from_offset) FROM ledger WHERE _topic = 'tidemill.logs' AND _partition = {partition} AND to_offset = {end}")
    done = replay(engine, "--pipeline", str(right), "--dry-run", "--partition", str(partition), "--to-offset", str(last))
    staged = list(engine.table("logs").glob("date=*/hour=*/part-replay-*"))
    assert staged
    dropped = tidemill(engine, "replay", "drop", done["report"]["replay"])
    assert dropped.returncode == 0, dropped.stderr
    assert list(engine.table("logs").glob("date=*/hour=*/part-replay-*")) == []
    assert json.loads(tidemill(engine, "replay", "list", "--format", "json").stdout) == []
    assert_proven(engine)


def test_messages_that_were_kept_are_replayed_when_kafka_is_out_of_reach(data, tmp_path, monkeypatch):
    engine = Engine(pipeline=pipeline(tmp_path, "wrong", " "), keep_raw="all")
    try:
        engine.start()
        levels, _ = send_trains(engine, data)
        lines, warnings = sum(levels.values()), levels["WARN"]
        engine.wait_count(lines, "logs")
        # Nobody listens there: whoever asked Kafka would fail.
        monkeypatch.setenv("TIDEMILL_KAFKA_BROKERS", "127.0.0.1:1")
        right = pipeline(tmp_path, "right", r"\s+")
        done = replay(engine, "--raw", "--pipeline", str(right))
        assert done["report"]["tables"]["logs"]["after"] == lines - warnings
        engine.wait_for("SELECT count(*) AS n FROM logs WHERE _topic = 'tidemill.logs'", lambda rows: rows[0]["n"] == lines - warnings)
        assert len(versions(engine, "logs")) == 1, "one version, the new one"
        assert engine.value("SELECT count(*) FROM raw_messages") > 0
        monkeypatch.delenv("TIDEMILL_KAFKA_BROKERS")
        assert_proven(engine)
    finally:
        engine.close()


def test_excluded_logs_come_back_and_the_ledger_says_so(data, tmp_path):
    engine = Engine(pipeline=pipeline(tmp_path, "right", r"\s+"))
    try:
        engine.start()
        levels, _ = send_trains(engine, data)
        lines, warnings = sum(levels.values()), levels["WARN"]
        engine.wait_count(lines - warnings, "logs")
        assert_proven(engine)
        counted = engine.value("SELECT sum(count) FROM metrics WHERE name = 'train.lines'")
        planned = tidemill(engine, "restore", "--query", "status:warn @level:WARN", "--dry-run", "--format", "json")
        assert planned.returncode == 0, planned.stderr
        plan = json.loads(planned.stdout)["report"]
        assert plan["tables"]["logs"]["before"] == 0 and plan["tables"]["logs"]["after"] == warnings > 0
        engine.wait_count(lines - warnings, "logs")
        with Readers(engine) as readers:
            done = replay(engine, "--resume", plan["replay"])
            engine.wait_count(lines, "logs")
        assert done["report"] == plan and readers.failed == []
        (version,) = versions(engine, "logs")
        counts = {seen.get(version) for table, seen in readers.seen if table == "logs"}
        assert counts <= {lines - warnings, lines}, "all of them or none"
        assert_proven(engine)
        ledger = {row["action"]: row["n"] for row in engine.sql("SELECT action, sum(events) AS n FROM ledger WHERE _topic = 'tidemill.logs' GROUP BY 1")}
        assert ledger == {"received": lines, "indexed": lines, "restored": warnings}
        assert engine.value("SELECT min(rule) FROM ledger WHERE action = 'restored'") == "main/warnings"
        assert engine.value("SELECT count(*) FROM logs WHERE status = 'warn' AND trace_id IS NOT NULL") == warnings
        assert engine.value("SELECT sum(count) FROM metrics WHERE name = 'train.lines'") == counted == lines
        nothing = tidemill(engine, "restore", "--query", "status:warn")
        assert nothing.returncode == 1 and "nothing was received" in nothing.stderr, "none is excluded any more"
        bad = tidemill(engine, "restore", "--query", "status:(")
        assert bad.returncode == 2 and "--query" in bad.stderr
    finally:
        engine.close()


def test_excluded_logs_come_back_without_kafka_and_what_was_not_kept_is_said(data, tmp_path, monkeypatch):
    engine = Engine(pipeline=pipeline(tmp_path, "right", r"\s+"))
    try:
        engine.start()
        levels, _ = send_trains(engine, data)
        lines, warnings = sum(levels.values()), levels["WARN"]
        engine.wait_count(lines - warnings, "logs")
        # The first half of the warnings is excluded without a trace, of the second the message stays.
        engine.stop()
        engine.keep_raw = "excluded"
        engine.start()
        send_trains(engine, data)
        engine.wait_count(2 * (lines - warnings), "logs")
        assert engine.value("SELECT sum(excluded) FROM raw_messages") == warnings > 0
        monkeypatch.setenv("TIDEMILL_KAFKA_BROKERS", "127.0.0.1:1")
        asked = ["restore", "--raw", "--query", "status:warn"]
        planned = tidemill(engine, *asked, "--dry-run")
        assert planned.returncode == 0, planned.stderr
        assert f"searched: {warnings} of {2 * warnings}; the other {warnings} have no message" in planned.stdout, planned.stdout
        assert "as far as they were kept" in planned.stderr, planned.stderr
        done = tidemill(engine, *asked, "--format", "json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["report"]["excluded"] == {"counted": 2 * warnings, "looked_at": warnings}
        engine.wait_count(2 * lines - warnings, "logs")
        monkeypatch.delenv("TIDEMILL_KAFKA_BROKERS")
        assert_proven(engine)
        again = tidemill(engine, *asked)
        assert again.returncode == 1 and "worker.keep_raw" in again.stderr, "what is still excluded was not kept"
        assert engine.value("SELECT count(*) FROM logs WHERE status = 'warn'") == warnings
    finally:
        engine.close()


def test_an_archive_goes_into_the_tables_once_however_often_it_is_read(data, tmp_path):
    engine = Engine(pipeline=pipeline(tmp_path, "right", r"\s+"))
    rows = list(train_ticket(data, "log"))
    archive = tmp_path / "archive"
    archive.mkdir()

    def write(name, rows):
        lines = [{"message": row["Log"], "ddsource": "trainticket", "service": service(row["PodName"])} for row in rows]
        (archive / name).write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))

    half = len(rows) // 2
    write("a.jsonl.gz", rows[:half])
    write("b.jsonl.gz", rows[half:])
    kept = sum(LEVEL.match(json.loads(row["Log"])["log"])[1] != "WARN" for row in rows)
    last = sum(LEVEL.match(json.loads(row["Log"])["log"])[1] != "WARN" for row in rows[half:])
    try:
        engine.start()
        engine.send_logs([{"message": "live", "ddsource": "other", "service": "live"}])
        engine.wait_count(1, "logs WHERE service = 'live'")
        # The rule reads the attribute `log` that Docker wrote: the envelope must stay.
        arguments = ["--archive", str(archive), "--name", "trains", "--envelope", "none"]
        planned = replay(engine, *arguments, "--dry-run")["report"]
        assert (planned["tables"]["logs"]["before"], planned["tables"]["logs"]["after"]) == (0, kept)
        done = replay(engine, "--resume", planned["replay"])["report"]
        assert done == planned
        engine.wait_count(kept, "logs WHERE _topic = 'archive:trains'")
        again = replay(engine, *arguments)["report"]
        assert (again["tables"]["logs"]["before"], again["tables"]["logs"]["after"]) == (kept, kept)
        assert_proven(engine)
        # The first file is gone: so are its rows, after the next reading.
        (archive / "a.jsonl.gz").unlink()
        fewer = replay(engine, *arguments)["report"]
        assert (fewer["tables"]["logs"]["before"], fewer["tables"]["logs"]["after"]) == (kept, last)
        engine.wait_for("SELECT count(*) AS n FROM logs WHERE _topic = 'archive:trains'", lambda rows: rows[0]["n"] == last)
        assert engine.value("SELECT max(timestamp) FROM logs WHERE _topic = 'archive:trains'").startswith("2023-01-29")
        assert engine.value("SELECT count(*) FROM logs WHERE service = 'live'") == 1
        assert_proven(engine)
        nowhere = tidemill(engine, "replay", "--archive", str(tmp_path / "nowhere"), "--name", "x")
        assert nowhere.returncode == 2 and "nowhere" in nowhere.stderr
    finally:
        engine.close()
