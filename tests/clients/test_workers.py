"""Several `tidemill worker` processes on one real Kafka and one store: killed, stopped and woken, joining and leaving
while records come in, and every record is in one row.

Needs a real cluster: the embedded broker's groups are not used.
"""

import json
import os
import random
import signal
import subprocess
import threading
import time
import uuid

import ledger
import pytest
from confluent_kafka import Producer
from engine import START_DEADLINE, STOP_DEADLINE, Engine, binary, free_ports, request

#: Rounds of disturbance; more for a soak.
ROUNDS = int(os.environ.get("TIDEMILL_ROUNDS", "6"))
RATE = int(os.environ.get("TIDEMILL_RATE", "1000"))
SEED = int(os.environ.get("TIDEMILL_SEED", str(random.randrange(1 << 32))))
#: The shortest a broker allows: how long a silent worker keeps its partitions.
SESSION = 6.0


class Worker:
    """One `tidemill worker` with a name that survives its restarts."""

    def __init__(self, engine, number):
        self.engine, self.number = engine, number
        (self.port,) = free_ports(1)
        self.dir = engine.dir / f"worker-{number}"
        self.dir.mkdir(parents=True, exist_ok=True)
        self.log = self.dir / "stderr.log"
        self.process = None

    def config(self):
        text = self.engine.config()
        health = f'  listen: "{self.engine.address("health")}"\n'
        assert health in text
        text = text.replace(health, f'  listen: "127.0.0.1:{self.port}"\n')
        return text.replace("worker:\n", f"worker:\n  session_timeout: {SESSION:.0f}s\n  instance: w{self.number}\n")

    def start(self):
        file = self.dir / "tidemill.yaml"
        file.write_text(self.config())
        command = [str(binary()), "worker", "--data-dir", str(self.dir / "data"), "--config", str(file), "--kafka", self.engine.kafka]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        end = time.monotonic() + START_DEADLINE
        while not self.healthy():
            assert self.process.poll() is None, f"worker {self.number} ended with {self.process.returncode}\n{self.tail()}"
            assert time.monotonic() < end, f"worker {self.number} is not ready\n{self.tail()}"
            time.sleep(0.05)
        return self

    def healthy(self):
        try:
            return request("GET", f"http://127.0.0.1:{self.port}/", timeout=2)[0] == 200
        except OSError:
            return False

    def status(self):
        """What it says of itself; nothing while it can not answer."""
        try:
            return json.loads(request("GET", f"http://127.0.0.1:{self.port}/", timeout=2)[2])["worker"]
        except (OSError, ValueError, KeyError):
            return {"partitions": [], "publishes": False, "rejected_units": 0, "rebalances": 0}

    def signal(self, number):
        self.process.send_signal(number)

    def end(self, number):
        self.process.send_signal(number)
        self.process.send_signal(signal.SIGCONT)
        return self.process.wait(STOP_DEADLINE)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def tail(self, lines=40):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class Writer(threading.Thread):
    """Numbers, one after another, through an idempotent producer that never gives up."""

    def __init__(self, brokers, topic):
        super().__init__(daemon=True)
        self.producer = Producer(
            {"bootstrap.servers": brokers, "enable.idempotence": True, "acks": "all", "linger.ms": 5, "message.timeout.ms": 300_000, "log_level": 0}
        )
        self.topic, self.sent, self.failed = topic, 0, []
        self.ended = threading.Event()

    def run(self):
        while not self.ended.is_set():
            value = json.dumps({"service": "workers", "message": f"record {self.sent}", "n": self.sent})
            self.producer.produce(self.topic, value, key=str(self.sent % 97), on_delivery=self.told)
            self.sent += 1
            self.producer.poll(0)
            if self.sent % 10 == 0:
                time.sleep(10 / RATE)

    def told(self, error, _message):
        if error:
            self.failed.append(str(error))

    def finish(self):
        self.ended.set()
        self.join(30)
        assert self.producer.flush(120) == 0 and self.failed == [], self.failed[:5]


