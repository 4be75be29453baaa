"""Replay rate against the rate at which a live worker catches up: the same messages, binary, broker and store.

TIDEMILL_BIN=target/debug/tidemill <venv of tests/clients>/bin/python benches/replay.py [messages] [rounds]
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "clients"))

from confluent_kafka import Producer  # noqa: E402
from engine import Engine, binary  # noqa: E402

MESSAGES = int(sys.argv[1]) if len(sys.argv) > 1 else 400_000
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 3
RECEIVED = "SELECT coalesce(sum(events), 0) FROM ledger WHERE action = 'received' AND _topic = 'it.json'"
PIPELINE = """
pipelines:
  - filter: "*"
    processors:
      - type: grok-parser
        grok:
          match_rules: |
            r %{word:method} %{notSpace:url} took %{integer:ms}ms status %{integer:code} %{data:rest}
metrics:
  - {name: took, compute: {aggregation_type: distribution, path: "@ms"}, group_by: [{path: "@method"}]}
"""


def produce(engine):
    """Lines of ten hours, about 200 bytes each."""
    producer = Producer({"bootstrap.servers": engine.kafka, "linger.ms": 50, "queue.buffering.max.messages": 1_000_000})
    for n in range(MESSAGES):
        text = f"GET /api/items/{n} took {n % 997}ms status 200 the quick brown fox jumps over the lazy dog again"
        time_of_it = f"2024-05-01T{n * 10 // MESSAGES:02}:{n % 60:02}:{n % 59:02}Z"
        line = json.dumps({"message": text, "service": f"s{n % 20}", "timestamp": time_of_it, "host": f"h{n % 8}"})
        while True:
            try:
                producer.produce("it.json", line)
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(300) == 0


def live(engine):
    """Tables and commit log are gone: the worker reads everything again. Messages a second."""
    engine.stop()
    for directory in ("tables", "_sys"):
        shutil.rmtree(engine.data / directory)
    engine.start()
    begun = time.monotonic()
    engine.wait_for(RECEIVED, lambda rows: next(iter(rows[0].values())) >= MESSAGES, deadline=1_200)
    return MESSAGES / (time.monotonic() - begun)


def replay(engine, *arguments):
    """The whole command, swap included; and what it staged alone. Messages a second."""
    command = [str(binary()), "replay", "--topic", "it.json", "--format", "json", "--data-dir", str(engine.data)]
    begun = time.monotonic()
    done = subprocess.run([*command, "--config", str(engine.dir / "tidemill.yaml"), *arguments], capture_output=True, text=True)
    assert done.returncode == 0, (done.stderr, done.stdout)
    staged = float(re.search(r"after ([0-9.]+) s", done.stderr)[1])
    return MESSAGES / (time.monotonic() - begun), MESSAGES / staged


def main():
    with tempfile.TemporaryDirectory() as directory:
        file = pathlib.Path(directory) / "pipeline.yaml"
        file.write_text(PIPELINE)
        engine = Engine(pipeline=file, epoch="5s")
        try:
            engine.start()
            produce(engine)
            for number in range(ROUNDS):
                rate = live(engine)
                plain, staged = replay(engine, "--no-diff")
                compared, _ = replay(engine)
                print(
                    f"round {number}: live {rate:.0f}/s; replay {plain:.0f}/s, {plain / rate:.2f} times (staging alone {staged:.0f}/s); "
                    f"with comparison {compared:.0f}/s, {compared / rate:.2f} times",
                    flush=True,
                )
        finally:
            engine.close()


if __name__ == "__main__":
    main()
