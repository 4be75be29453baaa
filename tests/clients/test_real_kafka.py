"""The engine on a real Apache Kafka (`--kafka`), which `scripts/with-real-kafka.sh` starts.

What the embedded broker has not: transactions, whose markers and aborted records leave holes in the
offsets, compressed batches as other clients write them, and members of a group that are fenced.
"""

import json
import os
import socket
import uuid

import ledger
import pytest
import wire
from confluent_kafka import Consumer, Producer
from engine import Engine, request
from fleet import until


@pytest.fixture(scope="module")
def own():
    cluster = os.environ.get("TIDEMILL_KAFKA")
    if not cluster:
        pytest.skip("SKIPPED a real Kafka: TIDEMILL_KAFKA names none (run through scripts/with-real-kafka.sh)")
    # Topics of this run alone: the cluster may be somebody's own.
    engine = Engine(cluster=cluster, suffix=f".{uuid.uuid4().hex[:8]}")
    try:
        yield engine.start()
    finally:
        engine.close()


def produced(producer):
    assert producer.flush(60) == 0


def test_everything_arrives_exactly_once_across_kill_9_and_restart(own):
    for part in range(2):
        own.send_logs([{"message": f"line {part} {n}", "service": "real"} for n in range(200)])
        own.send_traces(wire.v04([[wire.dd_span("real")] for _ in range(30)]), traces=30)
        own.wait_for("SELECT count(*) AS n FROM spans", lambda rows, part=part: rows[0]["n"] >= 30 * part + 1)
        own.kill()
        own.start()
    own.wait_count(400, "logs WHERE service = 'real'")
    own.wait_count(60, "spans WHERE service = 'real'")
    assert own.stop() == 0
    own.start()
    own.wait_count(400, "logs WHERE service = 'real'")
    ledger.check(own)
    ledger.check_rows(own)


@pytest.mark.parametrize("codec", ["none", "gzip", "lz4", "zstd", "snappy"])
def test_every_compression_of_producers_is_read(own, codec):
    producer = Producer({"bootstrap.servers": own.kafka, "compression.type": codec, "acks": "all"})
    for number in range(300):
        producer.produce(own.topic("it.json"), json.dumps({"service": f"codec-{codec}", "message": "x" * 200, "n": number}))
    produced(producer)
    own.wait_count(300, f"logs WHERE service = 'codec-{codec}'")


def test_an_aborted_transaction_leaves_no_row_and_a_committed_one_all(own):
    producer = Producer({"bootstrap.servers": own.kafka, "transactional.id": f"it-{uuid.uuid4().hex}"})
    producer.init_transactions(30)
    for keep in (True, False, True):
        producer.begin_transaction()
        for number in range(50):
            producer.produce(own.topic("it.json"), json.dumps({"service": f"kept-{keep}", "message": f"m{number}"}))
        produced(producer)
        producer.commit_transaction(30) if keep else producer.abort_transaction(30)
    own.wait_count(100, "logs WHERE service = 'kept-True'")
    assert own.value("SELECT count(*) FROM logs WHERE service = 'kept-False'") == 0
    # The holes are no gaps: what comes behind them arrives, and the ledger's ranges touch.
    producer.begin_transaction()
    producer.produce(own.topic("it.json"), json.dumps({"service": "behind", "message": "still here"}))
    producer.commit_transaction(30)
    own.wait_count(1, "logs WHERE service = 'behind'")
    ledger.check(own)
    ledger.check_rows(own)


def test_a_worker_that_ends_by_itself_is_started_again_and_every_record_is_in_one_row(own):
    """Somebody takes the worker's name in the group: the broker fences it, which no client survives."""
    own.send_logs([{"message": f"before {n}", "service": "fenced"} for n in range(50)])
    own.wait_count(50, "logs WHERE service = 'fenced'")
    group = json.loads(request("GET", own.url("health", "/"))[2])["worker"]["group"]
    thief = Consumer(
        {
            "bootstrap.servers": own.kafka,
            "group.id": group,
            "group.instance.id": f"{socket.gethostname()}-{own.port['health']}",
            "partition.assignment.strategy": "cooperative-sticky",
            "enable.auto.commit": False,
        }
    )
    try:
        thief.subscribe([own.topic("it.json")])
        said = own.log.stat().st_size
        until(lambda: thief.poll(0.1) is None and "another worker for this one" in own.log.read_text()[said:], 60, own.tail)
        own.send_logs([{"message": f"meanwhile {n}", "service": "fenced"} for n in range(50)])
    finally:
        thief.close()
    until(lambda: "the worker goes on" in own.log.read_text()[said:], 60, own.tail)
    own.send_logs([{"message": f"after {n}", "service": "fenced"} for n in range(50)])
    own.wait_count(150, "logs WHERE service = 'fenced'")
    until(lambda: "worker_halted" not in json.loads(request("GET", own.url("health", "/"))[2]), 60, own.tail)
    ledger.check(own)
    ledger.check_rows(own)
