"""Starts, questions, stops and kills a real `tidemill up`.

Everything that depends on the machine is decided here and nowhere else: the binary, the free
ports, the data directory, the configuration file. Tests only see addresses.
"""

import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent

#: Seconds within which a debug build on a busy two-core machine answers; never a sleep, always a bound.
START_DEADLINE = float(os.environ.get("TIDEMILL_START_DEADLINE", "60"))
#: Seconds within which something sent is queryable. The epoch below is 1 s; the rest is slack.
SEEN_DEADLINE = float(os.environ.get("TIDEMILL_SEEN_DEADLINE", "90"))
#: Seconds within which SIGTERM must have drained everything.
STOP_DEADLINE = 60.0

#: Setting in the configuration -> what listens there.
PORTS = {
    "intake.datadog": "datadog",
    "intake.otlp_grpc": "otlp_grpc",
    "intake.otlp_http": "otlp_http",
    "query.http": "http",
    "query.postgres": "postgres",
    "kafka.embedded.listen": "kafka",
    "health.listen": "health",
}

#: Topics that plain Kafka producers write to: name -> (signal, format when no header says otherwise).
SOURCES = {
    "it.json": ("logs", "json"),
    "it.raw": ("logs", "raw"),
    "it.datadog": ("spans", "datadog_v04"),
    "it.otlp_spans": ("spans", "otlp_proto"),
    "it.otlp_logs": ("logs", "otlp_proto"),
    "it.otlp_metrics": ("metrics", "otlp_proto"),
    "it.otlp_json_spans": ("spans", "otlp_json"),
}


class SqlError(Exception):
    """What the service answered instead of rows."""

    def __init__(self, status, body):
        self.status = status
        self.error = body.get("error", {}) if isinstance(body, dict) else {}
        super().__init__(f"HTTP {status}: {body}")


def binary():
    """The built program: $TIDEMILL_BIN, else cargo's target directory, else the usual places."""
    named = os.environ.get("TIDEMILL_BIN")
    if named:
        return pathlib.Path(named)
    target = os.environ.get("CARGO_TARGET_DIR")
    places = [pathlib.Path(target)] if target else []
    places += [ROOT / "target", pathlib.Path.home() / ".cache" / "tidemill" / "target"]
    for place in places:
        if (place / "debug" / "tidemill").exists():
            return place / "debug" / "tidemill"
    raise RuntimeError(f"no built tidemill below {', '.join(map(str, places))}: run `cargo build`, or set TIDEMILL_BIN")


def free_ports(count):
    """Ports nobody listens on now; all held until all are known, so that they differ."""
    held = [socket.socket() for _ in range(count)]
    try:
        for each in held:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()


def request(method, url, body=None, headers=None, timeout=60):
    """One HTTP request -> (status, headers, body bytes). Refusals are answers, not exceptions."""
    prepared = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(prepared, timeout=timeout) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.headers, refusal.read()


