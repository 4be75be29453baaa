"""Several `tidemill worker` processes on one real Kafka and one store, with a query service beside them.

The embedded broker's groups are not used: without `TIDEMILL_KAFKA` what needs this skips itself.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import time
import uuid

import pytest
import zstandard
from engine import START_DEADLINE, STOP_DEADLINE, Engine, binary, free_ports, request

#: The shortest a broker allows: how long a silent worker keeps its partitions.
SESSION = 6.0
#: What counts what a process has seen, lost when it ends.
COUNTED = ("rejected_units", "rebalances")


def until(condition, deadline, why):
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, why()
        time.sleep(0.1)


class Worker:
    """One `tidemill worker` with a name that survives its restarts; an empty one makes every start a new member."""

    def __init__(self, engine, number, session=SESSION, named=True):
        self.engine, self.number, self.session = engine, number, session
        self.instance = f"w{number}" if named else '""'
        (self.port,) = free_ports(1)
        self.dir = engine.dir / f"worker-{number}"
        self.dir.mkdir(parents=True, exist_ok=True)
        self.log = self.dir / "stderr.log"
        self.process = None
        #: Counts of the lives that are over.
        self.past = dict.fromkeys(COUNTED, 0)

    def config(self):
        text = self.engine.config()
        health = f'  listen: "{self.engine.address("health")}"\n'
        assert health in text
        text = text.replace(health, f'  listen: "127.0.0.1:{self.port}"\n')
        return text.replace("worker:\n", f"worker:\n  session_timeout: {self.session:.0f}s\n  instance: {self.instance}\n")

    def spawn(self):
        file = self.dir / "tidemill.yaml"
        file.write_text(self.config())
        command = [str(binary()), "worker", "--data-dir", str(self.dir / "data"), "--config", str(file), "--kafka", self.engine.kafka]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        return self.process

    def start(self):
        self.spawn()
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

    def counted(self, name):
        """Over all its lives."""
        return self.past[name] + self.status()[name]

    def end(self, number):
        """Ends the process by this signal; its exit status."""
        status = self.status()
        for name in COUNTED:
            self.past[name] += status[name]
        self.process.send_signal(number)
        self.process.send_signal(signal.SIGCONT)
        return self.process.wait(STOP_DEADLINE)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def tail(self, lines=40):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    # ---- pauses ------------------------------------------------------------------------------------

    def pause(self):
        """SIGSTOP; returns when no thread of it runs any more."""
        self.process.send_signal(signal.SIGSTOP)
        _, status = os.waitpid(self.process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), f"worker {self.number} ended with {status}\n{self.tail()}"

    def wake(self):
        self.process.send_signal(signal.SIGCONT)

    def pause_within_a_unit(self, deadline=60.0):
        """Stops it between the files of a unit and the record that names them: what it does first when it wakes is
        to append that record."""
        owner = self.status()["owner"][:8]
        end = time.monotonic() + deadline
        while True:
            self.pause()
            if self._last_written(owner) > self._last_recorded(owner):
                return
            self.wake()
            assert time.monotonic() < end, f"worker {self.number} was never caught within a unit\n{self.tail()}"
            # Another moment of its cycle each time.
            time.sleep(0.003)

    def _last_written(self, owner):
        files = self._store.glob(f"tables/*/date=*/hour=*/part-{owner}-*.parquet")
        return max((int(file.name.split("-")[2]) for file in files), default=0)

    def _last_recorded(self, owner, records=200):
        """Of the newest records of the commit log."""
        names = re.compile(rf"part-{owner}-(\d+)-".encode())
        found = [0]
        # The others go on: what is being staged may be gone by now.
        keys = [key for key in (self._store / "_sys" / "live" / "log").iterdir() if key.name.isdigit()]
        for key in sorted(keys)[-records:]:
            stored = key.read_bytes()
            length = int.from_bytes(stored[5:9], "little")
            content = zstandard.ZstdDecompressor().decompress(stored[9:-8], max_output_size=length)
            found += map(int, names.findall(content))
        return max(found)

    @property
    def _store(self):
        return pathlib.Path(self.engine.storage["url"])


def held(workers):
    """(topic, partition) of every partition that a worker says it holds."""
    return [(each["topic"], each["partition"]) for worker in workers for each in worker.status()["partitions"]]


def shared_out(workers, partitions):
    """Whether each partition is held, and by one."""
    everything = held(workers)
    return len(everything) == len(set(everything)) == partitions


class Fleet:
    """Workers, and the engine that knows configuration and topics, of which only the query service runs."""

    #: Topics of an engine's configuration, four partitions each.
    PARTITIONS = 4 * 10

    def __init__(self, epoch="500ms", **of_workers):
        cluster = os.environ.get("TIDEMILL_KAFKA")
        if not cluster:
            pytest.skip("SKIPPED several workers: TIDEMILL_KAFKA names no real Kafka (run through scripts/with-real-kafka.sh)")
        self.engine = Engine(cluster=cluster, suffix=f".{uuid.uuid4().hex[:8]}", epoch=epoch, pipeline=None)
        store = self.engine.dir / "store"
        store.mkdir()
        self.engine.storage = {"url": str(store)}
        self.of_workers, self.workers, self.query = of_workers, [], None

    def worker(self):
        """One more, not started."""
        self.workers.append(Worker(self.engine, len(self.workers), **self.of_workers))
        return self.workers[-1]

    def start(self, workers=3):
        for _ in range(workers):
            self.worker().start()
        file = self.engine.dir / "tidemill.yaml"
        file.write_text(self.engine.config())
        command = [str(binary()), "query", "--data-dir", str(self.engine.dir / "query"), "--config", str(file)]
        with open(self.engine.log, "ab") as log:
            self.query = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        until(self.engine.healthy, START_DEADLINE, self.engine.tail)
        return self

    def alive(self):
        return [worker for worker in self.workers if worker.alive()]

    def settled(self):
        """Whether those that are alive hold each partition once."""
        return shared_out(self.alive(), self.PARTITIONS)

    def counted(self, name):
        return sum(worker.counted(name) if worker.alive() else worker.past[name] for worker in self.workers)

    def state(self):
        return "\n".join(f"{worker.number}: {worker.status()}\n{worker.tail(15)}" for worker in self.workers)

    def close(self):
        for worker in self.alive():
            worker.process.kill()
            worker.process.wait(10)
        if self.query is not None:
            self.query.kill()
            self.query.wait(10)
        self.engine.close()
