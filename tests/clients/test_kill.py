"""kill -9 at random moments, restart, and every record is there exactly once.

Kafka's idempotent producer gives the exact side: what it was told is stored has an offset, and
that offset must be one row. The HTTP side is at-least-once, as HTTP is: a client that lost its
answer sends again, so an id may come twice, but never with the same offset, and never not at all.
"""

import collections
import json
import os
import random
import threading
import time
import urllib.error

import ledger
import pytest
from confluent_kafka import Producer
from engine import Engine, request

#: kill -9 per run; more for a soak.
KILLS = int(os.environ.get("TIDEMILL_KILLS", "5"))
#: Records a second; the embedded broker of a build for tests takes and gives a few thousand.
RATE = int(os.environ.get("TIDEMILL_RATE", "1000"))
SEED = int(os.environ.get("TIDEMILL_SEED", str(random.randrange(1 << 32))))
TOPIC = "it.json"


class KafkaWriter(threading.Thread):
    """Numbers, one after another, through an idempotent producer that never gives up."""

    def __init__(self, brokers, topic=TOPIC, rate=RATE):
        super().__init__(daemon=True)
        self.topic, self.rate = topic, rate
        self.producer = Producer(
            {
                "bootstrap.servers": brokers,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 5,
                "message.timeout.ms": 300_000,
                "reconnect.backoff.max.ms": 500,
                "queue.buffering.max.messages": 20_000,
                "log_level": 0,
            }
        )
        self.stored, self.failed, self.sent = {}, [], 0
        self.ended = threading.Event()

    def run(self):
        while not self.ended.is_set():
            number = self.sent
            value = json.dumps({"service": "kill-kafka", "message": f"record {number}", "n": number})
            try:
                self.producer.produce(self.topic, value, key=str(number % 97), on_delivery=lambda error, message, n=number: self.told(n, error, message))
            except BufferError:
                self.producer.poll(0.1)
                continue
            self.sent += 1
            self.producer.poll(0)
            if number % 10 == 0:
                time.sleep(10 / self.rate)

    def told(self, number, error, message):
        if error:
            self.failed.append((number, str(error)))
        else:
            self.stored[number] = (message.partition(), message.offset())

    def finish(self):
        self.ended.set()
        self.join(30)
        assert self.producer.flush(120) == 0, "the producer could not deliver what was left"


class HttpWriter(threading.Thread):
    """Numbers through the logs intake; each is sent until it was answered 202."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.url, self.accepted, self.retries = url, 0, 0
        self.ended = threading.Event()

    def run(self):
        while not self.ended.is_set():
            body = json.dumps([{"service": "kill-http", "message": f"record {self.accepted}", "n": self.accepted}]).encode()
            while True:
                try:
                    status, _, _ = request("POST", self.url, body, {"Content-Type": "application/json"}, timeout=30)
                except (OSError, urllib.error.URLError):
                    status = 0
                if status == 202:
                    break
                assert status in (0, 429, 503), f"{status} is no answer a client retries"
                self.retries += 1
                time.sleep(0.05)
            self.accepted += 1


@pytest.fixture
def own():
    engine = Engine(epoch="500ms")
    yield engine
    engine.close()


def test_every_record_exactly_once_through_kill_9(own):
    chance = random.Random(SEED)
    print(f"TIDEMILL_SEED={SEED} TIDEMILL_KILLS={KILLS}")
    own.start()
    kafka, http = KafkaWriter(own.kafka), HttpWriter(own.url("datadog", "/api/v2/logs"))
    kafka.start()
    http.start()
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.2, 3.0))
        own.kill()
        own.start()
    time.sleep(1)
    http.ended.set()
    http.join(60)
    assert not http.is_alive()
    kafka.finish()
    assert kafka.failed == [], kafka.failed[:5]
    assert len(kafka.stored) == kafka.sent > 0 and http.accepted > 0

    own.wait_for("SELECT count(*) AS n FROM logs WHERE service = 'kill-kafka'", lambda rows: rows[0]["n"] >= kafka.sent, 180)
    own.wait_for("SELECT count(DISTINCT attributes['n']) AS n FROM logs WHERE service = 'kill-http'", lambda rows: rows[0]["n"] >= http.accepted, 60)
    rows = rows_of_kafka(own, kafka.sent)
    assert len(rows) == kafka.sent, f"{len(rows)} rows, {kafka.sent} sent"
    assert {number for _, number in rows} == set(kafka.stored)
    in_order = collections.defaultdict(list)
    for (partition, offset), number in sorted(rows):
        in_order[partition].append(number)
    assert all(numbers == sorted(numbers) for numbers in in_order.values()), "an idempotent producer keeps its order"
    assert {(place[0], number) for place, number in rows} == {(place[0], number) for number, place in kafka.stored.items()}
    # A batch whose first acknowledgement was lost is answered "duplicate" the second time: it is stored,
    # but the embedded broker then tells offsets from 0 on. Every other offset told is the row's.
    told = {(place, number) for number, place in kafka.stored.items()}
    assert len(told & rows) > len(rows) / 2
    ledger.check(own)
    ledger.check_rows(own)

    # A last restart changes nothing.
    assert own.stop() == 0
    own.start()
    own.wait_count(kafka.sent, "logs WHERE service = 'kill-kafka'")
    ledger.check_rows(own)


def rows_of_kafka(engine, count):
    """((partition, offset), number) of every row, in pages below the row limit."""
    out, step = set(), 20_000
    for start in range(0, count, step):
        page = engine.sql(
            "SELECT _partition, _offset, CAST(attributes['n'] AS BIGINT) AS n FROM logs WHERE service = 'kill-kafka' "
            f"AND CAST(attributes['n'] AS BIGINT) >= {start} AND CAST(attributes['n'] AS BIGINT) < {start + step}"
        )
        out |= {((row["_partition"], row["_offset"]), row["n"]) for row in page}
    return out
