"""Fixtures: one engine for most tests, a fresh one for those that count everything or kill it."""

import os
import pathlib
import sys
import uuid

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from engine import ROOT, Engine  # noqa: E402


@pytest.fixture(scope="session")
def engine():
    """The engine shared by tests that mark what they send with a name of their own."""
    with_engine = Engine()
    try:
        yield with_engine.start()
        assert with_engine.healthy(), "the engine did not survive the tests"
    finally:
        with_engine.close()


@pytest.fixture(scope="module")
def fresh_engine():
    """An engine of this test file alone: whole tables can be counted."""
    with_engine = Engine()
    try:
        yield with_engine.start()
    finally:
        with_engine.close()


@pytest.fixture
def mark(request):
    """A name nothing else uses: the service of what this test sends."""
    return f"{request.node.name.split('[')[0].removeprefix('test_')[:40].replace('_', '-')}-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="session")
def data():
    """Real telemetry, found at run time; the tests that need it are skipped where it is missing."""
    place = pathlib.Path(os.environ.get("TIDEMILL_DATA", ROOT.parent / "shared" / "data"))
    if not place.is_dir():
        pytest.skip(f"no real data at {place}: set TIDEMILL_DATA to run this test")
    return place


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what its engine wrote last."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, Engine):
                report.sections.append(("last lines of tidemill", value.tail()))
