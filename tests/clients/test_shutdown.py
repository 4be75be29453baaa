"""The life of the process: drain on SIGTERM, clear refusals at start."""

import json
import signal
import socket
import subprocess

import pytest
from engine import PORTS, START_DEADLINE, Engine, binary, free_ports


@pytest.fixture
def own():
    """An engine of this test alone, not started."""
    engine = Engine(pipeline=None)
    yield engine
    engine.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_commits_and_exits_with_0(own, number):
    own.epoch = "60s"  # Only the drain can commit within this test.
    own.start()
    own.send_logs([{"message": f"line {n}", "service": "drain"} for n in range(100)])
    process = own.process
    process.send_signal(number)
    assert process.wait(60) == 0, own.tail()
    told = subprocess.run(
        [str(binary()), "sql", "--format", "json", "--data-dir", str(own.data), "SELECT count(*) AS n FROM logs WHERE service = 'drain'"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert told.returncode == 0, told.stderr
    assert "100" in json.dumps(json.loads(told.stdout)), told.stdout
    own.epoch = "1s"
    own.start()
    own.wait_count(100, "logs WHERE service = 'drain'")


@pytest.mark.parametrize("setting", PORTS)
def test_a_port_in_use_names_its_setting(own, setting):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", own.port[PORTS[setting]]))
        taken.listen()
        process = own.spawn()
        assert process.wait(START_DEADLINE) != 0
    text = own.tail()
    assert setting in text and str(own.port[PORTS[setting]]) in text, text
    assert "panicked" not in text


def test_two_engines_never_share_a_data_directory(own):
    own.start()
    second = Engine(directory=own.dir / "second", pipeline=None)
    second.data = own.data
    process = second.spawn()
    assert process.wait(START_DEADLINE) != 0
    assert str(own.data) in second.tail() and "panicked" not in second.tail()
    assert own.healthy()


def test_after_kill_9_the_data_directory_is_free_again(own):
    own.start()
    own.kill()
    own.start()
    assert own.healthy()


def test_a_bad_configuration_is_refused_with_file_and_setting(own):
    file = own.dir / "bad.yaml"
    file.write_text("worker:\n  epoch: soon\n")
    for command in (["config", "check", str(file)], ["up", "--data-dir", str(own.data), "--config", str(file)]):
        told = subprocess.run([str(binary()), *command], capture_output=True, text=True, timeout=60)
        text = told.stdout + told.stderr
        assert told.returncode not in (0, 101) and "bad.yaml" in text and "epoch" in text, text
    good = own.dir / "good.yaml"
    good.write_text(own.config())
    told = subprocess.run([str(binary()), "config", "check", str(good)], capture_output=True, text=True, timeout=60)
    assert told.returncode == 0, told.stdout + told.stderr


def test_health_says_no_before_and_after(own):
    assert not own.healthy()
    own.start()
    assert own.healthy()
    assert own.stop() == 0
    assert not own.healthy()
    assert free_ports(1), "the ports are free again"
