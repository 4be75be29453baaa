"""A batch job and its errors: counted exactly, told once, decided by people, through kill -9.

A nightly job logs 100,000 records, all of them errors of five kinds, and an exclusion filter throws every log away:
errors are taken before that. The receiver of notifications is a real HTTP server; a message that comes twice because
the engine was killed between sending and remembering has the same idempotency key, so it is counted by that.
"""

import collections
import hashlib
import hmac
import json
import os
import random
import subprocess
import threading
import time
import urllib.error
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from engine import Engine, binary, request

#: Records of the job; a multiple of 1,000.
RECORDS = int(os.environ.get("TIDEMILL_ISSUE_RECORDS", "100000"))
#: kill -9 while they come.
KILLS = int(os.environ.get("TIDEMILL_ISSUE_KILLS", "3"))
SEED = int(os.environ.get("TIDEMILL_SEED", str(random.randrange(1 << 32))))
SECRET = "it-s3cret"
SERVICE = "nightly-import"
#: Parts of a thousand.
KINDS = {"TimeoutError": 500, "ValueError": 300, "KeyError": 150, "OSError": 40, "MemoryError": 10}

#: Every log of the job is excluded.
PIPELINE = """
indexes:
  - name: main
    filter:
      query: "*"
    exclusion_filters:
      - name: everything of the job
        is_enabled: true
        filter:
          query: service:nightly-import
          sample_rate: 1.0
"""


class Receiver:
    """What a webhook's owner runs: takes messages, checks their signature, can be told to fail."""

    def __init__(self):
        self.heard, self.attempts, self.bad, self.failing = collections.OrderedDict(), 0, [], False
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.attempts += 1
                if receiver.failing:
                    self.send_response(500)
                    self.end_headers()
                    return
                parts = dict(part.split("=", 1) for part in self.headers["x-tidemill-signature"].split(","))
                expected = hmac.new(SECRET.encode(), f"{parts['t']}.".encode() + body, hashlib.sha256).hexdigest()
                if not hmac.compare_digest(expected, parts["v1"]):
                    receiver.bad.append(body)
                receiver.heard[self.headers["idempotency-key"]] = json.loads(body)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}/hook"

    def alerts(self):
        """(kind of alert, type of error), sorted."""
        return sorted((alert["kind"], alert.get("error_kind", alert.get("monitor"))) for body in list(self.heard.values()) for alert in body["alerts"])

    def wait(self, count, deadline=60):
        end = time.monotonic() + deadline
        while len(self.alerts()) < count and time.monotonic() < end:
            time.sleep(0.1)
        return self.alerts()


