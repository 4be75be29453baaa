"""Several `tidemill worker` processes on one real Kafka and one store: killed, stopped and woken, joining and leaving
while records come in. Every record is in one row, `audit` says so beside them, and finds what is lost on purpose.

Needs a real cluster: the embedded broker's groups are not used.
"""

import collections
import os
import random
import signal
import threading
import time

import ledger
import proof
import pytest
from engine import STOP_DEADLINE
from fleet import SESSION, Fleet, held, shared_out, until
from test_kill import KafkaWriter

#: Rounds of disturbance; more for a soak.
ROUNDS = int(os.environ.get("TIDEMILL_ROUNDS", "3"))
#: Records a second; an audit beside the workers reads all there are.
RATE = int(os.environ.get("TIDEMILL_RATE", "300"))
SEED = int(os.environ.get("TIDEMILL_SEED", str(random.randrange(1 << 32))))
#: Pauses within a unit until one of them was refused.
MOST_PAUSES = 5


@pytest.fixture
def fleet(request):
    fleet = Fleet(**getattr(request, "param", {}))
    try:
        yield fleet.start()
    finally:
        fleet.close()


class Audits(threading.Thread):
    """`tidemill audit` beside the workers, again and again; it must never say that something is violated."""

    def __init__(self, engine):
        super().__init__(daemon=True)
        self.engine, self.verdicts, self.failed = engine, collections.Counter(), []
        self.ended = threading.Event()

    def run(self):
        while not self.ended.is_set() and not self.failed:
            try:
                self.verdicts[proof.not_violated(self.engine)["verdict"]] += 1
            except Exception as error:  # noqa: BLE001 - whatever it was, the test that waits for us fails with it
                self.failed.append(error)

    def finish(self):
        self.ended.set()
        self.join(200)
        assert not self.is_alive() and self.failed == [], self.failed
        assert self.verdicts.total() > 0


def read_so_far(fleet, writer):
    """Waits until everything that was acknowledged by now is in a unit; how much that is."""
    stored = len(writer.stored)
    asked = f"SELECT coalesce(sum(events), 0) AS n FROM ledger WHERE action = 'received' AND _topic = '{writer.topic}'"
    fleet.engine.wait_for(asked, lambda rows: rows[0]["n"] >= stored, 180)
    return stored


def writing(fleet):
    writer = KafkaWriter(fleet.engine.kafka, fleet.engine.topic("it.json"), RATE)
    writer.start()
    read_so_far(fleet, writer)
    return writer


def lost_and_doubled(fleet, writer):
    """Everything sent was acknowledged, and is one row."""
    engine = fleet.engine
    assert writer.failed == [] and len(writer.stored) == writer.sent > 0, writer.failed[:5]
    engine.wait_for("SELECT count(*) AS n FROM logs", lambda rows: rows[0]["n"] >= writer.sent, 180)
    (row,) = engine.sql("SELECT count(*) AS n, count(DISTINCT attributes['n']) AS different FROM logs WHERE service = 'kill-kafka'")
    lost, doubled = writer.sent - row["different"], row["n"] - row["different"]
    assert (lost, doubled) == (0, 0), f"{writer.sent} sent: {lost} lost, {doubled} doubled"
    ledger.check(engine)
    ledger.check_rows(engine)
    return f"{writer.sent} records, {lost} lost, {doubled} doubled"


def holds_data(fleet):
    """The workers that read the topic that is written to."""
    topic = fleet.engine.topic("it.json")
    return [worker for worker in fleet.workers if any(name == topic for name, _ in held([worker]))]


# Each unit is a file that every audit opens: few of them.
@pytest.mark.parametrize("fleet", [{"epoch": "2s"}], indirect=True)
def test_three_workers_through_kills_pauses_and_comings_and_goings(fleet, tmp_path):
    engine, workers = fleet.engine, fleet.workers
    chance = random.Random(SEED)
    print(f"TIDEMILL_SEED={SEED} TIDEMILL_ROUNDS={ROUNDS}")
    until(fleet.settled, 60, fleet.state)
    until(lambda: sum(worker.status()["publishes"] for worker in workers) == 1, 30, fleet.state)
    writer = writing(fleet)
    audits, done = collections.Counter(), collections.Counter()
    pauses = 0
    began = time.monotonic()
    for number in range(ROUNDS):
        what = ("kill", "pause", "leave")[number % 3]
        print(f"round {number} at {time.monotonic() - began:.0f} s: {what}")
        done[what] += 1
        if what == "pause":
            pauses += pause_until_refused(fleet, chance)
        else:
            worker = chance.choice(workers)
            how = signal.SIGKILL if what == "kill" else signal.SIGTERM
            assert worker.end(how) == (-how if what == "kill" else 0), worker.tail()
            time.sleep(chance.uniform(0, SESSION + 2))
            worker.start()
        assert all(each.alive() for each in workers), fleet.state()
        # Beside the workers: never violated, and soon proven, with all in it that was acknowledged by now.
        stored = read_so_far(fleet, writer)
        report, unsettled = proof.proven(engine)
        assert report["received"] >= stored
        audits.update(proven=1, unsettled=unsettled)
    writer.finish()
    until(fleet.settled, 90, fleet.state)
    assert all(each.alive() for each in workers), fleet.state()
    counted = lost_and_doubled(fleet, writer)
    refused, rebalances = fleet.counted("rejected_units"), fleet.counted("rebalances")
    # All leave together: what is committed is visible to whoever asks afterwards.
    last = KafkaWriter(engine.kafka, writer.topic)
    last.sent = writer.sent
    last.start()
    until(lambda: len(last.stored) > 500, 60, fleet.state)
    last.finish()
    for worker in workers:
        worker.process.send_signal(signal.SIGTERM)
    assert [worker.process.wait(STOP_DEADLINE) for worker in workers] == [0, 0, 0], fleet.state()
    engine.wait_count(last.sent, "logs WHERE service = 'kill-kafka'")
    proof.assert_green(engine)
    assert proof.fsck(engine)[0] == 0
    planted = proof.assert_a_planted_loss_is_found(engine, tmp_path)
    kinds = ", ".join(f"{count} {what}" for what, count in done.items())
    print(f"{ROUNDS} rounds ({kinds}; {pauses} pauses), {rebalances} rebalances, {refused} units refused, {counted};")
    print(f"audits {dict(audits)}, a planted loss of {planted} rows found")
    assert refused >= done["pause"] and rebalances >= ROUNDS


