"""Bad input of every kind: a clear refusal or a dead letter, and the engine goes on."""

import gzip
import json
import time

import msgpack
import pytest
import wire
import zlib
import zstandard
from engine import request

MSGPACK = {"Content-Type": "application/msgpack", "X-Datadog-Trace-Count": "1"}
JSON = {"Content-Type": "application/json"}
PROTO = {"Content-Type": "application/x-protobuf"}
#: Zeros that inflate a thousandfold and more.
ZEROS = b"\0" * (96 << 20)


@pytest.fixture(scope="module")
def goes_on_to_the_end(engine):
    """What was sent after each case is all there, once, when the last one is through."""
    names = []
    yield names
    for table in ("logs", "spans"):
        engine.wait_for(
            f"SELECT service, count(*) AS n FROM {table} WHERE service LIKE 'after-%' GROUP BY 1",
            lambda rows: {row["service"]: row["n"] for row in rows} == dict.fromkeys(names, 1),
        )


@pytest.fixture(autouse=True)
def goes_on(engine, goes_on_to_the_end):
    """After every case: healthy, and what is sent now is accepted."""
    yield
    assert engine.healthy()
    name = f"after-{wire.new_id(48)}"
    engine.send_logs([{"message": "still here", "service": name}])
    engine.send_traces(wire.v04([[wire.dd_span(name)]]))
    goes_on_to_the_end.append(name)


def post(engine, listener, path, body, headers, method="POST"):
    return request(method, engine.url(listener, path), body, headers)


def refused(answer, allowed=(400, 413, 415, 422)):
    status, _, body = answer
    assert status in allowed, (status, body[:300])
    assert body.strip(), "a refusal says why"


def test_msgpack_cut_at_every_byte(engine, mark):
    whole = wire.v04([[wire.dd_span(mark, meta={"env": "it"})]])
    for end in range(len(whole)):
        refused(post(engine, "datadog", "/v0.4/traces", whole[:end], MSGPACK), (400, 200) if end == 0 else (400,))
    whole = wire.v05([[wire.dd_span(mark)]])
    for end in range(1, len(whole), 7):
        refused(post(engine, "datadog", "/v0.5/traces", whole[:end], MSGPACK))
    assert engine.value(f"SELECT count(*) FROM spans WHERE service = '{mark}'") == 0


@pytest.mark.parametrize(
    "body",
    [
        b"\xdd\xff\xff\xff\xff",  # an array of four billion
        b"\xdf\xff\xff\xff\xff",
        b"\x91" * 100_000,  # nested a hundred thousand deep
        b"\xc1",  # the one byte msgpack never uses
        msgpack.packb({"not": "an array"}),
        msgpack.packb([["not a span"]]),
        b"plain text",
    ],
    ids=["huge array", "huge map", "deep", "reserved byte", "map", "string span", "text"],
)
def test_hostile_msgpack(engine, body):
    for version in ("v0.3", "v0.4", "v0.5"):
        answer = post(engine, "datadog", f"/{version}/traces", body, MSGPACK, "PUT")
        refused(answer)


def dead_letters(engine, signal):
    return engine.value(f"SELECT count(*) FROM dead_letters WHERE signal = '{signal}'")


def wait_for_dead_letters(engine, signal, at_least):
    engine.wait_for(
        f"SELECT count(*) AS n FROM dead_letters WHERE signal = '{signal}' AND reason <> '' AND detail <> ''",
        lambda rows: rows[0]["n"] >= at_least,
    )


@pytest.mark.parametrize("version", ["v0.3", "v0.4"])
def test_a_span_with_values_of_wrong_types_is_refused_or_a_dead_letter(engine, version):
    before = dead_letters(engine, "spans")
    body = msgpack.packb([[{"service": 7, "name": [], "trace_id": "x"}]])
    status, _, told = post(engine, "datadog", f"/{version}/traces", body, MSGPACK, "PUT")
    assert status in (200, 400), (status, told)
    if status == 200:
        wait_for_dead_letters(engine, "spans", before + 1)


