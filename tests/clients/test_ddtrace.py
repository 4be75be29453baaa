"""An unmodified `ddtrace` instruments an unmodified Flask app, as its users start it."""

import os
import pathlib
import re
import subprocess
import sys
import time

import pytest
from engine import free_ports, request

APP = pathlib.Path(__file__).parent / "apps" / "flask_app.py"


@pytest.fixture(scope="module")
def shop(engine):
    """Runs the app through its life; gives the service name and what it wrote to stderr."""
    service = f"shop-{os.getpid()}"
    (port,) = free_ports(1)
    env = dict(
        os.environ,
        DD_AGENT_HOST="localhost",
        DD_TRACE_AGENT_PORT=str(engine.port["datadog"]),
        DD_SERVICE=service,
        DD_ENV="it",
        DD_VERSION="1.2",
        DD_LOGS_INJECTION="true",
        LOGS_URL=engine.url("datadog", "/api/v2/logs"),
    )
    # The launcher beside this interpreter; the app sees nothing but the environment above.
    run = [str(pathlib.Path(sys.executable).parent / "ddtrace-run"), sys.executable, str(APP), str(port)]
    process = subprocess.Popen(run, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    base = f"http://127.0.0.1:{port}"
    try:
        wait_until_up(base, process)
        for customer in ("anna", "berta", "carla"):
            assert request("GET", f"{base}/cart/{customer}")[0] == 200
        assert request("GET", f"{base}/missing")[0] == 404
        assert request("GET", f"{base}/broken")[0] == 500
        assert request("POST", f"{base}/stop", b"")[0] == 200
        _, stderr = process.communicate(timeout=30)
        assert process.returncode == 0, stderr
    finally:
        if process.poll() is None:
            process.kill()
    return service, stderr


def wait_until_up(base, process):
    end = time.monotonic() + 30
    while True:
        try:
            if request("GET", base + "/", timeout=2)[0] == 200:
                return
        except OSError:
            assert time.monotonic() < end and process.poll() is None, process.stderr.read()
            time.sleep(0.1)


def test_tracer_starts_and_ends_without_a_word(shop):
    _, stderr = shop
    own = []
    inside_traceback = False
    for line in stderr.splitlines():
        # Flask's own words: its banner, its access log, the exception the test provokes.
        if inside_traceback and (line.startswith(" ") or line == "RuntimeError: payment provider is gone"):
            continue
        inside_traceback = line.startswith("Traceback") or "ERROR in app: Exception on /broken" in line
        if inside_traceback or re.search(r"development server|Running on|Press CTRL|\] \"|Serving Flask|Debug mode", line):
            continue
        own.append(line)
    assert own == [], "ddtrace complained"


def test_every_span_arrives_with_its_unified_tags(engine, shop):
    service, _ = shop
    # At least one GET / while starting, 3 carts, 1 missing, 1 broken, 1 stop.
    rows = engine.wait_for(
        f"SELECT resource, env, version, http_status_code, http_method, error, parent_id, kind, type FROM spans "
        f"WHERE service = '{service}' AND name = 'flask.request'",
        lambda rows: sum(row["resource"] == "GET /cart/<customer>" for row in rows) == 3
        and {"GET /broken", "GET /missing"} <= {row["resource"] for row in rows},
    )
    assert {(row["env"], row["version"]) for row in rows} == {("it", "1.2")}
    assert {row["parent_id"] for row in rows} == {""}, "a request is the root of its trace"
    cart = next(row for row in rows if row["resource"] == "GET /cart/<customer>")
    assert (cart["http_status_code"], cart["http_method"], cart["error"]) == (200, "GET", False)
    assert (cart["kind"], cart["type"]) == ("server", "web")


def test_children_point_at_their_parents(engine, shop):
    service, _ = shop
    rows = engine.wait_for(
        "SELECT c.resource, c.attributes['customer'] AS customer, c.metrics['items'] AS items, c.parent_id, p.span_id, length(c.trace_id) AS n "
        "FROM spans c JOIN spans p ON c.trace_id = p.trace_id AND c.parent_id = p.span_id "
        f"WHERE c.service = 'pricing' AND c.name = 'cart.price' AND p.service = '{service}' ORDER BY 2",
        lambda rows: len(rows) == 3,
    )
    assert [row["customer"] for row in rows] == ["anna", "berta", "carla"]
    assert {row["items"] for row in rows} == {3.0} and {row["n"] for row in rows} == {32}
    orphans = engine.value(
        f"SELECT count(*) FROM spans c LEFT JOIN spans p ON c.trace_id = p.trace_id AND c.parent_id = p.span_id "
        f"WHERE c.service = '{service}' AND c.parent_id <> '' AND p.span_id IS NULL"
    )
    assert orphans == 0


def test_an_error_is_kept_whole(engine, shop):
    service, _ = shop
    # ddtrace marks the request as failed, and tells the error on the span of the view. It calls that
    # `__main__.broken`; a span's name begins with a letter, as the Datadog agent has it.
    rows = engine.wait_for(
        "SELECT v.error_kind, v.error_message, v.error_stack, r.http_status_code FROM spans v JOIN spans r ON v.trace_id = r.trace_id "
        f"WHERE v.service = '{service}' AND v.name = 'main.broken' AND v.error AND r.name = 'flask.request' AND r.error",
        lambda rows: len(rows) == 1,
    )
    assert rows[0]["error_kind"].endswith("RuntimeError")
    assert rows[0]["error_message"] == "payment provider is gone"
    assert "flask_app.py" in rows[0]["error_stack"] and rows[0]["http_status_code"] == 500


def test_a_log_leads_to_its_trace(engine, shop):
    service, _ = shop
    rows = engine.wait_for(
        "SELECT l.message, l.status, l.env, l.version, l.source, s.resource FROM logs l "
        "JOIN spans s ON l.trace_id = s.trace_id AND l.span_id = s.span_id "
        f"WHERE l.service = '{service}' ORDER BY l.message",
        lambda rows: len(rows) == 4,
    )
    assert [row["message"] for row in rows] == [*(f"cart of {who} opened" for who in ("anna", "berta", "carla")), "payment provider is gone"]
    assert [row["status"] for row in rows] == ["info", "info", "info", "error"]
    assert {(row["env"], row["version"], row["source"]) for row in rows} == {("it", "1.2", "python")}