def pause_until_refused(fleet, chance):
    """A unit of a worker that was given up, whose files are written and whose record is not, must be refused when it
    wakes; how many pauses that took: it may have been told before by its own look at the log."""
    for number in range(1, MOST_PAUSES + 1):
        refused = fleet.counted("rejected_units")
        slept_through(fleet, chance.choice(holds_data(fleet)), chance)
        until(fleet.settled, 90, fleet.state)
        if fleet.counted("rejected_units") > refused:
            return number
    raise AssertionError(f"no unit was refused in {MOST_PAUSES} pauses\n{fleet.state()}")


def slept_through(fleet, worker, chance):
    """Stops a worker in the middle of a unit until the group has given it up, and wakes it."""
    worker.pause_within_a_unit()
    # It is a zombie when the others have everything, what it still believes to own included.
    others = [each for each in fleet.workers if each is not worker]
    until(lambda: shared_out(others, fleet.PARTITIONS), SESSION + 60, fleet.state)
    time.sleep(chance.uniform(0, 2))
    worker.wake()


@pytest.mark.parametrize("fleet", [{"named": False}], indirect=True)
def test_members_that_come_and_go_every_few_seconds(fleet, tmp_path):
    """No worker has a name in the group: each one that leaves or comes moves partitions of the others at once, and
    the next one does so before that is over."""
    engine = fleet.engine
    chance = random.Random(SEED)
    print(f"TIDEMILL_SEED={SEED} TIDEMILL_ROUNDS={ROUNDS}")
    until(fleet.settled, 60, fleet.state)
    writer, audits = writing(fleet), Audits(engine)
    audits.start()
    done = collections.Counter()
    fleet.worker()
    began = time.monotonic()
    for number in range(2 * ROUNDS):
        # Between two and four of them at a time.
        away = [worker for worker in fleet.workers if not worker.alive()]
        comes = away and (len(away) == 2 or chance.random() < 0.5)
        worker = chance.choice(away if comes else fleet.alive())
        what = "join" if comes else chance.choice(("leave", "leave", "kill"))
        print(f"{number}: worker {worker.number}: {what}")
        done[what] += 1
        if what == "join":
            worker.start()
        else:
            how = signal.SIGKILL if what == "kill" else signal.SIGTERM
            assert worker.end(how) == (-how if what == "kill" else 0), worker.tail()
        time.sleep(chance.uniform(0, 3))
        assert audits.failed == [], audits.failed
    took = time.monotonic() - began
    writer.finish()
    until(fleet.settled, 90, fleet.state)
    counted = lost_and_doubled(fleet, writer)
    audits.finish()
    proof.proven(engine)
    refused, rebalances = fleet.counted("rejected_units"), fleet.counted("rebalances")
    for worker in fleet.alive():
        assert worker.end(signal.SIGTERM) == 0, worker.tail()
    assert proof.fsck(engine)[0] == 0
    planted = proof.assert_a_planted_loss_is_found(engine, tmp_path)
    kinds = ", ".join(f"{count} {what}" for what, count in done.items())
    print(f"{2 * ROUNDS} comings and goings in {took:.0f} s ({kinds}), {rebalances} rebalances, {refused} units refused, {counted};")
    print(f"audits {dict(audits.verdicts)}, a planted loss of {planted} rows found")
    assert rebalances >= 2 * ROUNDS


@pytest.mark.parametrize("fleet", [{"session": 60}], indirect=True)
def test_a_worker_that_is_killed_and_back_within_the_session_timeout_moves_nothing_of_others(fleet):
    """Its name in the group is the same: it gets its partitions back, and nobody else stops reading."""
    workers = fleet.workers
    until(lambda: sorted(len(held([worker])) for worker in workers) == [13, 13, 14], 60, fleet.state)
    writer = writing(fleet)
    # One of them leads the group; which one is the broker's affair.
    for worker in workers:
        others = [each for each in workers if each is not worker]
        before, owner = set(held([worker])), worker.status()["owner"]
        seen = [(each.status()["rebalances"], set(held([each]))) for each in others]
        assert worker.end(signal.SIGKILL) == -signal.SIGKILL
        worker.start()
        until(lambda worker=worker, before=before: set(held([worker])) == before, 50, fleet.state)
        assert worker.status()["owner"] != owner, "a new process"
        # What comes from now on is read from all partitions, so by this worker from its own.
        read_so_far(fleet, writer)
        assert [(each.status()["rebalances"], set(held([each]))) for each in others] == seen, fleet.state()
    writer.finish()
    print(f"{len(workers)} kills and restarts within the session timeout: no other worker saw a rebalance; {lost_and_doubled(fleet, writer)}")
    proof.proven(fleet.engine)