class Engine:
    """One `tidemill up` with its own data directory. It can be killed and started again."""

    def __init__(self, directory=None, pipeline=HERE / "pipeline.yaml", epoch="1s", storage=None, cluster=None, suffix="", keep_raw="none", sources=SOURCES, session=None):
        """`storage` is that part of the configuration (default: the data directory), `cluster` a real
        Kafka in place of the embedded one, `suffix` ends the names of all topics, so that runs can share a cluster, `sources`
        are the topics of users and how they are read, `session` is how long the group waits for the worker."""
        self._owned = None
        if directory is None:
            self._owned = tempfile.TemporaryDirectory(prefix="tidemill-clients-")
            directory = self._owned.name
        self.dir = pathlib.Path(directory)
        self.data = self.dir / "data"
        self.log = self.dir / "stderr.log"
        self.epoch, self.storage, self.cluster, self.suffix = epoch, storage, cluster, suffix
        self.keep_raw, self.sources, self.session = keep_raw, dict(sources), session
        self.pipeline = pathlib.Path(pipeline).read_text() if pipeline else ""
        self.port = dict(zip(PORTS.values(), free_ports(len(PORTS)), strict=True))
        self.process = None

    # ---- addresses -----------------------------------------------------------------------------

    def address(self, what):
        return f"127.0.0.1:{self.port[what]}"

    def url(self, what, path=""):
        return f"http://{self.address(what)}{path}"

    @property
    def kafka(self):
        return self.cluster or self.address("kafka")

    def topic(self, name):
        """The name of a topic in this engine's Kafka."""
        return name + self.suffix

    @property
    def dsn(self):
        return f"host=127.0.0.1 port={self.port['postgres']} dbname=tidemill user=tidemill sslmode=disable"

    def table(self, name):
        """Directory of a Delta table."""
        return self.data / "tables" / name

    # ---- life ----------------------------------------------------------------------------------

    def config(self):
        """The configuration file's text."""
        sources = "".join(
            f"    - {{topic: {self.topic(topic)}, signal: {signal}, format: {fmt}}}\n" for topic, (signal, fmt) in self.sources.items()
        )
        own = "".join(f"    {signal}: {self.topic(f'tidemill.{signal}')}\n" for signal in ("logs", "spans", "metrics"))
        embedded = "" if self.cluster else f'  embedded:\n    listen: "{self.address("kafka")}"\n'
        session = f"  session_timeout: {self.session}\n" if self.session else ""
        storage = f"storage: {json.dumps(self.storage)}\n" if self.storage else ""
        pipeline = "".join(f"  {line}\n" for line in self.pipeline.splitlines())
        return (
            "intake:\n"
            f'  datadog: "{self.address("datadog")}"\n'
            f'  otlp_grpc: "{self.address("otlp_grpc")}"\n'
            f'  otlp_http: "{self.address("otlp_http")}"\n'
            "query:\n"
            f'  http: "{self.address("http")}"\n'
            f'  postgres: "{self.address("postgres")}"\n'
            "health:\n"
            f'  listen: "{self.address("health")}"\n'
            f"{storage}"
            f"kafka:\n{embedded}"
            f"  topics:\n{own}"
            f"  sources:\n{sources}"
            "worker:\n"
            f"{session}"
            f"  keep_raw: {self.keep_raw}\n"
            f'  epoch: "{self.epoch}"\n' + (f"pipeline:\n{pipeline}" if pipeline else "")
        )

    def spawn(self, environment=None):
        """Starts the process without waiting for it; `environment` is added to ours."""
        self.dir.mkdir(parents=True, exist_ok=True)
        file = self.dir / "tidemill.yaml"
        file.write_text(self.config())
        command = [str(binary()), "up", "--data-dir", str(self.data), "--config", str(file)]
        command += ["--kafka", self.cluster] if self.cluster else []
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, **(environment or {})})
        return self.process

    def start(self, deadline=START_DEADLINE):
        """Starts the process and waits until health answers 200."""
        self.spawn()
        end = time.monotonic() + deadline
        while not self.healthy():
            if self.process.poll() is not None:
                raise AssertionError(f"tidemill ended with {self.process.returncode} before it was ready\n{self.tail()}")
            if time.monotonic() > end:
                self.kill()
                raise AssertionError(f"tidemill not ready after {deadline:.0f} s\n{self.tail()}")
            time.sleep(0.05)
        return self

    def healthy(self):
        try:
            return request("GET", self.url("health", "/"), timeout=2)[0] == 200
        except OSError:
            return False

    def kill(self):
        """kill -9, as a machine that loses power would."""
        self._end(signal.SIGKILL, 10)

    def stop(self, deadline=STOP_DEADLINE):
        """SIGTERM; returns the exit status."""
        return self._end(signal.SIGTERM, deadline)

    def _end(self, number, deadline):
        if self.process is None:
            return None
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(number)
        try:
            return process.wait(deadline)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
            raise AssertionError(f"tidemill did not end within {deadline:.0f} s of signal {number}\n{self.tail()}") from None

    def close(self):
        """Stops whatever runs and removes what this object made."""
        if self.process is not None:
            self.kill()
        if self._owned is not None:
            self._owned.cleanup()

    def tail(self, lines=40):
        """The last lines the process wrote."""
        if not self.log.exists():
            return "(nothing written)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    # ---- questions -----------------------------------------------------------------------------

    def answer(self, sql):
        """The whole JSON answer of POST /api/v1/sql."""
        body = json.dumps({"sql": sql}).encode()
        status, _, text = request("POST", self.url("http", "/api/v1/sql"), body, {"Content-Type": "application/json"})
        try:
            parsed = json.loads(text)
        except ValueError:
            parsed = text
        if status != 200:
            raise SqlError(status, parsed)
        return parsed

    def sql(self, sql):
        """Rows as dictionaries."""
        answer = self.answer(sql)
        names = [column["name"] for column in answer["columns"]]
        return [dict(zip(names, row, strict=True)) for row in answer["rows"]]

    def value(self, sql):
        """The single value of a query with one row and one column."""
        (row,) = self.sql(sql)
        (value,) = row.values()
        return value

    def wait_for(self, sql, predicate, deadline=SEEN_DEADLINE):
        """Asks until the rows satisfy the predicate; returns them."""
        end = time.monotonic() + deadline
        while True:
            try:
                rows = self.sql(sql)
            except (OSError, SqlError) as error:
                rows = error
            else:
                if predicate(rows):
                    return rows
            if time.monotonic() > end:
                raise AssertionError(f"not seen within {deadline:.0f} s: {sql}\nlast answer: {str(rows)[:3000]}\n{self.tail()}")
            time.sleep(0.2)

    def wait_count(self, count, source, deadline=SEEN_DEADLINE):
        """Waits for exactly `count` rows of `source` (`table WHERE ...`); more is a failure too."""
        rows = self.wait_for(f"SELECT count(*) AS n FROM {source}", lambda rows: rows[0]["n"] >= count, deadline)
        assert rows[0]["n"] == count, f"{source}: {rows[0]['n']} rows, {count} sent"

    # ---- what clients do -----------------------------------------------------------------------

    def send_logs(self, entries, query=""):
        """Posts Datadog log entries; fails unless they were accepted."""
        body = json.dumps(entries).encode()
        headers = {"Content-Type": "application/json", "DD-API-KEY": "0" * 32}
        status, _, text = request("POST", self.url("datadog", f"/api/v2/logs{query}"), body, headers)
        assert status == 202, (status, text)

    def send_traces(self, payload, version="v0.4", traces=1):
        """Sends a msgpack trace body as a tracer does; fails unless it was accepted."""
        headers = {"Content-Type": "application/msgpack", "X-Datadog-Trace-Count": str(traces)}
        status, _, text = request("PUT", self.url("datadog", f"/{version}/traces"), payload, headers)
        assert status == 200 and "rate_by_service" in json.loads(text), (status, text)
