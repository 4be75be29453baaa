"""The whole engine on S3-compatible stores that check conditional writes: SeaweedFS, and moto's server.

Requests are signed by real S3 clients on both sides. A proxy that leaves `If-None-Match` out makes it the one store
the engine must refuse: one that overwrites what is there. S3Proxy on a directory is another: it looks and writes in two steps.
"""

import contextlib
import os
import pathlib
import subprocess
import sys

import boto3
import botocore.exceptions
import ledger
import pytest
import wire
from deltalake import DeltaTable
from engine import ROOT, START_DEADLINE, Engine, free_ports, request
from faulty_proxy import Proxy
from fleet import until

BUCKET = "telemetry"
MOTO = pathlib.Path(__file__).with_name("moto_server.py")
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "tidemill"
SEAWEEDFS = pathlib.Path(os.environ.get("TIDEMILL_CACHE", CACHE)) / "seaweedfs" / "weed"


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    """moto's server with one bucket; gives its URL. It does not look at signatures."""
    (port,) = free_ports(1)
    run = [sys.executable, str(MOTO), str(port)]
    log = tmp_path_factory.mktemp("moto") / "log"
    with server(run, log) as process:
        yield bucket_at(f"http://127.0.0.1:{port}", process, log)


@pytest.fixture
def seaweedfs(tmp_path):
    """SeaweedFS with one bucket; gives its URL. It checks signatures."""
    if not SEAWEEDFS.exists():
        pytest.skip("SeaweedFS is not built, and building it takes ten minutes: scripts/seaweedfs.sh")
    ports = free_ports(8)
    run = [str(ROOT / "scripts" / "seaweedfs.sh"), str(tmp_path), *map(str, ports)]
    log = tmp_path / "log"
    with server(run, log) as process:
        yield bucket_at(f"http://127.0.0.1:{ports[0]}", process, log)


@pytest.fixture(params=["moto", "seaweedfs"])
def store(request):
    """The URL of a server that creates a key for one of several."""
    return request.getfixturevalue(request.param)


@contextlib.contextmanager
def server(run, log):
    """A process whose words go to a file."""
    with open(log, "wb") as said:
        process = subprocess.Popen(run, stdout=said, stderr=said)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def bucket_at(url, process, log):
    """The URL, once there is the bucket."""
    client = boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="it", aws_secret_access_key="not a secret"
    )

    def made():
        assert process.poll() is None, f"the S3 server has ended: {log.read_text(errors='replace')[-4000:]}"
        try:
            client.create_bucket(Bucket=BUCKET)
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
            return False
        return True

    until(made, START_DEADLINE, lambda: "the S3 server does not answer")
    return url


def options(store):
    return {
        "aws_endpoint": store,
        "aws_region": "us-east-1",
        "aws_access_key_id": "it",
        "aws_secret_access_key": "not a secret",
        "aws_allow_http": "true",
    }


def storage(store, prefix, **more):
    return {"url": f"s3://{BUCKET}/{prefix}", "options": options(store) | more}


def test_rows_through_s3_are_there_exactly_once_across_kill_9(store):
    own = Engine(storage=storage(store, "some/prefix"))
    try:
        own.start()
        for part in range(3):
            own.send_logs([{"message": f"line {part} {n}", "service": "s3", "n": n} for n in range(100)])
            own.send_traces(wire.v04([[wire.dd_span("s3")] for _ in range(20)]), traces=20)
            own.wait_for("SELECT count(*) AS n FROM logs", lambda rows, part=part: rows[0]["n"] >= 100 * part + 1)
            own.kill()
            own.start()
        own.wait_count(300, "logs WHERE service = 's3'")
        own.wait_count(60, "spans WHERE service = 's3'")
        ledger.check(own)
        ledger.check_rows(own)
        assert own.stop() == 0
        own.start()
        own.wait_count(300, "logs WHERE service = 's3'")
        ledger.check_rows(own)

        for table in ("logs", "spans", "ledger"):
            read = DeltaTable(f"s3://{BUCKET}/some/prefix/tables/{table}", storage_options=options(store)).to_pyarrow_table()
            assert read.num_rows == own.value(f"SELECT count(*) FROM {table}") > 0, table
        assert not own.table("logs").exists(), "nothing beside the bucket"
    finally:
        own.close()


def test_a_store_that_overwrites_is_refused(moto):
    proxy = Proxy(moto, seed=0, rate=0)
    proxy.careless = True
    own = Engine(storage=storage(proxy.url, "careless"))
    try:
        process = own.spawn()
        assert process.wait(START_DEADLINE) not in (0, 101)
        told = own.tail()
        assert f"s3://{BUCKET}/careless" in told and "panicked" not in told, told
        assert "the store ignores conditional creates (If-None-Match): a second create of " in told, told
        assert "Use a store with conditional writes" in told, told
        assert proxy.faults["careless"] > 1, "it was asked to create a key twice"
    finally:
        own.close()
        proxy.close()


def test_a_missing_bucket_is_named(moto):
    own = Engine(storage={"url": "s3://nowhere/x", "options": options(moto)})
    try:
        process = own.spawn()
        assert process.wait(START_DEADLINE) not in (0, 101)
        told = own.tail()
        assert "s3://nowhere/x" in told and "panicked" not in told, told
    finally:
        own.close()


@pytest.fixture
def two_steps(tmp_path):
    """A running S3Proxy on a directory, with one bucket; gives its URL."""
    (port,) = free_ports(1)
    (tmp_path / "buckets" / BUCKET).mkdir(parents=True)
    log = tmp_path / "s3proxy.log"
    url = f"http://127.0.0.1:{port}"
    with server([str(ROOT / "scripts" / "s3proxy.sh"), str(tmp_path), str(port)], log) as process:

        def answers():
            assert process.poll() is None, log.read_text()[-3000:]
            try:
                return request("GET", f"{url}/{BUCKET}")[0] in (200, 403)
            except OSError:
                return False

        # It may have to be fetched first.
        until(answers, 300, lambda: log.read_text()[-3000:])
        yield url


def test_a_store_that_creates_a_key_for_several_at_once_is_refused(two_steps):
    own = Engine(storage=storage(two_steps, "raced"))
    try:
        process = own.spawn()
        assert process.wait(START_DEADLINE) not in (0, 101)
        told = own.tail()
        assert "the store does not create a key atomically: " in told and "panicked" not in told, told
        assert f"s3://{BUCKET}/raced" in told and "checks If-None-Match and writes in one step" in told, told
    finally:
        own.close()
