"""What only a person can decide, through the binary and on a real Apache Kafka: messages that Kafka removed before they
were read, topics that are not the ones that were read.

The embedded broker never deletes: without `TIDEMILL_KAFKA` this skips itself.
"""

import json
import os
import re
import subprocess
import uuid

import proof
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from engine import START_DEADLINE, Engine, binary, request
from fleet import until

#: `tidemill worker` needs a person's decision; no other failure ends with it.
UNDECIDED = 4


@pytest.fixture
def own():
    cluster = os.environ.get("TIDEMILL_KAFKA")
    if not cluster:
        pytest.skip("SKIPPED decisions: TIDEMILL_KAFKA names no real Kafka (run through scripts/with-real-kafka.sh)")
    engine = Engine(cluster=cluster, suffix=f".{uuid.uuid4().hex[:8]}", epoch="500ms")
    try:
        yield engine
    finally:
        engine.close()


def accept_gap(engine, partition):
    command = ["operator", "accept-gap", "--topic", engine.topic("it.json"), "--partition", str(partition)]
    return proof.tidemill(engine, *command, "--kafka", engine.cluster, "--reason", "retention was too short", "--by", "ann")


def worker_alone(engine):
    """Runs `tidemill worker` where the engine was, until it ends by itself; its status, and what it said."""
    command = [str(binary()), "worker", "--data-dir", str(engine.data), "--config", str(engine.dir / "tidemill.yaml"), "--kafka", engine.cluster]
    done = subprocess.run(command, capture_output=True, text=True, timeout=START_DEADLINE)
    return done.returncode, done.stdout + done.stderr


def test_messages_that_kafka_removed_are_a_gap_only_after_a_decision(own):
    topic, partition = own.topic("it.json"), 1
    producer = Producer({"bootstrap.servers": own.kafka, "enable.idempotence": True, "acks": "all"})

    def produce(numbers):
        for number in numbers:
            producer.produce(topic, json.dumps({"service": "gap", "n": number}), partition=partition)
        assert producer.flush(60) == 0

    own.start()
    produce(range(100))
    own.wait_count(100, "logs WHERE service = 'gap'")
    assert own.stop() == 0
    produce(range(100, 300))
    place = TopicPartition(topic, partition, 250)
    admin = AdminClient({"bootstrap.servers": own.kafka})
    (done,) = admin.delete_records([place]).values()
    assert done.result(60).low_watermark == 250

    # The worker alone: it ends, and says what is lost, where, and what to do.
    status, said = worker_alone(own)
    assert status == UNDECIDED, (status, said)
    assert f"{topic}-{partition}: offset 100 is gone, the broker has 250 to 300" in said, said
    assert f"tidemill operator accept-gap --topic {topic} --partition {partition} " in said, said
    # The engine: intake and query go on, and health says the same.
    own.start()
    halted = json.loads(request("GET", own.url("health", "/"))[2])["worker_halted"]
    assert f"{topic}-{partition}: offset 100 is gone, the broker has 250 to 300" in halted, halted
    assert f"tidemill operator accept-gap --topic {topic} --partition {partition} " in halted, halted
    own.send_logs([{"message": f"meanwhile {n}", "service": "meanwhile"} for n in range(20)])
    assert own.value("SELECT count(*) FROM logs") == 100, "nothing is guessed"

    status, out, err = accept_gap(own, partition + 1)
    assert status == 1 and "nothing is lost" in err, (status, out, err)
    status, out, err = accept_gap(own, partition)
    assert status == 0 and f"{topic}-{partition}: offsets 100 to 250 are accepted as lost" in out, (status, out, err)
    # It goes on by itself, also after a restart.
    own.wait_count(150, "logs WHERE service = 'gap'")
    own.wait_count(20, "logs WHERE service = 'meanwhile'")
    assert "worker_halted" not in json.loads(request("GET", own.url("health", "/"))[2])
    assert own.stop() == 0
    own.start()
    produce(range(300, 310))
    own.wait_count(160, "logs WHERE service = 'gap'")
    numbers = {int(row["n"]) for row in own.sql("SELECT attributes['n'] AS n FROM logs WHERE service = 'gap'")}
    assert numbers == {*range(100), *range(250, 310)}
    status, out, err = accept_gap(own, partition)
    assert status == 1 and "nothing is lost" in err, "once is enough"

    gaps = own.sql("SELECT _topic, _partition, from_offset, to_offset, messages, events, rule FROM ledger WHERE action = 'gap'")
    assert len(gaps) == 1, gaps
    (gap,) = gaps
    assert (gap["_topic"], gap["_partition"], gap["from_offset"], gap["to_offset"]) == (topic, partition, 100, 250)
    assert (gap["messages"], gap["events"]) == (0, 0) and gap["rule"] == "retention was too short", gap
    report = proof.assert_green(own)
    lost = {(each["topic"], each["partition"]): each["accepted_gap"] for each in report["partitions"] if each["accepted_gap"]}
    assert lost == {(topic, partition): 150} and report["accepted_gap"] == 150
    status, out, _ = proof.tidemill(own, "audit")
    assert status == 0 and "150" in out, out
    assert proof.fsck(own)[0] == 0