@pytest.fixture
def fleet():
    cluster = os.environ.get("TIDEMILL_KAFKA")
    if not cluster:
        pytest.skip("SKIPPED several workers: TIDEMILL_KAFKA names no real Kafka (run through scripts/with-real-kafka.sh)")
    engine = Engine(cluster=cluster, suffix=f".{uuid.uuid4().hex[:8]}", epoch="500ms", pipeline=None)
    store = engine.dir / "store"
    store.mkdir()
    engine.storage = {"url": str(store)}
    workers = [Worker(engine, number) for number in range(3)]
    query = None
    try:
        workers[0].start()
        for worker in workers[1:]:
            worker.start()
        file = engine.dir / "query.yaml"
        file.write_text(engine.config())
        command = [str(binary()), "query", "--data-dir", str(engine.dir / "query"), "--config", str(file)]
        with open(engine.log, "ab") as log:
            query = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        until(engine.healthy, START_DEADLINE, lambda: engine.tail())
        yield engine, workers
    finally:
        for worker in workers:
            if worker.alive():
                worker.end(signal.SIGKILL)
        if query is not None:
            query.kill()
            query.wait(10)
        engine.close()


def until(condition, deadline, why):
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, why()
        time.sleep(0.1)


def held(workers):
    """(topic, partition) of every partition that a worker says it holds."""
    return [(each["topic"], each["partition"]) for worker in workers for each in worker.status()["partitions"]]


def shared_out(workers, partitions):
    everything = held(workers)
    return len(everything) == len(set(everything)) == partitions


def test_three_workers_through_kills_pauses_and_comings_and_goings(fleet):
    engine, workers = fleet
    chance = random.Random(SEED)
    print(f"TIDEMILL_SEED={SEED} TIDEMILL_ROUNDS={ROUNDS}")
    state = lambda: "\n".join(f"{worker.number}: {worker.status()}\n{worker.tail(15)}" for worker in workers)  # noqa: E731
    partitions = 4 * 10
    until(lambda: shared_out(workers, partitions), 60, state)
    until(lambda: sum(worker.status()["publishes"] for worker in workers) == 1, 30, state)
    writer = Writer(engine.kafka, engine.topic("it.json"))
    writer.start()
    time.sleep(2)
    rejected = 0
    for number in range(ROUNDS):
        worker = chance.choice(workers)
        what = ("kill", "pause", "leave")[number % 3]
        print(f"round {number}: {what} worker {worker.number}")
        rejected += worker.status()["rejected_units"] if what != "pause" else 0
        if what == "kill":
            worker.end(signal.SIGKILL)
            time.sleep(chance.uniform(0, SESSION + 2))
            worker.start()
        elif what == "pause":
            worker.signal(signal.SIGSTOP)
            # It is a zombie when the others have everything, what it still believes to own included.
            others = [each for each in workers if each is not worker]
            until(lambda others=others: shared_out(others, partitions), SESSION + 60, state)
            time.sleep(chance.uniform(0, 2))
            worker.signal(signal.SIGCONT)
            time.sleep(1)
        else:
            assert worker.end(signal.SIGTERM) == 0, worker.tail()
            time.sleep(chance.uniform(0, SESSION + 2))
            worker.start()
        assert all(each.alive() for each in workers), state()
    writer.finish()
    until(lambda: shared_out(workers, partitions), 90, state)
    assert all(each.alive() for each in workers), state()
    engine.wait_for("SELECT count(*) AS n FROM logs", lambda rows: rows[0]["n"] >= writer.sent, 120)
    engine.wait_count(writer.sent, "logs WHERE service = 'workers'")
    assert engine.value("SELECT count(DISTINCT attributes['n']) FROM logs") == writer.sent
    ledger.check(engine)
    ledger.check_rows(engine)
    rejected += sum(worker.status()["rejected_units"] for worker in workers)
    rebalances = [worker.status()["rebalances"] for worker in workers]
    print(f"{writer.sent} records, each in one row; {rejected} units refused; rebalances {rebalances}")
    # All leave together: what is committed is visible to whoever asks afterwards.
    last = Writer(engine.kafka, engine.topic("it.json"))
    last.sent = writer.sent
    last.start()
    time.sleep(1)
    last.finish()
    for worker in workers:
        worker.signal(signal.SIGTERM)
    assert [worker.process.wait(STOP_DEADLINE) for worker in workers] == [0, 0, 0], state()
    engine.wait_count(last.sent, "logs WHERE service = 'workers'")