def test_otlp_protobuf_cut_at_every_byte(engine, mark):
    whole = wire.otlp_traces(mark).SerializeToString()
    for end in range(1, len(whole)):
        status, headers, body = post(engine, "otlp_http", "/v1/traces", whole[:end], PROTO)
        assert status == 400 and headers["Content-Type"] == "application/x-protobuf" and body, (end, status)
    assert engine.value(f"SELECT count(*) FROM spans WHERE service = '{mark}'") == 0


@pytest.mark.parametrize("body", [b"{", b"nul", b'{"resourceLogs": 1}', b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe{}", b'{"resourceLogs": "\\ud800"}'])
def test_malformed_otlp_json(engine, body):
    status, headers, answer = post(engine, "otlp_http", "/v1/logs", body, JSON)
    assert status == 400 and headers["Content-Type"].startswith("application/json") and json.loads(answer)["message"], answer


def test_nothing_sent_is_nothing_refused(engine):
    for kind, nothing in ((JSON, b""), (JSON, b"{}"), (PROTO, b"")):
        assert post(engine, "otlp_http", "/v1/logs", nothing, kind)[0] == 200, (kind, nothing)


@pytest.mark.parametrize("body", [b"{", b"nul", b"[" * 100_000, b"\xff\xfe"])
def test_malformed_log_json(engine, body):
    refused(post(engine, "datadog", "/api/v2/logs", body, JSON))


def test_log_entries_that_are_no_objects_are_dead_letters_and_the_others_kept(engine, mark):
    before = dead_letters(engine, "logs")
    body = json.dumps([{"message": "a", "service": mark}, 7, "text", {"message": "b", "service": mark}]).encode()
    status, _, told = post(engine, "datadog", "/api/v2/logs", body, JSON)
    assert status == 202, told
    engine.wait_count(2, f"logs WHERE service = '{mark}'")
    wait_for_dead_letters(engine, "logs", before + 2)


def test_wrong_methods_paths_and_types(engine):
    assert post(engine, "otlp_http", "/v1/traces", None, {}, "GET")[0] == 405
    assert post(engine, "otlp_http", "/v1/traces", b"x", {"Content-Type": "text/html"})[0] == 415
    assert post(engine, "otlp_http", "/v1/nothing", b"", PROTO)[0] == 404
    assert post(engine, "datadog", "/v9/traces", b"", MSGPACK)[0] == 404
    refused(post(engine, "datadog", "/api/v2/logs", b"[]", {**JSON, "Content-Encoding": "snappy-9"}))


BOMBS = {
    "gzip": gzip.compress(ZEROS, 9),
    "deflate": zlib.compress(ZEROS, 9),
    "zstd": zstandard.ZstdCompressor(level=19).compress(ZEROS),
    "gzip, gzip": gzip.compress(gzip.compress(ZEROS, 9), 9),
}


@pytest.mark.parametrize("encoding", BOMBS)
def test_bombs_are_refused_before_they_grow(engine, encoding):
    before = resident(engine)
    for _ in range(5):
        refused(post(engine, "datadog", "/api/v2/logs", BOMBS[encoding], {**JSON, "Content-Encoding": encoding}))
        if encoding in ("gzip", "zstd"):
            refused(post(engine, "otlp_http", "/v1/traces", BOMBS[encoding], {**PROTO, "Content-Encoding": encoding}))
    assert resident(engine) - before < 300, "MiB of memory gained"


def resident(engine):
    """MiB of memory the engine holds."""
    with open(f"/proc/{engine.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) // 1024


def test_too_large_is_413(engine):
    body = json.dumps([{"message": "x" * 900_000}] * 30).encode()
    assert post(engine, "datadog", "/api/v2/logs", body, JSON)[0] == 413


def test_a_thousand_and_one_logs_are_refused(engine):
    refused(post(engine, "datadog", "/api/v2/logs", json.dumps([{"message": "x"}] * 1001).encode(), JSON))


@pytest.mark.parametrize("field, value", [("trace_id", b""), ("trace_id", b"\1" * 15), ("trace_id", b"\0" * 16), ("span_id", b"\1" * 7), ("span_id", b"\0" * 8)])
def test_spans_with_bad_ids_are_told_and_the_good_ones_kept(engine, mark, field, value):
    """OTLP: the bad span is named in `partial_success`; or it is a dead letter; never silence."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    message = wire.otlp_traces(mark, spans=3)
    setattr(message.resource_spans[0].scope_spans[0].spans[1], field, value)
    dead = engine.value("SELECT count(*) FROM dead_letters")
    status, _, body = post(engine, "otlp_http", "/v1/traces", message.SerializeToString(), PROTO)
    assert status == 200
    told = ExportTraceServiceResponse.FromString(body).partial_success
    engine.wait_count(2, f"spans WHERE service = '{mark}'")
    if told.rejected_spans == 0:
        engine.wait_for("SELECT count(*) AS n FROM dead_letters WHERE reason = 'invalid_id'", lambda rows: rows[0]["n"] > dead)
    else:
        assert told.rejected_spans == 1 and told.error_message


def test_datadog_spans_with_a_zero_id_are_not_lost_silently(engine, mark):
    spans = [wire.dd_span(mark), wire.dd_span(mark, span_id=0)]
    status, _, _ = post(engine, "datadog", "/v0.4/traces", wire.v04([[span] for span in spans]), MSGPACK)
    if status == 200:
        engine.wait_count(1, f"spans WHERE service = '{mark}'")
        engine.wait_for("SELECT count(*) AS n FROM dead_letters WHERE reason = 'invalid_id' AND signal = 'spans'", lambda rows: rows[0]["n"] >= 1)
    else:
        assert status == 400


TIMES = {
    "zero": 0,
    "1970": 1_000_000_000,
    "1999": 915_148_800_000_000_000,
    "2262": 2**63 - 6,  # its end, 5 ns later, is the last nanosecond there is
    "beyond 2262": 2**63 + 10,
}


@pytest.mark.parametrize("when", TIMES)
def test_odd_times_are_kept_or_refused_by_name(engine, mark, when):
    nanos = TIMES[when]
    message = wire.otlp_traces(mark, start_time_unix_nano=nanos, end_time_unix_nano=min(nanos + 5, 2**64 - 1))
    assert post(engine, "otlp_http", "/v1/traces", message.SerializeToString(), PROTO)[0] == 200
    odd_logs = dead_letters(engine, "logs")
    logs = wire.otlp_logs(mark, ["odd"], time_unix_nano=nanos)
    assert post(engine, "otlp_http", "/v1/logs", logs.SerializeToString(), PROTO)[0] == 200
    span_id = message.resource_spans[0].scope_spans[0].spans[0].span_id.hex()
    kept = f"SELECT start_ns, duration_ns FROM spans WHERE span_id = '{span_id}'"
    end = time.monotonic() + 60
    while not (rows := engine.sql(kept)) and not (dead := engine.sql("SELECT detail FROM dead_letters WHERE reason = 'invalid_timestamp' AND signal = 'spans'")):
        assert time.monotonic() < end, f"neither a span nor a dead letter: {engine.tail()}"
        time.sleep(0.2)
    if rows:
        assert rows[0]["duration_ns"] >= 0
        assert when != "beyond 2262" and (when == "zero" or rows[0]["start_ns"] == nanos)
    else:
        assert when == "beyond 2262" and all(row["detail"] for row in dead)
    if when == "beyond 2262":
        wait_for_dead_letters(engine, "logs", odd_logs + 1)
    else:
        engine.wait_count(1, f"logs WHERE service = '{mark}'")


def test_a_negative_duration_is_kept_as_zero(engine, mark):
    now = time.time_ns()
    message = wire.otlp_traces(mark, start_time_unix_nano=now, end_time_unix_nano=now - 1_000_000)
    assert post(engine, "otlp_http", "/v1/traces", message.SerializeToString(), PROTO)[0] == 200
    engine.send_traces(wire.v04([[wire.dd_span(mark, duration=-5)]]))
    engine.wait_count(2, f"spans WHERE service = '{mark}'")
    assert {row["duration_ns"] for row in engine.sql(f"SELECT duration_ns FROM spans WHERE service = '{mark}'")} == {0}


def test_invalid_utf_8_and_nul(engine, mark):
    engine.send_logs([{"message": "a\u0000b", "service": mark, "k\u0000ey": "v"}])
    engine.wait_count(1, f"logs WHERE service = '{mark}'")
    assert engine.value(f"SELECT message FROM logs WHERE service = '{mark}'").startswith("a")
    # A str that is no UTF-8, as tracers in C send: refused whole, or kept readable.
    span = wire.v04([[wire.dd_span(mark, resource="RESOURCE")]]).replace(b"RESOURCE", b"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8")
    status, _, _ = post(engine, "datadog", "/v0.4/traces", span, MSGPACK)
    assert status in (200, 400)
    if status == 200:
        engine.wait_for(
            f"SELECT (SELECT count(*) FROM spans WHERE service = '{mark}') + (SELECT count(*) FROM dead_letters WHERE signal = 'spans') AS n",
            lambda rows: rows[0]["n"] >= 1,
        )
    raw = post(engine, "datadog", f"/v1/input?service={mark}-raw&ddsource=it", b"caf\xe9 \x00\x80", {"Content-Type": "text/plain"})
    assert raw[0] in (200, 400)
    if raw[0] == 200:
        engine.wait_count(1, f"logs WHERE service = '{mark}-raw'")


def test_an_attribute_of_a_megabyte(engine, mark):
    engine.send_logs([{"message": "big", "service": mark, "blob": "x" * (1 << 20)}])
    engine.send_traces(wire.v04([[wire.dd_span(mark, meta={"blob": "y" * (1 << 20)})]]))
    engine.wait_count(1, f"logs WHERE service = '{mark}'")
    engine.wait_count(1, f"spans WHERE service = '{mark}'")
    for table in ("logs", "spans"):
        length = engine.value(f"SELECT length(attributes['blob']) FROM {table} WHERE service = '{mark}'")
        assert 1_000 <= length <= 1 << 20, "cut at its limit, not dropped"


def test_ten_thousand_attributes(engine, mark):
    many = {f"key{n}": str(n) for n in range(10_000)}
    engine.send_logs([{"message": "many", "service": mark, **many}])
    engine.send_traces(wire.v04([[wire.dd_span(mark, meta=many)]]))
    engine.wait_count(1, f"logs WHERE service = '{mark}'")
    engine.wait_count(1, f"spans WHERE service = '{mark}'")
    dropped = engine.value(f"SELECT attributes['_dropped_attributes'] FROM logs WHERE service = '{mark}'")
    assert int(dropped) >= 8_000, "what was dropped is counted"


def test_a_deep_log_is_refused_or_cut(engine):
    deep = b'{"message": "deep", "a": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}"
    assert post(engine, "datadog", "/api/v2/logs", deep, JSON)[0] in (202, 400)


def test_a_client_that_never_finishes_holds_nobody_up(engine, mark):
    import socket

    idle = [socket.create_connection(("127.0.0.1", engine.port["datadog"])) for _ in range(50)]
    try:
        for each in idle:
            each.sendall(b"POST /api/v2/logs HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n[")
        engine.send_logs([{"message": "not held up", "service": mark}])
        engine.wait_count(1, f"logs WHERE service = '{mark}'")
    finally:
        for each in idle:
            each.close()
