"""`tidemill audit`, `fsck`, `operator` and `redrive` against a real engine: green while it runs and after every
kill -9, red with every fault planted in its tables, and exactly where.
"""

import json
import os
import random
import shutil
import time

import pytest
import wire
from confluent_kafka import Consumer, Producer, TopicPartition
from deltalake import DeltaTable
from engine import Engine, request
from proof import assert_green, audit, commit, files, fsck, not_violated, remove, tidemill
from test_kill import HttpWriter, KafkaWriter

#: kill -9 of the sweep; more for a soak.
KILLS = int(os.environ.get("TIDEMILL_AUDIT_KILLS", "5"))
#: Records a second that go on being written while audits read: what matters here is where a kill falls.
RATE = int(os.environ.get("TIDEMILL_RATE", "300"))
SEED = int(os.environ.get("TIDEMILL_SEED", str(random.randrange(1 << 32))))


@pytest.fixture
def own():
    engine = Engine(epoch="500ms")
    yield engine
    engine.close()


def test_green_beside_a_running_engine_and_after_every_kill(own):
    chance = random.Random(SEED)
    print(f"TIDEMILL_SEED={SEED} TIDEMILL_AUDIT_KILLS={KILLS}")
    own.start()
    kafka, http = KafkaWriter(own.kafka, rate=RATE), HttpWriter(own.url("datadog", "/api/v2/logs"))
    kafka.start()
    http.start()
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.5, 2.5))
        assert_green(own)
        own.kill()
        # On its own: nothing runs. A kill between the tables of one unit leaves the end unsettled, never violated.
        not_violated(own)
        status, report = fsck(own)
        assert status == 0, report["problems"]
        own.start()
    http.ended.set()
    http.join(60)
    kafka.finish()
    own.wait_for("SELECT count(*) AS n FROM logs WHERE service = 'kill-kafka'", lambda rows: rows[0]["n"] >= kafka.sent, 180)
    report = assert_green(own)
    assert report["received"] >= kafka.sent + http.accepted and report["accepted_gap"] == 0
    assert own.stop() == 0
    assert assert_green(own)["received"] == report["received"]
    assert fsck(own)[0] == 0


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A stopped engine with logs, dead letters and several units; tests plant faults in copies of its data."""
    engine = Engine(epoch="500ms")
    engine.start()
    producer = Producer({"bootstrap.servers": engine.kafka, "enable.idempotence": True, "acks": "all"})
    for part in range(4):
        for number in range(100):
            bad = number % 20 == 7
            value = "{no json" if bad else json.dumps({"service": "audit", "n": part * 100 + number})
            producer.produce("it.json", value, key=str(number % 13))
        assert producer.flush(30) == 0
        engine.wait_for("SELECT sum(events) AS n FROM ledger WHERE action = 'received'", lambda rows, part=part: rows[0]["n"] == (part + 1) * 100)
    assert engine.stop() == 0
    yield engine
    engine.close()


def copy(written, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(written.data, data, ignore=shutil.ignore_patterns("kafka", "tidemill.lock"))
    return data


def test_red_on_every_planted_fault(written, tmp_path):
    assert_green(written)

    data = copy(written, tmp_path / "loss")
    lost = files(data, "logs")[1]
    remove(data, "logs", lost)
    status, report = audit(written, data)
    missing = [each for each in report["findings"] if each["what"] == "rows_missing" and each["table"] == "logs"]
    assert status == 1 and sum(each["expected"] - each["found"] for each in missing) == json.loads(lost["stats"])["numRecords"]
    assert all(each["topic"] == "it.json" and each["to_offset"] > each["from_offset"] for each in missing)
    status, report = fsck(written, data)
    assert status == 1 and [each["fault"] for each in report["problems"]] == ["not_in_table"]

    data = copy(written, tmp_path / "double")
    doubled = files(data, "logs")[0]
    name = doubled["path"].replace(".parquet", "-copy.parquet")
    shutil.copy(data / "tables/logs" / doubled["path"], data / "tables/logs" / name)
    commit(data, "logs", {"add": {**doubled, "path": name}})
    status, report = audit(written, data)
    twice = [each for each in report["findings"] if each["what"] == "row_twice"]
    assert status == 1 and twice and all((each["expected"], each["found"]) == (1, 2) for each in twice)
    assert [each["fault"] for each in fsck(written, data)[1]["problems"]] == ["unknown_in_table"]

    data = copy(written, tmp_path / "gone")
    os.remove(data / "tables/dead_letters" / files(data, "dead_letters")[0]["path"])
    status, report = audit(written, data)
    assert status == 1 and {each["what"] for each in report["findings"]} == {"file_missing"}
    assert [each["fault"] for each in fsck(written, data)[1]["problems"]] == ["file_missing"]

    data = copy(written, tmp_path / "ledger")
    remove(data, "ledger", files(data, "ledger")[1])
    status, report = audit(written, data)
    assert status == 1 and "gap" in {each["what"] for each in report["findings"]}

    data = copy(written, tmp_path / "row")
    # One ledger row less, by an engine of others.
    table = DeltaTable(str(data / "tables/ledger"))
    table.delete("action = 'dead_letter'")
    status, report = audit(written, data)
    assert status == 1 and "unbalanced" in {each["what"] for each in report["findings"]}


def test_what_can_not_be_checked_is_neither(written, tmp_path):
    (tmp_path / "empty").mkdir()
    for command in ("audit", "fsck"):
        status, out, err = tidemill(written, command, data=tmp_path / "empty")
        assert status == 2 and out == "" and "--data-dir" in err, (command, status, out, err)


def test_an_emptied_log_is_a_decision_and_the_rest_goes_on(own):
    own.start()
    own.send_logs([{"message": f"line {n}", "service": "adopt"} for n in range(50)])
    own.wait_count(50, "logs WHERE service = 'adopt'")
    failed = [{"message": "it broke", "service": "adopt", "status": "error", "error.kind": "Broken", "error.message": "it broke"}]
    own.send_logs(failed * 5)
    counted = "error_issues WHERE service = 'adopt' AND events = {}"
    own.wait_count(1, counted.format(5))
    assert own.stop() == 0
    shutil.rmtree(own.data / "_sys")
    own.start()
    halted = json.loads(request("GET", own.url("health", "/"))[2])["worker_halted"]
    assert "tidemill operator adopt" in halted, halted
    # Intake and query go on.
    own.send_logs([{"message": f"late {n}", "service": "adopt"} for n in range(20)])
    assert own.value("SELECT count(*) FROM logs WHERE service = 'adopt'") == 55
    status, out, err = tidemill(own, "operator", "adopt", "--reason", "the log was deleted", "--by", "test")
    assert status == 0, (out, err)
    own.wait_count(75, "logs WHERE service = 'adopt'")
    own.send_logs(failed)
    own.wait_count(1, counted.format(6))
    assert "worker_halted" not in json.loads(request("GET", own.url("health", "/"))[2])
    assert_green(own)
    assert fsck(own)[0] == 0
    status, out, err = tidemill(own, "operator", "adopt", "--reason", "again")
    assert status == 1 and "nothing is to be adopted" in err, (status, out, err)


def test_dead_letters_are_sent_again_once(own):
    own.start()
    producer = Producer({"bootstrap.servers": own.kafka, "enable.idempotence": True, "acks": "all"})
    # Refused where it stands: the header names a format that can not be on a topic of logs.
    for number in range(30):
        producer.produce("it.json", json.dumps({"service": "redrive", "n": number}), headers={"content-type": "datadog_v04", "ddtags": "env:again"})
    producer.produce("it.json", "{no json")
    assert producer.flush(30) == 0
    own.wait_count(31, "dead_letters")

    status, out, err = tidemill(own, "redrive", "--reason", "test", "--dry-run", "--format", "json")
    assert status == 0 and json.loads(out)["sent"] == 31, (out, err)
    own.wait_count(31, "dead_letters")
    status, out, err = tidemill(own, "redrive", "--reason", "test", "--letters", "malformed_json", "--format", "json")
    assert status == 0 and json.loads(out)["sent"] == 1, (out, err)
    # It is as broken as before: a letter of its own, with its own lineage.
    own.wait_count(32, "dead_letters")
    status, out, err = tidemill(own, "redrive", "--reason", "test", "--where", "reason = 'wrong_signal'", "--format", "json")
    assert status == 0 and json.loads(out)["sent"] == 30, (out, err)
    own.wait_count(62, "dead_letters")
    # The first ones are not sent another time, the new ones could be.
    status, out, err = tidemill(own, "redrive", "--reason", "test", "--dry-run", "--format", "json")
    assert status == 0 and json.loads(out)["sent"] == 31, (out, err)
    assert own.value("SELECT count(*) FROM ledger WHERE action = 'redriven'") == 31
    status, out, err = tidemill(own, "redrive", "--reason", "test", "--resume")
    assert status == 1 and "unfinished" in err, (status, out, err)
    assert_green(own)


#: What was wrong: how the topic was read, how it is to be read, what producers write there, and why it was refused.
FIXES = {
    # The format is the topic's: its messages have no header that says so.
    "format": (("logs", "json"), ("logs", "datadog_logs"), None, "malformed_json"),
    # The format is the message's, and can not be on a topic of logs.
    "signal": (("logs", "json"), ("spans", "datadog_v04"), "datadog_v04", "wrong_signal"),
}


@pytest.mark.parametrize("wrong", ["format", "signal"])
def test_after_the_configuration_is_corrected_a_redrive_brings_the_rows_once(own, wrong):
    was, corrected, header, reason = FIXES[wrong]
    own.sources["it.json"] = was
    own.start()
    producer = Producer({"bootstrap.servers": own.kafka, "enable.idempotence": True, "acks": "all"})
    for number in range(40):
        if header:
            value = wire.v04([[wire.dd_span("fixed"), wire.dd_span("fixed")]])
        else:
            value = json.dumps([{"service": "fixed", "message": f"{number} {part}"} for part in range(2)])
        producer.produce("it.json", value, key=str(number), headers={"content-type": header} if header else None)
    assert producer.flush(30) == 0
    own.wait_count(40, f"dead_letters WHERE _topic = 'it.json' AND reason = '{reason}'")
    assert own.value("SELECT sum(events) FROM ledger WHERE action = 'dead_letter' AND _topic = 'it.json'") == 40
    assert own.stop() == 0

    own.sources["it.json"] = corrected
    own.start()
    table = corrected[0]
    assert own.value(f"SELECT count(*) FROM {table} WHERE service = 'fixed'") == 0, "what was refused is not read again by itself"
    status, out, err = tidemill(own, "redrive", "--reason", f"the {wrong} was wrong", "--topic", "it.json", "--format", "json")
    assert status == 0 and json.loads(out)["sent"] == 40, (out, err)
    own.wait_for("SELECT sum(events) AS n FROM ledger WHERE action IN ('indexed', 'dead_letter')", lambda rows: rows[0]["n"] in (80, 120))
    assert own.value("SELECT count(*) FROM dead_letters") == 40, own.sql("SELECT reason, format, detail, count(*) AS n FROM dead_letters GROUP BY ALL")
    own.wait_count(80, f"{table} WHERE service = 'fixed'")
    ends = ends_of(own, "it.json")
    status, out, err = tidemill(own, "redrive", "--reason", "once more", "--topic", "it.json", "--format", "json")
    assert status == 0 and json.loads(out)["sent"] == 0, (out, err)
    assert ends_of(own, "it.json") == ends, "nothing was sent a second time"
    assert own.value(f"SELECT count(*) FROM {table} WHERE service = 'fixed'") == 80
    assert own.value("SELECT count(*) FROM dead_letters") == 40, "the letters stay where they are"
    assert own.value("SELECT sum(events) FROM ledger WHERE action = 'redriven'") == 40
    report = assert_green(own)
    assert (report["received"], report["dead_letters"]) == (120, 40)
    assert fsck(own)[0] == 0


def ends_of(engine, topic):
    """Where each partition of a topic ends in Kafka."""
    consumer = Consumer({"bootstrap.servers": engine.kafka, "group.id": "test"})
    try:
        partitions = consumer.list_topics(topic, 20).topics[topic].partitions
        return {number: consumer.get_watermark_offsets(TopicPartition(topic, number), 20)[1] for number in partitions}
    finally:
        consumer.close()


def test_a_redrive_that_was_killed_is_finished_without_sending_twice(own):
    own.start()
    producer = Producer({"bootstrap.servers": own.kafka, "enable.idempotence": True, "acks": "all"})
    for number in range(30):
        producer.produce("it.json", json.dumps({"service": "killed", "n": number}), headers={"content-type": "datadog_v04"})
    assert producer.flush(30) == 0
    own.wait_count(30, "dead_letters")

    # What a run leaves that was killed in the middle: its journal, and a third of its messages.
    columns = "_topic AS topic, _partition AS partition, _offset AS offset, _index AS index, signal, reason, payload_bytes AS bytes"
    letters = own.sql(f"SELECT {columns} FROM dead_letters ORDER BY 1, 2, 3")
    ends = [["it.json", partition, end] for partition, end in ends_of(own, "it.json").items()]
    journal = own.data / "_sys/live/redrive/current"
    journal.parent.mkdir()
    journal.write_text(json.dumps({"id": "killed", "letters": letters, "ends": ends, "log_end": 0}))
    for each in letters[:10]:
        mark = f"killed/{each['topic']}/{each['partition']}/{each['offset']}/{each['index']}"
        producer.produce("it.json", "{}", headers={"content-type": "datadog_v04", "tidemill-redriven": mark})
    assert producer.flush(30) == 0

    status, _, err = tidemill(own, "redrive", "--reason", "test")
    assert status == 1 and "--resume" in err, err
    status, out, err = tidemill(own, "redrive", "--reason", "test", "--resume", "--format", "json")
    done = json.loads(out)
    assert status == 0 and (done["arrived_before"], done["sent"]) == (10, 20), (out, err)
    own.wait_count(60, "dead_letters")
    assert own.value("SELECT count(*) FROM ledger WHERE action = 'redriven'") == 30
    assert not journal.exists()
    assert_green(own)
