"""Dies at every step of the commit protocol, and at random moments, and counts what is left.

`stream/src/crash_point.rs` names the steps; a build with debug assertions ends itself there. Each
cycle must really die at its step (the exit status says so), then the engine is started again and
goes on. In the end every record is one row, and the ledger adds up.
"""

import os
import random
import re
import signal
import time

import ledger
import pytest
from engine import ROOT, START_DEADLINE, Engine
from test_kill import KafkaWriter, rows_of_kafka

#: Deaths per step; more for a proof.
CYCLES = int(os.environ.get("TIDEMILL_CYCLES", "1"))
SEED = int(os.environ.get("TIDEMILL_SEED", str(random.randrange(1 << 32))))
#: Those of upkeep and of groups are for `tests/it/kills.rs`: here nothing is old enough, and there is one worker.
ELSEWHERE = ("revoke", "compaction-", "retention-", "vacuum-", "collection-")
STEPS = [
    step
    for step in re.findall(r'=> "([a-z-]+)"', (ROOT / "stream" / "src" / "crash_point.rs").read_text())
    if not step.startswith(ELSEWHERE)
]
#: Steps that come once in a hundred units, or once in a life.
RARE = {"checkpoint-before", "checkpoint-written", "snapshot-written", "claim-before", "claimed"}


@pytest.fixture
def own():
    engine = Engine(epoch="100ms", cluster=os.environ.get("TIDEMILL_KAFKA"), suffix=f".{SEED}")
    yield engine
    engine.close()


def die_at(engine, step, passage):
    """Starts the engine, which must end itself at the step."""
    engine.spawn({"TIDEMILL_DIE_AT": f"{step}:{passage}"})
    end = time.monotonic() + START_DEADLINE
    while engine.process.poll() is None:
        assert time.monotonic() < end, f"{step}:{passage} was not reached\n{engine.tail()}"
        time.sleep(0.02)
    status, engine.process = engine.process.returncode, None
    assert status == -signal.SIGABRT, f"{step}:{passage}: ended with {status}\n{engine.tail()}"


def test_every_record_exactly_once_through_a_death_at_every_step(own):
    chance = random.Random(SEED)
    print(f"TIDEMILL_SEED={SEED} TIDEMILL_CYCLES={CYCLES}: {CYCLES * len(STEPS)} deaths at {len(STEPS)} steps")
    assert len(STEPS) > 10
    own.start()
    writer = KafkaWriter(own.kafka, own.topic("it.json"))
    writer.start()
    deaths = [(step, 1 if step in RARE else chance.randint(1, 4)) for step in STEPS * CYCLES]
    chance.shuffle(deaths)
    own.kill()
    for step, passage in deaths:
        die_at(own, step, passage)
    own.start()
    writer.finish()
    assert writer.failed == [], writer.failed[:5]
    own.wait_for("SELECT count(*) AS n FROM logs WHERE service = 'kill-kafka'", lambda rows: rows[0]["n"] >= writer.sent, 180)
    rows = rows_of_kafka(own, writer.sent)
    assert len(rows) == writer.sent > 0, f"{len(rows)} rows, {writer.sent} sent"
    assert {number for _, number in rows} == set(writer.stored)
    ledger.check(own)
    ledger.check_rows(own)
    assert own.stop() == 0
    print(f"{len(deaths)} deaths, {writer.sent} records, none lost, none doubled")