class IssueEngine(Engine):
    """An engine that tells a receiver."""

    def __init__(self, receiver, **more):
        super().__init__(pipeline=None, **more)
        self.pipeline, self.receiver = PIPELINE, receiver

    def config(self):
        hook = {"name": "hook", "type": "webhook", "url": self.receiver.url, "secret": SECRET, "private": True}
        return super().config() + f"\nnotifications:\n  - {json.dumps(hook)}\n"

    def issues(self, *arguments):
        """`tidemill issues ...`, beside the running engine."""
        command = [str(binary()), "issues", *arguments, "--data-dir", str(self.data)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, (command, done.stderr)
        return done.stdout


def error(kind, version, number):
    stack = (
        "Traceback (most recent call last):\n"
        f'  File "/app/job/main.py", line {100 + number % 7}, in run\n    step(row)\n'
        f'  File "/app/job/{kind.lower()}.py", line 42, in step\n    raise {kind}(row)\n'
        f"{kind}: row {number} of batch {number % 13}"
    )
    return {
        "service": SERVICE,
        "ddsource": "python",
        "ddtags": f"env:prod,version:{version}",
        "hostname": f"host-{number % 3}",
        "status": "error",
        "message": f"row {number} failed",
        "error": {"kind": kind, "message": f"row {number} of batch {number % 13}", "stack": stack},
        "usr": {"id": f"user-{number % 40}"},
        "batch": {"id": f"batch-{number % 13}"},
    }


def send(engine, entries):
    """Until it was taken: an engine that is being started again takes it later."""
    end = time.monotonic() + 120
    while True:
        try:
            return engine.send_logs(entries)
        except (OSError, urllib.error.URLError):
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def kinds(engine):
    rows = engine.sql("SELECT error_kind, state, events FROM error_issues WHERE service = 'nightly-import'")
    return {row["error_kind"]: (row["state"], row["events"]) for row in rows}


def wait_kinds(engine, expected, deadline=180):
    end = time.monotonic() + deadline
    while True:
        found = kinds(engine)
        if found == expected:
            return
        assert time.monotonic() < end, f"expected {expected}, last seen {found}\n{engine.tail()}"
        time.sleep(0.3)


@pytest.fixture(scope="module")
def story():
    receiver = Receiver()
    engine = IssueEngine(receiver)
    try:
        yield engine.start(), receiver
    finally:
        engine.close()
        receiver.server.shutdown()


def test_a_batch_job_with_five_kinds_of_error(story):
    engine, receiver = story
    chance = random.Random(SEED)
    print(f"TIDEMILL_SEED={SEED}")
    batches = RECORDS // 1000
    kills = set(chance.sample(range(1, batches), KILLS)) if KILLS else set()
    number = 0
    for batch in range(batches):
        if batch in kills:
            # Between two requests: what was acknowledged is in Kafka, and nothing is sent twice.
            engine.kill()
            engine.start()
        entries = []
        for kind, count in KINDS.items():
            for _ in range(count):
                entries.append(error(kind, "1.0", number))
                number += 1
        chance.shuffle(entries)
        send(engine, entries)
    expected = {kind: ("for_review", count * batches) for kind, count in KINDS.items()}
    wait_kinds(engine, expected)
    assert receiver.wait(5) == [("new_issue", kind) for kind in sorted(KINDS)]
    assert engine.value("SELECT count(*) FROM error_events") == RECORDS
    assert engine.value("SELECT count(*) FROM logs WHERE service = 'nightly-import'") == 0, "they are excluded"
    (row,) = engine.sql("SELECT users, batches, aliases, versions, samples FROM error_issues WHERE error_kind = 'TimeoutError'")
    assert (row["users"], row["batches"]) == (40, 13)
    (sample,) = engine.sql("SELECT error_stack, attributes FROM error_events WHERE context AND error_kind = 'KeyError' LIMIT 1")
    assert "keyerror.py" in sample["error_stack"]


def test_a_sixth_kind_is_told_once(story):
    engine, receiver = story
    before = kinds(engine)
    send(engine, [error("UnicodeDecodeError", "1.0", number) for number in range(10)])
    wait_kinds(engine, {**before, "UnicodeDecodeError": ("for_review", 10)})
    assert len(receiver.wait(6)) == 6
    assert receiver.alerts()[-1] == ("new_issue", "ValueError")
    assert ("new_issue", "UnicodeDecodeError") in receiver.alerts()


def test_a_resolved_one_comes_back_in_a_newer_version_once(story):
    engine, receiver = story
    before = kinds(engine)
    (row,) = engine.sql("SELECT issue_id FROM error_issues WHERE error_kind = 'KeyError'")
    assert "resolved" in engine.issues("resolve", row["issue_id"], "--by", "ann", "--reason", "fixed in 1.1")
    count = before["KeyError"][1]
    wait_kinds(engine, {**before, "KeyError": ("resolved", count)})
    send(engine, [error("KeyError", "1.0", number) for number in range(5)])
    wait_kinds(engine, {**before, "KeyError": ("resolved", count + 5)})
    send(engine, [error("KeyError", "1.1", number) for number in range(5)])
    wait_kinds(engine, {**before, "KeyError": ("for_review", count + 10)})
    receiver.wait(7)
    engine.kill()
    engine.start()
    send(engine, [error("KeyError", "1.1", number) for number in range(5)])
    wait_kinds(engine, {**before, "KeyError": ("for_review", count + 15)})
    assert [alert for alert in receiver.alerts() if alert[0] == "regression"] == [("regression", "KeyError")]
    assert len(receiver.alerts()) == 7 and not receiver.bad
    history = engine.sql(
        f"SELECT change, decided_by, reason FROM error_issue_history WHERE issue_id = '{row['issue_id']}' AND change <> 'counted' ORDER BY _seq"
    )
    assert [row["change"] for row in history] == ["created", "resolve", "regressed"]
    assert (history[1]["decided_by"], history[1]["reason"]) == ("ann", "fixed in 1.1")


def test_what_was_sent_is_a_table_and_issues_are_on_http(story):
    engine, receiver = story
    engine.wait_for("SELECT count(*) AS n FROM notifications WHERE outcome = 'sent'", lambda rows: rows[0]["n"] == 7)
    status, _, body = request("GET", engine.url("http", "/api/v1/issues?order=events&limit=2"))
    issues = json.loads(body)["issues"]
    assert status == 200 and [issue["error_kind"] for issue in issues] == ["TimeoutError", "ValueError"]
    identity = issues[0]["issue_id"]
    decide = json.dumps({"state": "ignored", "by": "bob", "reason": "known"}).encode()
    headers = {"content-type": "application/json"}
    status, _, body = request("POST", engine.url("http", f"/api/v1/issues/{identity}/state"), decide, headers)
    assert status == 200 and json.loads(body)["state"] == "ignored", body
    status, _, body = request("POST", engine.url("http", "/api/v1/issues/none/state"), decide, headers)
    assert status == 404, body
    shown = json.loads(engine.issues("show", identity))
    assert shown["state_by"] == "bob" and shown["events"] == KINDS["TimeoutError"] * (RECORDS // 1000)
    assert sum(shown["hosts"].values()) == shown["events"]


def test_a_receiver_that_is_down_gets_the_message_when_it_is_back(story):
    engine, receiver = story
    receiver.failing = True
    seen = receiver.attempts
    send(engine, [error("ZeroDivisionError", "1.1", 1)])
    end = time.monotonic() + 60
    while receiver.attempts < seen + 2 and time.monotonic() < end:
        time.sleep(0.1)
    assert receiver.attempts >= seen + 2, "it is tried again"
    engine.kill()
    engine.start()
    receiver.failing = False
    assert ("new_issue", "ZeroDivisionError") in receiver.wait(8)
    assert len(receiver.alerts()) == 8


#: Two kinds of error are one from now on.
RULES = """
error_tracking:
  fingerprint_rules: |
    error.type:OSError -> io
    error.type:TimeoutError -> io
"""


def aged(kind, number, hours):
    return {**error(kind, "1.0", number), "timestamp": int((time.time() - hours * 3600) * 1000)}


def test_a_replay_regroups_after_a_change_of_rules_and_keeps_states(tmp_path):
    receiver = Receiver()
    engine = IssueEngine(receiver)
    try:
        engine.start()
        # Hours that nothing comes to any more can be replaced; such late errors alarm nobody.
        send(engine, [aged("OSError", number, 5) for number in range(30)])
        send(engine, [aged("TimeoutError", number, 4) for number in range(20)])
        send(engine, [aged("ValueError", number, 4) for number in range(10)])
        wait_kinds(engine, {"OSError": ("for_review", 30), "TimeoutError": ("for_review", 20), "ValueError": ("for_review", 10)})
        (row,) = engine.sql("SELECT issue_id FROM error_issues WHERE error_kind = 'OSError'")
        engine.issues("ignore", row["issue_id"], "--by", "ann", "--reason", "known")
        wait_kinds(engine, {"OSError": ("ignored", 30), "TimeoutError": ("for_review", 20), "ValueError": ("for_review", 10)})
        rules = tmp_path / "rules.yaml"
        rules.write_text(PIPELINE + RULES)
        command = [str(binary()), "replay", "--pipeline", str(rules), "--data-dir", str(engine.data), "--config", str(engine.dir / "tidemill.yaml")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, (done.stdout, done.stderr)
        wait_kinds(engine, {"OSError": ("ignored", 50), "ValueError": ("for_review", 10)})
        (after,) = engine.sql("SELECT issue_id, array_length(aliases) AS ids FROM error_issues WHERE error_kind = 'OSError'")
        assert after["issue_id"] == row["issue_id"] and after["ids"] == 3, after
        engine.stop()
        engine.pipeline = PIPELINE + RULES
        engine.start()
        send(engine, [error("TimeoutError", "1.0", 1)])
        wait_kinds(engine, {"OSError": ("ignored", 51), "ValueError": ("for_review", 10)})
        said = engine.issues("explain", row["issue_id"], "--config", str(engine.dir / "tidemill.yaml"))
        assert "error.type:" in said, said
        assert receiver.alerts() == []
    finally:
        engine.close()
        receiver.server.shutdown()
