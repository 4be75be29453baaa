"""A real Apache Kafka that ends and comes back under the whole engine: killed, and stopped in order, while records come.

The broker is this test's own: whatever else uses `TIDEMILL_KAFKA` is not disturbed. Without one it skips itself.
"""

import os
import random
import re
import signal
import socket
import subprocess

import ledger
import proof
import pytest
from engine import ROOT, Engine
from fleet import SESSION, until
from test_kill import HttpWriter, KafkaWriter, rows_of_kafka

#: Ends of the broker, one after another; more for a soak.
ENDS = int(os.environ.get("TIDEMILL_BROKER_ENDS", "2"))
#: Records a second.
RATE = int(os.environ.get("TIDEMILL_RATE", "300"))
#: Seconds within which a broker on a busy machine answers.
BROKER_DEADLINE = 120.0
#: What the worker's client writes when the broker is away.
AWAY = re.compile(r"WARN stream::kafka::group: .*(Connection refused|Disconnected|brokers are down)")


class Broker:
    """`scripts/real-kafka.sh` with a port and a directory of its own, in a process group of its own."""

    def __init__(self, directory):
        self.directory = directory
        # The controller takes the port after the broker's. Below the ports the system gives to connections: one of
        # those could be taken while the broker is away.
        self.port = next(port for port in iter(lambda: random.randrange(20_000, 30_000), None) if is_free(port) and is_free(port + 1))
        self.address = f"127.0.0.1:{self.port}"
        self.process, self.log = None, directory / "broker.log"

    def start(self):
        command = [str(ROOT / "scripts" / "real-kafka.sh"), str(self.directory / "kafka"), str(self.port)]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        until(self.listens, BROKER_DEADLINE, lambda: self.log.read_text()[-3000:])
        return self

    def listens(self):
        return self.alive() and not is_free(self.port)

    def alive(self):
        """Fails with what it said when it ended by itself."""
        assert self.process.poll() is None, f"the broker ended with {self.process.returncode}\n{self.log.read_text()[-3000:]}"
        return True

    def end(self, number):
        """The script and the Java process: all of the group."""
        os.killpg(self.process.pid, number)
        self.process.wait(BROKER_DEADLINE)
        # The script's end is not Java's.
        until(lambda: not members(self.process.pid), BROKER_DEADLINE, lambda: self.log.read_text()[-3000:])
        self.process = None

    def close(self):
        if self.process is not None:
            self.end(signal.SIGKILL)


def is_free(port):
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) != 0


def members(group):
    """Whether a process group has anybody left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def broker(tmp_path):
    if not os.environ.get("TIDEMILL_KAFKA"):
        pytest.skip("SKIPPED a broker that goes away: no real Kafka here (run through scripts/with-real-kafka.sh)")
    broker = Broker(tmp_path)
    try:
        yield broker.start()
    finally:
        broker.close()


def test_every_record_exactly_once_while_the_broker_ends_and_comes_back(broker):
    # Longer than any outage here: what comes after a longer one is the next test's.
    own = Engine(cluster=broker.address, epoch="500ms", session="10m")
    try:
        own.start()
        kafka, http = KafkaWriter(own.kafka, rate=RATE), HttpWriter(own.url("datadog", "/api/v2/logs"))
        kafka.start()
        http.start()
        ends = []
        for number in range(ENDS):
            # Both ways flow, to the tables.
            stored, accepted = len(kafka.stored), http.accepted
            own.wait_for("SELECT count(*) AS n FROM logs WHERE service = 'kill-kafka'", lambda rows, stored=stored: rows[0]["n"] > stored)
            until(lambda stored=stored, accepted=accepted: len(kafka.stored) > stored + 200 and http.accepted > accepted + 5, 60, own.tail)
            seen, retries, said = kafka.sent, http.retries, own.log.stat().st_size
            how = (signal.SIGKILL, signal.SIGTERM)[number % 2]
            broker.end(how)
            ends.append(how.name)
            # The worker's client says that nobody answers, the intake does not take what it can not store, and neither
            # of them ends: what is in the tables is answered, health is well.
            until(lambda said=said: AWAY.search(own.log.read_text()[said:]), 60, own.tail)
            until(lambda seen=seen, retries=retries: kafka.sent > seen and http.retries > retries, 90, own.tail)
            assert own.value("SELECT count(*) FROM logs") > 0
            assert own.healthy() and own.process.poll() is None, own.tail()
            broker.start()
            # What flows again was sent after it came back.
            stored = len(kafka.stored)
            until(lambda stored=stored: broker.alive() and len(kafka.stored) > stored + 100, 120, own.tail)
            accepted = http.accepted
            until(lambda accepted=accepted: http.accepted > accepted + 5, 120, own.tail)
        http.ended.set()
        http.join(90)
        assert not http.is_alive()
        kafka.finish()
        assert kafka.failed == [], kafka.failed[:5]
        assert len(kafka.stored) == kafka.sent > 0

        own.wait_for("SELECT count(*) AS n FROM logs WHERE service = 'kill-kafka'", lambda rows: rows[0]["n"] >= kafka.sent, 180)
        own.wait_for("SELECT count(DISTINCT attributes['n']) AS n FROM logs WHERE service = 'kill-http'", lambda rows: rows[0]["n"] >= http.accepted, 60)
        rows = rows_of_kafka(own, kafka.sent)
        assert len(rows) == kafka.sent and {number for _, number in rows} == set(kafka.stored)
        ledger.check(own)
        ledger.check_rows(own)
        proof.proven(own)
        # The same process all the time, and well at its end.
        assert own.stop() == 0
        assert proof.fsck(own)[0] == 0
        print(f"broker ended by {', '.join(ends)}: {kafka.sent} records and {http.accepted} requests ({http.retries} sent again), none lost, none doubled")
    finally:
        own.close()


@pytest.mark.skipif("TIDEMILL_BROKER_ENDS" not in os.environ, reason="takes half a minute an outage: set TIDEMILL_BROKER_ENDS, as make prove does")
def test_a_broker_that_is_away_for_longer_than_the_session_timeout_ends_nothing(broker):
    """The group has forgotten the worker when the broker comes back: it joins again, under the same name."""
    own = Engine(cluster=broker.address, epoch="500ms", session=f"{SESSION:.0f}s")
    try:
        process = own.start().process
        kafka = KafkaWriter(own.kafka, rate=RATE)
        kafka.start()
        for number in range(max(1, ENDS // 2)):
            stored = len(kafka.stored)
            own.wait_for("SELECT count(*) AS n FROM logs", lambda rows, stored=stored: rows[0]["n"] > stored, 120)
            said = own.log.stat().st_size
            broker.end((signal.SIGKILL, signal.SIGTERM)[number % 2])
            until(lambda said=said: "session timed out" in own.log.read_text()[said:], 60, own.tail)
            broker.start()
            stored = len(kafka.stored)
            until(lambda stored=stored: broker.alive() and len(kafka.stored) > stored + 100, 120, own.tail)
        kafka.finish()
        assert kafka.failed == [], kafka.failed[:5]
        own.wait_count(kafka.sent, "logs WHERE service = 'kill-kafka'", 180)
        assert own.process is process and process.poll() is None and own.healthy(), own.tail()
        ledger.check(own)
        ledger.check_rows(own)
        proof.proven(own)
    finally:
        own.close()
