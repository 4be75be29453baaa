"""An unmodified `dd-trace` under Node.js: another language, another protocol version (PUT, v0.4)."""

import os
import pathlib
import shutil
import subprocess

import pytest
from engine import free_ports, request
from test_ddtrace import wait_until_up

APP = pathlib.Path(__file__).parent / "apps" / "node_app.js"


@pytest.fixture(scope="module")
def orders(engine):
    """Runs the server through its life; gives the service name and everything it wrote."""
    modules = pathlib.Path(os.environ.get("TIDEMILL_NODE_MODULES", "node_modules"))
    if shutil.which("node") is None or not (modules / "dd-trace").is_dir():
        pytest.skip(f"SKIPPED dd-trace: no node on the path, or no dd-trace in {modules} (tests/clients/install.sh puts it there)")
    service = f"orders-{os.getpid()}"
    (port,) = free_ports(1)
    env = dict(
        os.environ,
        NODE_PATH=str(modules),
        DD_AGENT_HOST="localhost",
        DD_TRACE_AGENT_PORT=str(engine.port["datadog"]),
        DD_SERVICE=service,
        DD_ENV="it",
        DD_VERSION="3.4",
    )
    run = ["node", "--require", str(modules / "dd-trace" / "init"), str(APP), str(port)]
    process = subprocess.Popen(run, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    process.stderr = process.stdout
    base = f"http://127.0.0.1:{port}"
    try:
        wait_until_up(base, process)
        for number in range(5):
            assert request("GET", f"{base}/order/{number}")[0] == 200
        assert request("GET", f"{base}/broken")[0] == 500
        assert request("GET", f"{base}/stop")[0] == 200
        written = process.stdout.read()
        assert process.wait(30) == 0, written
    finally:
        if process.poll() is None:
            process.kill()
    return service, written


def test_tracer_starts_and_ends_without_a_word(orders):
    assert orders[1] == ""


def test_spans_arrive_with_tags_parents_and_errors(engine, orders):
    service, _ = orders
    children = engine.wait_for(
        "SELECT c.attributes['order'] AS number, c.resource, c.env, c.version, p.name, p.kind, p.http_method, p.http_status_code "
        "FROM spans c JOIN spans p ON c.trace_id = p.trace_id AND c.parent_id = p.span_id "
        f"WHERE c.service = '{service}' AND c.name = 'order.load' ORDER BY 1",
        lambda rows: len(rows) == 5,
    )
    assert [row["number"] for row in children] == list("01234")
    assert {(row["env"], row["version"], row["name"], row["kind"], row["http_method"], row["http_status_code"]) for row in children} == {
        ("it", "3.4", "web.request", "server", "GET", 200)
    }
    errors = engine.wait_for(
        f"SELECT error_kind, error_message, error_stack FROM spans WHERE service = '{service}' AND name = 'order.pay' AND error",
        lambda rows: len(rows) == 1,
    )
    assert (errors[0]["error_kind"], errors[0]["error_message"]) == ("TypeError", "card is not a function")
    assert "node_app.js" in errors[0]["error_stack"]
