"""The whole engine on an S3-compatible store that fails: 503 before and after the store did it, answers that never
come, late ones and half ones, later ones than the client waits for, 409 for a create and 412 for one that landed; and
kill -9 in between. Every fault is counted, and must have happened.
"""

import os
import random
import subprocess
import sys
import time

import ledger
import pytest
from engine import START_DEADLINE, Engine, binary, free_ports, request
from faulty_proxy import Proxy
from test_kill import KafkaWriter, rows_of_kafka
from test_s3 import BUCKET, MOTO, options

SEED = int(os.environ.get("TIDEMILL_SEED", str(random.randrange(1 << 32))))
#: Kills; more for a proof.
KILLS = int(os.environ.get("TIDEMILL_KILLS", "3"))
#: Records a second: the faults are what takes time here.
RATE = int(os.environ.get("TIDEMILL_RATE", "300"))


@pytest.fixture
def upstream():
    (port,) = free_ports(1)
    run = [sys.executable, str(MOTO), str(port)]
    process = subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + START_DEADLINE
        while True:
            try:
                assert request("PUT", f"{url}/{BUCKET}")[0] == 200
                break
            except OSError:
                assert time.monotonic() < end and process.poll() is None, "the S3 server does not answer"
                time.sleep(0.1)
        yield url
    finally:
        process.kill()
        process.wait(10)


def test_every_record_exactly_once_on_a_store_that_fails(upstream):
    print(f"TIDEMILL_SEED={SEED} TIDEMILL_KILLS={KILLS}")
    chance = random.Random(SEED)
    proxy = Proxy(upstream, SEED, rate=0.06, rate_of_creates=0.1)
    # The client's default of 30 s would take all of the test's time.
    own = Engine(storage={"url": f"s3://{BUCKET}/faults", "options": options(proxy.url) | {"timeout": "3s"}}, epoch="500ms")
    try:
        own.start(deadline=180)
        writer = KafkaWriter(own.kafka, rate=RATE)
        writer.start()
        for _ in range(KILLS):
            time.sleep(chance.uniform(1, 4))
            own.kill()
            own.start(deadline=180)
        until = time.monotonic() + 120
        while any(proxy.faults[kind] == 0 for kind in Proxy.KINDS + Proxy.OF_CREATES):
            assert time.monotonic() < until, f"not all faults happened: {proxy.faults} of {proxy.requests} requests"
            time.sleep(0.2)
        writer.finish()
        assert writer.failed == [], writer.failed[:5]
        own.wait_for("SELECT count(*) AS n FROM logs WHERE service = 'kill-kafka'", lambda rows: rows[0]["n"] >= writer.sent, 240)
        faults = dict(proxy.faults)
        proxy.rate = proxy.rate_of_creates = 0
        rows = rows_of_kafka(own, writer.sent)
        assert len(rows) == writer.sent and {number for _, number in rows} == set(writer.stored)
        ledger.check(own)
        ledger.check_rows(own)
        assert own.stop() == 0
        for command in ("audit", "fsck"):
            config = own.dir / "tidemill.yaml"
            done = subprocess.run([str(binary()), command, "--config", str(config)], capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, (command, done.stdout, done.stderr)
        print(f"{writer.sent} records, {KILLS} kills, {proxy.requests} requests, faults {faults}, 0 lost, 0 doubled")
    finally:
        own.close()
        proxy.close()


def test_a_store_that_is_away_while_the_engine_starts_is_waited_for(upstream):
    proxy = Proxy(upstream, SEED, rate=1.0)
    # The start's own probe of the store is let through.
    proxy.KINDS, proxy.only = ("before",), "_delta_log"
    own = Engine(storage={"url": f"s3://{BUCKET}/away", "options": options(proxy.url)}, epoch="500ms")
    try:
        process = own.spawn()
        until = time.monotonic() + START_DEADLINE
        while "trying again" not in own.tail():
            assert process.poll() is None and time.monotonic() < until, own.tail()
            time.sleep(0.1)
        assert proxy.faults["before"] > 0 and not own.healthy()
        proxy.rate = 0
        until = time.monotonic() + START_DEADLINE
        while not own.healthy():
            assert process.poll() is None and time.monotonic() < until, own.tail()
            time.sleep(0.1)
        own.send_logs([{"message": "after all", "service": "away"}])
        own.wait_count(1, "logs WHERE service = 'away'")
    finally:
        own.close()
        proxy.close()