def make_anew(engine, topic):
    """Deletes a topic and creates it again."""
    admin = AdminClient({"bootstrap.servers": engine.kafka})
    partitions = len(admin.list_topics(topic, timeout=10).topics[topic].partitions)

    def exists():
        return topic in admin.list_topics(timeout=10).topics

    (done,) = admin.delete_topics([topic], operation_timeout=60).values()
    done.result(60)
    until(lambda: not exists(), 60, lambda: f"{topic} is not deleted")
    (done,) = admin.create_topics([NewTopic(topic, partitions, 1)]).values()
    done.result(60)
    until(exists, 60, lambda: f"{topic} is not there again")


def produce_anew(engine, topic, partition, numbers):
    """With a new producer each time: one that knows the topic that is gone holds on to it."""
    producer = Producer({"bootstrap.servers": engine.kafka, "acks": "all", "retries": 50})
    for number in numbers:
        producer.produce(topic, json.dumps({"service": "anew", "n": number}), partition=partition)
    assert producer.flush(60) == 0


def worker_halted(engine):
    return json.loads(request("GET", engine.url("health", "/"))[2]).get("worker_halted", "")


def test_a_topic_that_was_made_anew_and_grew_past_what_was_read_is_refused_by_name(own):
    topic, partition = own.topic("it.json"), 1
    own.start()
    produce_anew(own, topic, partition, range(100))
    own.wait_count(100, "logs WHERE service = 'anew'")
    assert own.stop() == 0
    make_anew(own, topic)
    produce_anew(own, topic, partition, range(1_000, 1_150))
    refusal = f"{topic}-{partition}: the message at offset 99 is not the one that was read"
    status, said = worker_alone(own)
    assert status == UNDECIDED and refusal in said, (status, said)
    assert "read it under a new name" in said, said
    # The engine says the same for as long as it is so, and takes nothing from the other topic.
    own.start()
    until(lambda: refusal in worker_halted(own), 60, own.tail)
    produce_anew(own, topic, partition, range(1_150, 1_300))
    assert own.value("SELECT count(*) FROM logs WHERE service = 'anew'") == 100


def test_a_topic_made_anew_under_a_running_worker_is_refused_too(own):
    topic, partition = own.topic("it.json"), 1
    own.start()
    produce_anew(own, topic, partition, range(100))
    own.wait_count(100, "logs WHERE service = 'anew'")
    make_anew(own, topic)
    produce_anew(own, topic, partition, range(1_000, 1_150))
    # The client library says nothing, and what stands behind the offset is read; a look every half a minute finds it.
    told = re.compile(re.escape(f"{topic}-{partition}") + r": the message at offset \d+ is not the one that was read")
    until(lambda: told.search(worker_halted(own)), 90, own.tail)
    # Also for the next one: the log names no message of the other topic.
    assert own.stop() == 0
    status, said = worker_alone(own)
    assert status == UNDECIDED and told.search(said), (status, said)
